"""How a tuned model does on eval, beside what it was tuned from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache.errors import ProbeError
from probing.backbones import Backbone
from probing.extraction import Options
from probing.extraction.layers import layers_of
from probing.metrics import Resamples
from probing.metrics.clusters import AUTO
from probing.progress import progress_line
from probing.serving.heads import AnyHead
from probing.serving.training_clips import mean_over_time
from probing.targets.metrics import METRICS
from probing.tuning.start import Start
from probing.tuning.utterances import Utterances

RESAMPLES = 1000
FROZEN = "on the frozen backbone"
STARTED = "as it started"


@dataclass(frozen=True)
class Evaluated:
    """The metric of the task on eval with its 95 % interval.

    frozen: the same of the head before, and difference, low_difference, high_difference: tuned less
        frozen, paired on the same trials; None of a new head.
    before: what it was then, in words.
    """

    metric: str
    value: float
    low: float
    high: float
    frozen: float | None = None
    difference: float | None = None
    low_difference: float | None = None
    high_difference: float | None = None
    before: str = FROZEN

    def as_dict(self) -> dict[str, Any]:
        """For the record."""
        return asdict(self)

    @classmethod
    def of(cls, record: Mapping[str, Any] | None) -> Evaluated | None:
        """The figures that a record holds; None if `record` is None."""
        return None if record is None else cls(**record)

    @property
    def note(self) -> str:
        """A sentence if the model is not shown to be better than chance; else empty."""
        if self.metric != "eer" or self.high < 0.5:
            return ""
        return (
            "the tuned head is not shown to be better than chance: eval EER "
            f"{100 * self.value:.1f} %, the 95 % interval reaches {100 * self.high:.1f} %"
        )

    @property
    def sentence(self) -> str:
        """In words."""
        metric = METRICS[self.metric]
        tuned = f"Tuned: eval {metric.called} {metric.interval(self.value, self.low, self.high)}"
        if self.frozen is None or self.difference is None:
            return f"{tuned}."
        assert self.low_difference is not None
        assert self.high_difference is not None
        ends = sorted(metric.scale * end for end in (self.low_difference, self.high_difference))
        shown = self.low_difference > 0 or self.high_difference < 0
        way = "more" if self.difference > 0 else "less"
        verdict = "" if shown else ", which may be chance"
        return (
            f"{tuned}; {self.before} {metric.text(self.frozen)}, "
            f"{metric.difference(self.difference)} {way} [{metric.number(ends[0])}, "
            f"{metric.number(ends[1])}]{verdict}."
        )


@dataclass(frozen=True)
class ScoredUtterances:
    """Utterances with the scores of a head.

    scores: (N,) or (N, M).
    means: (N, D) over time of layer 1, if they were to be kept; else empty.
    measures: of the audio, a row each.
    """

    scores: NDArray[np.float64]
    means: NDArray[np.float32]
    measures: pd.DataFrame


def score_utterances(
    options: Options,
    head: AnyHead,
    backbone: Backbone,
    utterances: Utterances,
    title: str,
    *,
    means: bool = False,
) -> ScoredUtterances:
    """Score utterances as `probe score` does.

    Args:
        options: how audio is prepared.
        head: of the tuned model.
        backbone: likewise.
        utterances: N of them.
        title: of the progress line.
        means: whether to keep the mean over time of layer 1 of each.

    Raises:
        ProbeError: the audio of an utterance cannot be used any more.
    """
    table = utterances.table
    names = [str(name) for name in table["utterance_id"]]
    files = {
        name: utterances.root / str(path) for name, path in zip(names, table["path"], strict=True)
    }
    scores: dict[str, Any] = {}
    of_first: list[NDArray[np.float32]] = []
    measured: dict[str, Mapping[str, float]] = {}

    def failed(name: str, reason: str) -> None:
        raise ProbeError(
            f"{files[name]}: cannot be used ({reason}). Mend the file; the same command goes on"
        )

    with progress_line(title, len(files), "utterances") as line:
        for name, layers in layers_of(
            files, backbone, options, on_failure=failed, on_measures=measured.__setitem__
        ):
            x = layers[head.layers]
            scores[name] = head.score(x if head.tier == "frames" else x[:, None])[0]
            if means:
                of_first.append(mean_over_time(layers[1], head.tier).astype(np.float32))
            line.advance(1)
    return ScoredUtterances(
        np.array(list(scores.values())),
        np.array(of_first),
        pd.DataFrame([measured[name] for name in scores]),
    )


def resamples_of(start: Start, utterances: Utterances) -> Resamples:
    """Resamples of the trials of a part: those of the run that it starts from, if it does.

    Raises:
        ProbeError: the run has other trials.
    """
    if start.frozen is None:
        task = start.task
        return task.draw(utterances.target, task.clusters(utterances.table, AUTO), RESAMPLES, 0)
    run, name = start.frozen
    of_run = run.trials(name, utterances.name)
    if (
        of_run["utterance_id"].astype(str).tolist()
        != utterances.table["utterance_id"].astype(str).tolist()
    ):
        raise ProbeError(
            f"{run.folder}: its {utterances.name} trials are "
            "others than its cache has. Sweep it again"
        )
    return run.draw(of_run)


def evaluate(
    start: Start, scores: NDArray[np.float64], utterances: Utterances, device: str = "cpu"
) -> Evaluated:
    """The metric of the scores of eval, compared with what the head scored before it was tuned.

    Args:
        start: what the tuning started from.
        scores: of the tuned model, see `score_utterances`.
        utterances: eval.
        device: on which the model that was gone on from scores again.
    """
    task = start.task
    trials = task.trials(utterances.target, scores)
    value = trials.figures()[task.metric.name]
    resamples = resamples_of(start, utterances)
    resampled = trials.resampled(resamples)[task.metric.name]
    interval = task.interval(value, resampled, resamples)
    found = Evaluated(task.metric.name, value, interval.low, interval.high)
    if start.frozen is not None:
        run, name = start.frozen
        before = run.scored(run.trials(name))
    elif start.continued is not None:
        model = start.continued
        again = score_utterances(
            model.options,
            model.head,
            backbone=model.load_backbone(device),
            utterances=utterances,
            title="Evaluating as it started",
        )
        before = task.trials(utterances.target, again.scores)
    else:
        return found
    known = before.figures()[task.metric.name]
    difference = task.difference(
        value - known, resampled - before.resampled(resamples)[task.metric.name], resamples
    )
    return replace(
        found,
        frozen=known,
        difference=value - known,
        low_difference=difference.low,
        high_difference=difference.high,
        before=FROZEN if start.frozen else STARTED,
    )

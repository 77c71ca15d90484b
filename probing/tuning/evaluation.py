"""How a tuned model does on eval, beside the same head on the frozen backbone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cache.errors import ProbeError
from probing.backbones import Backbone
from probing.extraction.layers import layers_of
from probing.heads.head import Head
from probing.metrics.clusters import AUTO
from probing.progress import progress_line
from probing.targets.metrics import METRICS
from probing.tuning.start import Start
from probing.tuning.utterances import Utterances

RESAMPLES = 1000


@dataclass(frozen=True)
class Evaluated:
    """The metric of the task on eval with its 95 % interval.

    frozen: the same of the head on the frozen backbone, and difference, low_difference, high_difference: tuned less
    frozen, paired on the same trials; None where no run says.
    """

    metric: str
    value: float
    low: float
    high: float
    frozen: float | None = None
    difference: float | None = None
    low_difference: float | None = None
    high_difference: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """For the record."""
        return asdict(self)

    @classmethod
    def of(cls, record: Mapping[str, Any] | None) -> Evaluated | None:
        """That of a record."""
        return None if record is None else cls(**record)

    @property
    def note(self) -> str:
        """A sentence if the model is not shown to be better than chance; else empty."""
        if self.metric != "eer" or self.high < 0.5:
            return ""
        return (
            f"the tuned head is not shown to be better than chance: eval EER {100 * self.value:.1f} %, the 95 % "
            f"interval reaches {100 * self.high:.1f} %"
        )

    @property
    def sentence(self) -> str:
        """In words."""
        metric = METRICS[self.metric]
        told = f"Tuned: eval {metric.called} {metric.interval(self.value, self.low, self.high)}"
        if self.frozen is None or self.difference is None:
            return f"{told}."
        assert self.low_difference is not None
        assert self.high_difference is not None
        ends = sorted(metric.scale * end for end in (self.low_difference, self.high_difference))
        shown = self.low_difference > 0 or self.high_difference < 0
        way = "more" if self.difference > 0 else "less"
        verdict = "" if shown else ", which may be chance"
        return (
            f"{told}; on the frozen backbone {metric.text(self.frozen)}, {metric.difference(self.difference)} {way} "
            f"[{metric.number(ends[0])}, {metric.number(ends[1])}]{verdict}."
        )


def evaluate(start: Start, head: Head, backbone: Backbone, utterances: Utterances) -> Evaluated:
    """Score eval as `probe score` does, and compare with what the run scored.

    Raises:
        ProbeError: the audio of an utterance cannot be used any more.
    """
    table = utterances.table
    names = [str(name) for name in table["utterance_id"]]
    files = {name: utterances.root / str(path) for name, path in zip(names, table["path"], strict=True)}
    found: dict[str, Any] = {}

    def failed(name: str, reason: str) -> None:
        raise ProbeError(f"{files[name]}: cannot be used ({reason}). Mend the file; the same command goes on")

    with progress_line("Evaluating", len(files), "utterances") as line:
        for name, layers in layers_of(files, backbone, start.options, on_failure=failed):
            x = layers[head.layers]
            found[name] = head.score(x if head.tier == "frames" else x[:, None])[0]
            line.advance(1)
    scores = np.array([found[name] for name in names])
    task = start.task
    trials = task.trials(utterances.target, scores)
    value = trials.figures()[task.metric.name]
    if start.frozen is None:
        resamples = task.draw(utterances.target, task.clusters(table, AUTO), RESAMPLES, 0)
        interval = task.interval(value, trials.resampled(resamples)[task.metric.name], resamples)
        return Evaluated(task.metric.name, value, interval.low, interval.high)
    run, name = start.frozen
    of_run = run.trials(name)
    same = of_run["utterance_id"].astype(str).tolist() == names
    if not same:
        raise ProbeError(f"{run.folder}: its eval trials are others than its cache has. Sweep it again")
    resamples = run.draw(of_run)
    before = run.scored(of_run)
    resampled = trials.resampled(resamples)[task.metric.name]
    interval = task.interval(value, resampled, resamples)
    frozen = before.figures()[task.metric.name]
    difference = task.difference(value - frozen, resampled - before.resampled(resamples)[task.metric.name], resamples)
    return Evaluated(
        task.metric.name, value, interval.low, interval.high, frozen, value - frozen, difference.low, difference.high
    )

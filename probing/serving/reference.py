"""What a score is compared with: scores and errors of dev and eval, and the training clips.

A run has all of it, if the cache that it was trained on is still there; an exported folder keeps
it:

serving.json             under `reference`: calibration, EERs, ranges of measures, and the limit
                         of the distance
reference.safetensors    scores of dev and eval, and mean and precision of one layer over the
                         training clips
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from cache.bounds import check_regular
from cache.errors import ProbeError, quoted
from probing.calibration import Calibration, calibrate
from probing.calibration.stored import stored_calibration
from probing.labels import BONAFIDE
from probing.metrics import RESAMPLES, Interval, Resamples, cllr, eer, eer_resamples, rate_interval
from probing.runs import Run
from probing.runs.form import UTTERANCES
from probing.sealing import check_file
from probing.serving.candidates import ServingError
from probing.serving.heads import AnyHead, head_depth
from probing.serving.places import REFERENCE
from probing.serving.training_clips import TrainingClips, training_clips

TENSORS = "reference.safetensors"
PARTS = ("dev", "eval")


@dataclass(frozen=True)
class Scored:
    """Scores of the utterances of a part, as the head gives them.

    Attributes:
        bonafide: (N,).
        scores: (N,).
        eer: with its 95 % interval.
        drawn: what the interval is of, in words.
    """

    bonafide: NDArray[np.bool_]
    scores: NDArray[np.float64]
    eer: Interval
    drawn: str = ""

    @classmethod
    def of(cls, trials: pd.DataFrame, resamples: Resamples) -> Scored:
        """Of trials with `label` and `score`, and resamples of them."""
        bonafide = trials["label"].eq(BONAFIDE).to_numpy()
        scores = trials["score"].to_numpy(np.float64)
        interval = rate_interval(
            eer(bonafide, scores), eer_resamples(bonafide, scores, resamples), resamples
        )
        return cls(bonafide, scores, interval, resamples.drawn)


@dataclass(frozen=True)
class Reference:
    """What a verdict needs beside a head.

    Attributes:
        parts: `dev`, and `eval` if there is one.
        calibration: of the head's scores.
        corpus: where they are from.
        training: what the training clips were like; None if that is not known.
        missing: why not, as a sentence.
    """

    parts: Mapping[str, Scored]
    calibration: Calibration
    corpus: str = ""
    training: TrainingClips | None = None
    missing: str = ""

    def costs(self) -> dict[str, float]:
        """Cllr of the calibrated ratios by part, in bits.

        0 is perfect, 1 is what it costs to say nothing.
        """
        return {
            name: cllr(part.bonafide, self.calibration.apply(part.scores))
            for name, part in self.parts.items()
        }

    def record(self) -> dict[str, Any]:
        """What serving.json says of it."""
        return {
            "calibration": self.calibration.as_dict(),
            "corpus": self.corpus,
            "parts": {
                name: {"eer": [part.eer.value, part.eer.low, part.eer.high], "drawn": part.drawn}
                for name, part in self.parts.items()
            },
            "training": None if self.training is None else self.training.record(),
            "missing": self.missing,
        }

    def tensors(self) -> dict[str, NDArray[Any]]:
        """What its file holds, by name."""
        found = {} if self.training is None else self.training.tensors()
        for name, part in self.parts.items():
            found |= {
                f"{name}.bonafide": part.bonafide.astype(np.uint8),
                f"{name}.scores": part.scores,
            }
        return found


def n_resamples(run: Run) -> int:
    """How many resamples an interval that is printed beside scores has.

    As many as `probe evaluate` draws, so that one EER has one interval, whatever the sweep drew for
    its own figures; more if the sweep drew more.

    >>> n_resamples(Run("results/demo.run"))
    1000
    """
    return max(RESAMPLES, run.record.options.resamples)


def reference_of(
    run: Run, name: str, head: AnyHead, trials: Mapping[str, pd.DataFrame] | None = None
) -> Reference | None:
    """What of a run a verdict needs; None if an earlier version made it, without its utterances.

    Args:
        run: an open run.
        name: of one of its heads, as `linear-layer-06`.
        head: the same, loaded.
        trials: of dev and eval, with the head's `score`; default those that the run stores.

    Raises:
        ProbeError: its scores cannot be read.

    >>> from probing.serving import choose_head
    >>> run = Run("results/demo.run")
    >>> chosen = choose_head(run, name="linear-layer-02")
    >>> sorted(reference_of(run, chosen.about.name, chosen.head).parts)
    ['dev', 'eval']
    """
    if not (run.folder / UTTERANCES).is_file():
        return None
    if trials is None:
        trials = {part: run.trials(name, part) for part in PARTS}
    parts = {
        part: Scored.of(table, run.draw(table, n_resamples(run))) for part, table in trials.items()
    }
    calibration = stored_calibration(run, name) or calibrate(
        parts["dev"].bonafide, parts["dev"].scores
    )
    training = None
    missing = ""
    try:
        training = training_clips(run, head)
    except (ProbeError, OSError) as error:
        missing = f"It is not known what its training clips were like: {error}"
    return Reference(
        parts,
        calibration,
        corpus=run.record.caches["train"].corpus,
        training=training,
        missing=missing,
    )


def read_reference(folder: Path, record: Mapping[str, Any], head: AnyHead) -> Reference | None:
    """Read the reference of an exported folder; None if an earlier version wrote it.

    Args:
        folder: the export.
        record: its serving.json.
        head: its head.

    Raises:
        ServingError: it is not what an export writes.
        Damaged: it is not as it was written.
    """
    known = record.get(REFERENCE)
    if known is None:
        return None
    path = folder / TENSORS
    check_file(path)
    try:
        check_regular(path)
        tensors = load_file(path)
        parts = {
            name: _scored(tensors, name, known["parts"][name])
            for name in PARTS
            if name in known["parts"]
        }
        if "dev" not in parts:
            raise ValueError("it has no scores of dev")
        training = (
            None if known["training"] is None else TrainingClips.of(known["training"], tensors)
        )
        if training and not (
            0 <= training.layer <= max(1, head_depth(head)) and len(training.mean) == head.dim
        ):
            raise ValueError(
                f"layer {training.layer}, {len(training.mean)} wide, is not one that the head sees"
            )
        calibration = Calibration.of(known["calibration"])
        return Reference(
            parts,
            calibration,
            corpus=str(known["corpus"]),
            training=training,
            missing=str(known["missing"]),
        )
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        OverflowError,
        SafetensorError,
    ) as error:
        raise ServingError(
            f"{path}: cannot be read ({error}). Write it again: probe export RUN {quoted(folder)}"
        ) from None


def _scored(tensors: Mapping[str, NDArray[Any]], name: str, known: Mapping[str, Any]) -> Scored:
    bonafide = tensors[f"{name}.bonafide"].astype(bool)
    scores = tensors[f"{name}.scores"].astype(np.float64)
    value, low, high = (float(end) for end in known["eer"])
    if bonafide.shape != scores.shape or scores.ndim != 1 or not np.isfinite(scores).all():
        raise ValueError(f"its scores of {name} are not one finite number for each trial")
    if bonafide.all() or not bonafide.any():
        raise ValueError(f"its scores of {name} are of one class")
    return Scored(bonafide, scores, Interval(value, low, high), str(known["drawn"]))

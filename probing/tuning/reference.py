"""What a verdict needs beside a tuned head: scores, and what training clips were like.

The scores are those of dev and eval.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache.errors import ProbeError
from probing.backbones import Backbone
from probing.calibration import calibrate
from probing.heads.head import Head
from probing.labels import BONAFIDE, SPOOF
from probing.serving.reference import Reference, Scored
from probing.serving.training_clips import TrainingClips, describe
from probing.sweep.split import EVAL
from probing.tuning.evaluation import ScoredUtterances, resamples_of, score_utterances
from probing.tuning.start import Start
from probing.tuning.utterances import Utterances

MOST = 500  # training clips that are scored again, to know what they are like


def tuned_reference(
    start: Start, head: Head, backbone: Backbone, of_eval: NDArray[np.float64] | None
) -> Reference | None:
    """Scores of dev and what training clips are like; None for targets other than spoofing.

    Args:
        start: what the tuning started from.
        head: tuned.
        backbone: tuned.
        of_eval: scores of eval; None if it was not scored.

    Raises:
        ProbeError: the audio of an utterance cannot be used any more.
    """
    if not start.task.is_spoofing:
        return None
    dev = start.parts["dev"]
    on_dev = score_utterances(
        start.options, head, backbone=backbone, utterances=dev, title="Scoring dev", means=True
    )
    parts = {"dev": _scored(start, dev, on_dev.scores)}
    if of_eval is not None:
        parts[EVAL] = _scored(start, start.parts[EVAL], of_eval)
    train = start.parts["train"]
    on_train = score_utterances(
        start.options,
        head,
        backbone=backbone,
        utterances=_some(train),
        title="Measuring training clips",
        means=True,
    )
    training, missing = _training(on_train, on_dev)
    return Reference(
        parts,
        calibrate(dev.target, on_dev.scores),
        corpus=train.corpus,
        training=training,
        missing=missing,
    )


def _scored(start: Start, part: Utterances, scores: NDArray[np.float64]) -> Scored:
    label = np.where(part.target, BONAFIDE, SPOOF)
    return Scored.of(pd.DataFrame({"label": label, "score": scores}), resamples_of(start, part))


def _some(train: Utterances) -> Utterances:
    """No more than are needed, drawn the same every time."""
    if len(train) <= MOST:
        return train
    rows = np.sort(np.random.default_rng(0).choice(len(train), MOST, replace=False))
    return replace(
        train, table=train.table.iloc[rows].reset_index(drop=True), target=train.target[rows]
    )


def _training(train: ScoredUtterances, dev: ScoredUtterances) -> tuple[TrainingClips | None, str]:
    """What the training clips were like, or a sentence on why that is not known."""
    try:
        return describe(train.measures, train.means, dev.means, layer=1), ""
    except ProbeError as error:
        return None, f"It is not known what its training clips were like: {error}"

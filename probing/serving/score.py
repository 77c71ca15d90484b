"""Scores of a trained head, on a cache or audio."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import Cache
from probing.audio import SAMPLING_RATE, Waveform, stated_seconds
from probing.augmentation.smoothing import Smoothing
from probing.backbones import Backbone
from probing.extraction import Options, layers_of
from probing.extraction.layers import by_batches
from probing.progress import progress_line
from probing.serving.early import Left, score_batch
from probing.serving.exit_heads import ExitHeads
from probing.serving.heads import AnyHead, head_depth
from probing.serving.layer_scores import score_of_layers, scores_of_batch
from probing.serving.matching import check_cache
from probing.serving.training_clips import TrainingClips, mean_over_time
from probing.serving.verdict import ScoredClip

ROWS_AT_ONCE = 1024
NOT_FINITE = "hidden states are not finite: NaN or infinite values"


def score_cache(
    head: AnyHead,
    cache: Cache,
    table: pd.DataFrame,
    weights: Sequence[object],
    fingerprint: Mapping[str, Any],
    where: str,
    say: Callable[[str], None] = lambda text: None,
) -> NDArray[np.float64]:
    """Score utterances of a cache.

    Args:
        head: trained.
        cache: with the head's tier and layers.
        table: rows of its utterances.
        weights: sha256 of backbones that the head is for.
        fingerprint: of the cache that the head was trained on.
        where: what the head belongs to, for messages.
        say: called with what differs and does not matter, such as versions.

    Raises:
        ServingError: see `probing.serving.matching.check_cache`.

    >>> from probing.runs import Run
    >>> from probing.serving import choose_head
    >>> head = choose_head(Run("results/demo.run"), name="linear-layer-02").head
    >>> cache = Cache("results/demo.cache")
    >>> weights = [cache.fingerprint["backbone_weights_sha256"]]
    >>> table = cache.select({"split": "eval"})
    >>> score_cache(head, cache, table, weights, cache.fingerprint, "demo.run").shape
    (12,)
    """
    check_cache(cache, head.dim, weights, fingerprint=fingerprint, where=where, say=say)
    cache.require(head.tier, head.layers)
    scores = np.zeros(len(table))
    with progress_line("Scoring", len(table), "utterances") as line:
        if head.tier == "frames":
            for i, name in enumerate(table["utterance_id"]):
                scores[i] = head.score(cache.frames([name], head.layers)[0])[0]
                line.advance(1)
            return scores
        for first in range(0, len(table), ROWS_AT_ONCE):
            rows = table.iloc[first : first + ROWS_AT_ONCE]
            scores[first : first + len(rows)] = head.score(cache.pooled(head.layers, rows))
            line.advance(len(rows))
    return scores


def score_audio(
    head: AnyHead,
    backbone: Backbone,
    options: Options,
    files: dict[str, Path],
    on_failure: Callable[[str, str], None],
) -> dict[str, float]:
    """Scores of audio files by name, in their order; those of no use go to `on_failure`.

    The result does not have these.

    >>> from probing.runs import Run
    >>> from probing.serving import choose_head
    >>> from probing.serving.exported import load_run_backbone, run_options
    >>> run = Run("results/demo.run")
    >>> head = choose_head(run, name="linear-layer-02").head
    >>> options = run_options(run, head)
    >>> backbone = load_run_backbone(run, options)
    >>> files = {"clip": Path("clip.wav")}
    >>> list(score_audio(head, backbone, options, files, on_failure=print))
    ['clip']
    """
    return {
        clip.name: clip.score
        for clip in scored_clips(
            head, backbone, options=options, files=files, on_failure=on_failure
        )
    }


def scored_clips(
    head: AnyHead,
    backbone: Backbone,
    options: Options,
    files: dict[str, Path],
    on_failure: Callable[[str, str], None],
    training: TrainingClips | None = None,
    smoothing: Smoothing | None = None,
) -> Iterator[ScoredClip]:
    """Score audio files one by one, in their order, and say what their audio is like.

    Args:
        head: trained.
        backbone: with the blocks it needs.
        options: how audio is prepared.
        files: by name.
        on_failure: called with name and reason of those of no use, which are not there.
        training: what the training clips were like, for the distance from them.
        smoothing: noised copies to score in the place of each clip, whose distance is not known
            then.
    """
    measured: dict[str, Mapping[str, float]] = {}
    longest = options.cropping.n_samples() / SAMPLING_RATE
    with progress_line("Scoring", len(files), "files") as line:

        def failed(name: str, reason: str) -> None:
            line.advance(1)
            on_failure(name, reason)

        layer = None if training is None else training.layer
        way = smoothing or Smoothing()
        for name, left in _left(
            head,
            backbone,
            options=options,
            files=files,
            layer=layer,
            smoothing=way,
            on_failure=failed,
            on_measures=measured.__setitem__,
        ):
            measures = measured.pop(name)
            distance = None
            if training is not None and left.mean is not None:
                distance = float(training.distance(left.mean[None])[0])
            cut = (
                measures["audio_seconds"] >= longest
                and (stated_seconds(files[name], longest + 1) or 0) > longest
            )
            depth = left.depth if isinstance(head, ExitHeads) else None
            yield ScoredClip(
                name,
                str(files[name]),
                score=left.score,
                measures=measures,
                distance=distance,
                cut=cut,
                depth=depth,
            )
            line.advance(1)


def _left(
    head: AnyHead,
    backbone: Backbone,
    options: Options,
    files: dict[str, Path],
    layer: int | None,
    smoothing: Smoothing,
    on_failure: Callable[[str, str], None],
    on_measures: Callable[[str, Mapping[str, float]], None],
) -> Iterator[tuple[str, Left]]:
    """Scores of audio files by name, with the mean over time of a layer, if it is wanted.

    If the head has exits, each clip leaves at the first that is sure of it.
    """
    if isinstance(head, ExitHeads):

        def compute(batch: dict[str, Waveform], failures: dict[str, str]) -> dict[str, Left]:
            scored = score_batch(head, batch, backbone=backbone, options=options, layer=layer)
            failures |= {name: NOT_FINITE for name in batch if name not in scored}
            return scored

        yield from by_batches(
            files, backbone, options, compute, on_failure=on_failure, on_measures=on_measures
        )
        return
    if smoothing:

        def smoothed(batch: dict[str, Waveform], failures: dict[str, str]) -> dict[str, Left]:
            scores = scores_of_batch(
                [head],
                batch,
                backbone=backbone,
                options=options,
                smoothing=smoothing,
                failures=failures,
            )
            return {
                name: Left(float(of_heads[0]), head_depth(head))
                for name, of_heads in scores.items()
            }

        yield from by_batches(
            files, backbone, options, smoothed, on_failure=on_failure, on_measures=on_measures
        )
        return
    for name, layers in layers_of(
        files, backbone, options, on_failure=on_failure, on_measures=on_measures
    ):
        score = score_of_layers(head, layers)
        mean = None if layer is None else mean_over_time(layers[layer], head.tier)
        yield name, Left(score, head_depth(head), mean)

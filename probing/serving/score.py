"""Scores of a trained head, on a cache or audio."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
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
from probing.heads.head import Head
from probing.progress import progress_line
from probing.runs import Run
from probing.scores.options import ScoreOptions
from probing.serving.early import Left, score_batch
from probing.serving.exit_heads import ExitHeads
from probing.serving.exported import Exported, load_run_backbone, open_exported, run_options
from probing.serving.heads import AnyHead, ServingError, chance_note, choose_head, head_depth
from probing.serving.layer_scores import score_of_layers, scores_of_batch
from probing.serving.matching import check_matching
from probing.serving.places import SERVING, check_model, check_name
from probing.serving.reference import Reference, n_resamples, reference_of
from probing.serving.training_clips import TrainingClips, mean_over_time
from probing.serving.verdict import ScoredClip

ROWS_AT_ONCE = 1024
NOT_FINITE = "hidden states are not finite: NaN or infinite values"


class Server:
    """A head with what it needs to score: of a run, or of an exported folder.

    Attributes:
        head, name. note: what a person should know of it: that it is not shown to be better than
            chance, or of an earlier version; empty if there is nothing to say. left: with early
            exit, depth -> audio files that left there so far.

    >>> Server(Path("results/demo.run"), "linear-layer-02").name
    'linear-layer-02'
    """

    def __init__(self, where: Path, head: str | None = None) -> None:
        self.where = where
        self.left: dict[int, int] = {}
        self.exported: Exported | None = None
        if (where / SERVING).is_file():
            self.exported = open_exported(where)
            self.head, self.name = self.exported.head, str(self.exported.record["head"])
            if isinstance(self.head, Head) and (target := self.head.about.get("target")):
                raise ServingError(
                    f"{where}: its target is {target['name']}, and only heads of bona fide "
                    "against spoof score audio. Its head can be read in Python: "
                    "probing.heads.head.load_head"
                )
            self._note(str(self.exported.record.get("note", "")))
            check_name(where, self.exported.record, head)
            return
        self.run = Run(where)
        chosen = choose_head(self.run, name=head)
        self.head, self.name = chosen.head, chosen.about.name
        self._note(chance_note(self.run, chosen.about))

    def _note(self, of_chance: str) -> None:
        of_version = self.head.note if isinstance(self.head, Head) else ""
        self.note = ". ".join(note for note in (of_chance, of_version) if note)

    def on_cache(
        self, cache: Cache, table: pd.DataFrame, say: Callable[[str], None] = lambda text: None
    ) -> NDArray[np.float64]:
        """Scores (N,) of utterances of a cache, which must be of the same backbone and made the
        same way.
        """
        return score_cache(self.head, cache, table, *self._trained_on(), str(self.where), say)

    def check(self, cache: Cache, say: Callable[[str], None] = lambda text: None) -> None:
        """Refuse a cache whose states this head cannot be given, as `check_cache` does."""
        check_cache(self.head, cache, *self._trained_on(), str(self.where), say)

    def _trained_on(self) -> tuple[list[object], Mapping[str, Any]]:
        """Weights of the backbones the head is for, and the fingerprint of the cache it was trained
        on.
        """
        if self.exported:
            record = self.exported.record
            fingerprint = record["fingerprint"]
            return [
                fingerprint.get("backbone_weights_sha256"),
                record["weights_sha256"],
            ], fingerprint
        fingerprint = self.run.record.fingerprint
        return [fingerprint.get("backbone_weights_sha256")], fingerprint

    @property
    def options(self) -> Options:
        """How audio is prepared."""
        return self.exported.options if self.exported else run_options(self.run, self.head)

    @property
    def drawn(self) -> dict[str, Any]:
        """How the bootstrap draws, as `probing.evaluation.evaluate` takes it: that of `reference`.

        Empty of an export, which does not say how its run drew.
        """
        if self.exported:
            return {}
        options = self.run.record.options
        return {
            "interval_by": options.interval_by,
            "resamples": n_resamples(self.run),
            "seed": options.seed,
        }

    @cached_property
    def reference(self) -> Reference | None:
        """What a verdict needs beside the head; None where an earlier version did not keep it."""
        if self.exported:
            return self.exported.reference
        return reference_of(self.run, self.name, self.head)

    def on_audio(
        self,
        files: dict[str, Path],
        device: str,
        on_failure: Callable[[str, str], None],
        smoothing: Smoothing | None = None,
    ) -> dict[str, float]:
        """Scores by name of audio files."""
        return {
            clip.name: clip.score
            for clip in self.clips(files, device, on_failure, smoothing=smoothing)
        }

    def clips(
        self,
        files: dict[str, Path],
        device: str,
        on_failure: Callable[[str, str], None],
        training: TrainingClips | None = None,
        smoothing: Smoothing | None = None,
    ) -> Iterator[ScoredClip]:
        """Scores of audio files one by one, with their distance from the training clips where these
        are given.
        """
        check_model(self.where, ScoreOptions(smoothing=smoothing or Smoothing()))
        if self.exported:
            backbone = self.exported.load_backbone(device)
        else:
            backbone = load_run_backbone(self.run, self.options, device)
            if head_depth(self.head):
                backbone = backbone.truncate(head_depth(self.head))
        for clip in scored_clips(
            self.head,
            backbone,
            options=self.options,
            files=files,
            on_failure=on_failure,
            training=training,
            smoothing=smoothing,
        ):
            if clip.depth is not None:
                self.left[clip.depth] = self.left.get(clip.depth, 0) + 1
            yield clip


def check_cache(
    head: AnyHead,
    cache: Cache,
    weights: Sequence[object],
    fingerprint: Mapping[str, Any],
    where: str,
    say: Callable[[str], None] = lambda text: None,
) -> None:
    """Refuse a cache whose states are not made as those a head was trained on; arguments as of
    `score_cache`.

    Raises:
        ServingError: the cache is of another backbone, or cropped, normalised, pooled or computed
            another way.
    """
    found = cache.fingerprint.get("backbone_weights_sha256")
    if found not in weights or cache.dim != head.dim:
        raise ServingError(
            f"{cache.folder}: of another backbone, {cache.about.get('backbone')} "
            f"({str(found)[:12]}, {cache.dim} wide); the head of {where} is for weights "
            f"{str(weights[0])[:12]}, {head.dim} wide. Score a cache "
            "of that backbone, or the audio itself"
        )
    for difference in check_matching(cache.fingerprint, fingerprint, str(cache.folder), where):
        say(f"Note: {difference}")


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
        say: told what differs and does not matter, such as versions.

    Raises:
        ServingError: see `check_cache`.
    """
    check_cache(head, cache, weights=weights, fingerprint=fingerprint, where=where, say=say)
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
    """Score audio files by name, in their order; those of no use are told to `on_failure`, and are
    not there.
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
        on_failure: told the name and the reason of those of no use, which are not there.
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
    """Scores of audio files by name, with the mean over time of a layer: at the exit where each
    leaves, if it may.
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

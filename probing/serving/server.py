"""A server: a head of a run or an export with all it needs to score caches and audio."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import Cache
from probing.augmentation.smoothing import Smoothing
from probing.extraction import Options
from probing.heads.head import Head
from probing.serving.candidates import ServingError, chance_note
from probing.serving.exit_heads import ExitHeads
from probing.serving.exported import Exported, load_run_backbone, open_exported, run_options
from probing.serving.heads import choose_head, head_depth
from probing.serving.places import check_not_smoothed
from probing.serving.reference import Reference, n_resamples, reference_of
from probing.serving.score import score_cache, scored_clips
from probing.serving.stated import StatedHead
from probing.serving.training_clips import TrainingClips
from probing.serving.verdict import ScoredClip


class Server:
    """A head with what it needs to score: of a run, or of an exported folder.

    Attributes:
        head: the trained head.
        name: of the head, as its run calls it.
        note: what a person should know of it: that it is not shown to be better than chance, or
            is of an earlier version; empty if there is nothing to say.
        left: with early exit, depth -> audio files that left there so far.

    >>> Server(Path("results/demo.run"), "linear-layer-02").name
    'linear-layer-02'
    """

    def __init__(self, where: Path, head: str | None = None) -> None:
        self.where = where
        self.left: dict[int, int] = {}
        self.exported: Exported | None = None
        self.stated = StatedHead.of(where, head)
        if self.stated.run is None:
            self.exported = open_exported(where)
            self.head, self.name = self.exported.head, str(self.exported.record["head"])
            if isinstance(self.head, Head) and (target := self.head.about.get("target")):
                raise ServingError(
                    f"{where}: its target is {target['name']}, and only heads of bona fide "
                    "against spoof score audio. Its head can be read in Python: "
                    "probing.heads.head.load_head"
                )
            self._note(str(self.exported.record.get("note", "")))
            return
        self.run = self.stated.run
        chosen = choose_head(self.run, name=head)
        self.head, self.name = chosen.head, chosen.about.name
        self._note(chance_note(self.run, chosen.about))

    def _note(self, of_chance: str) -> None:
        of_version = self.head.note if isinstance(self.head, Head) else ""
        self.note = ". ".join(note for note in (of_chance, of_version) if note)

    def on_cache(
        self, cache: Cache, table: pd.DataFrame, say: Callable[[str], None] = lambda text: None
    ) -> NDArray[np.float64]:
        """Scores (N,) of utterances of a cache, which must be of the same backbone and options."""
        weights, fingerprint = self.stated.weights, self.stated.fingerprint
        where = str(self.where)
        return score_cache(self.head, cache, table, weights, fingerprint, where, say)

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
        """What a verdict needs beside the head; None if an earlier version did not keep it."""
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
        """Scores of audio files one by one, with their distance from the training clips."""
        if smoothing is not None and isinstance(self.head, ExitHeads):
            check_not_smoothed(self.where, smoothing)
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

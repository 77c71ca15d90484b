"""Judge: the heads of a run on waveforms in memory, scored as `probe score` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cache.errors import ProbeError
from probing.audio import Waveform
from probing.augmentation.smoothing import Smoothing
from probing.backbones import Backbone
from probing.extraction import Machine, Options
from probing.extraction.layers import by_batches
from probing.heads.head import Head
from probing.robustness.attacks import Pcm, as_waveform
from probing.robustness.white_box import WhiteBox
from probing.runs import Run
from probing.serving.exported import load_run_backbone, run_options
from probing.serving.heads import AnyHead, head_depth
from probing.serving.layer_probe import LayerProbe
from probing.serving.layer_scores import scores_of_batch


class Judge:
    """Heads of a run with the blocks of its backbone that they need.

    Args:
        run: open.
        heads: of it, of either tier.
        machine: device, and clips a forward pass.
    """

    def __init__(self, run: Run, heads: Sequence[AnyHead], machine: Machine) -> None:
        self.run = run
        self.heads = list(heads)
        self.machine = machine
        self.options: Options = run_options(run, self.heads[0])

    @cached_property
    def backbone(self) -> Backbone:
        """Loaded at first use, with no more blocks than the deepest head needs."""
        return self._truncated(
            load_run_backbone(self.run, self.options, self.machine.device), self.heads
        )

    def scores(
        self, clips: Mapping[str, Pcm], smoothing: Smoothing, failures: dict[str, str] | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Scores (heads,) of clips (n,) of 16-bit samples by name.

        Args:
            clips: as long as the model hears them, or longer.
            smoothing: noised copies to score instead, if any.
            failures: takes the reason of clips that cannot be scored, which are not there.

        Raises:
            ProbeError: there is such a clip, and nothing to take it.
        """
        found = {name: np.zeros(len(self.heads)) for name in clips}
        refused: dict[str, str] = {}
        for tier in sorted({head.tier for head in self.heads}):
            places = [i for i, head in enumerate(self.heads) if head.tier == tier]
            heads = [self.heads[i] for i in places]
            options = run_options(self.run, heads[0])

            def compute(
                batch: dict[str, Waveform], why: dict[str, str]
            ) -> dict[str, NDArray[np.float64]]:
                return scores_of_batch(
                    heads,  # noqa: B023
                    batch,
                    backbone=self.backbone,
                    options=options,  # noqa: B023
                    smoothing=smoothing,
                    failures=why,
                )

            waveforms = {name: as_waveform(pcm) for name, pcm in clips.items()}
            size = self.machine.batch_size
            scored = by_batches(
                waveforms,
                self.backbone,
                options,
                compute,
                batch_size=size,
                on_failure=refused.__setitem__,
            )
            for name, scores in scored:
                found[name][places] = scores
        if refused and failures is None:
            raise ProbeError("; ".join(f"{name}: {why}" for name, why in refused.items()))
        if failures is not None:
            failures |= refused
        return {name: scores for name, scores in found.items() if name not in refused}

    def white_box(self, number: int) -> WhiteBox:
        """One of the heads with gradients."""
        head = self.heads[number]
        assert isinstance(head, Head | LayerProbe)  # a run stores no others
        return WhiteBox(self._truncated(self.backbone, [head]), head, self.options.cropping)

    @staticmethod
    def _truncated(backbone: Backbone, heads: Sequence[AnyHead]) -> Backbone:
        depth = max(1, *map(head_depth, heads))
        return backbone.truncate(depth) if depth < backbone.n_layers else backbone

"""White box: a backbone and a head, from waveforms to scores, with slopes at every sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cache.errors import ProbeError, argument
from probing.audio import Cropping, Waveform
from probing.backbones import Backbone
from probing.backbones.layers import HiddenStates
from probing.extraction.pooling import frame_weights, pool_with_gradients
from probing.extraction.states import out_of_memory
from probing.heads.head import Head
from probing.serving.layer_probe import LayerProbe
from probing.tuning.model import seen


class WhiteBox:
    """The score of a head as a function of the waveform, with gradients.

    States are not rounded to a type of the cache, which has no slope; scores are those of `probe
    score` but for that.

    Args:
        backbone: with the blocks that the head needs; its weights are copied.
        head: a probe of a layer, or a head of one depth.
        cropping: how much of a clip the model is given.

    Attributes:
        dtype: of the computation, float32; `double` makes it float64.
    """

    def __init__(self, backbone: Backbone, head: Head | LayerProbe, cropping: Cropping) -> None:
        self.backbone = backbone
        self.head = head
        self.cropping = cropping
        self.dtype = torch.float32
        self._states = backbone.differentiable()

    def double(self) -> WhiteBox:
        """Itself in float64, in which slopes can be compared with finite differences."""
        self.dtype = torch.float64
        if isinstance(self._states, torch.nn.Module):
            self._states.double()
        if isinstance(self.head, Head):
            self.head.stack.double()
        return self

    def scores(self, waveforms: Sequence[Tensor]) -> Tensor:
        """Scores (B,) of waveforms (n,) in [-1, 1], before cropping, higher for bona fide."""
        cropped = [
            waveform.repeat(-(-self.n_seen(len(waveform)) // len(waveform)))[
                : self.n_seen(len(waveform))
            ]
            for waveform in waveforms
        ]
        with torch.enable_grad():
            states = self._states(cropped)
            return (
                self._of_probe(states, self.head)
                if isinstance(self.head, LayerProbe)
                else self._of_head(states)
            )

    def n_seen(self, n_samples: int) -> int:
        """Samples that the model is given of a clip of so many, see `Cropping`."""
        most = self.cropping.n_samples()
        return most if self.cropping.seconds is not None else min(n_samples, most)

    def slopes(self, waveforms: Sequence[Waveform]) -> list[NDArray[Any]]:
        """Slopes (n,) of the score of each waveform (n,) at every sample, of one batch.

        Raises:
            ProbeError: the model stops gradients, gives some that are not finite, or needs more
                memory than there is.
        """
        device = self.backbone.device
        given = [
            torch.from_numpy(np.asarray(waveform)).to(device, self.dtype).requires_grad_()
            for waveform in waveforms
        ]
        try:
            scores = self.scores(given)
            if not scores.requires_grad:
                raise ProbeError(
                    f"{self.backbone.name} ({self.backbone.family}): no gradient gets through it "
                    "to the waveform, so it cannot be attacked. Attack another run, and let this "
                    f"one judge: {argument('against', 'RUN')}"
                )
            found = torch.autograd.grad(scores.sum(), given)
        except torch.OutOfMemoryError:
            batch = {str(i): waveform for i, waveform in enumerate(waveforms)}
            raise out_of_memory(
                batch, self.backbone, f"Use a smaller {argument('batch_size')}"
            ) from None
        if not all(bool(slope.isfinite().all()) for slope in found):
            raise ProbeError(
                f"{self.backbone.name}: the slope of {self.head.name} is not finite at some "
                "sample. Attack another layer"
            )
        return [slope.cpu().numpy() for slope in found]

    def _of_probe(self, states: HiddenStates, probe: LayerProbe) -> Tensor:
        layer = states.layers[probe.depth]
        x = pool_with_gradients(
            layer, frame_weights(states.n_frames, layer.shape[1], layer.device)
        ).flatten(1)
        weight = torch.from_numpy(np.asarray(probe.weight, np.float64)).to(x)
        return x @ weight + probe.bias

    def _of_head(self, states: HiddenStates) -> Tensor:
        assert isinstance(self.head, Head)
        stack = self.head.stack
        x, mask = seen(states, stack, self.head.n_frames)
        return stack.read(stack(stack.standardized(x), mask))[0]

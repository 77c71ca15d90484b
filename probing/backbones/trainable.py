"""A backbone whose weights can be trained; all else is as in extraction.

Its hidden states have gradients.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cache.errors import argument

from .backbone import Backbone
from .errors import BackboneUnsupported, ClipUnusable
from .layers import HiddenStates
from .products import LearningLinear, OneDnnLinear, use_fast_products
from .recomputing import recomputing
from .regularization import (
    LAYERDROP,
    MASKING,
    is_dropout,
    left_out,
    numpy_drawn_by_torch,
    restore,
    switch_off,
)
from .unused import few
from .verification import verified_dim

# The parts of an encoder that turn a waveform or a spectrogram into frames, by the names that
# transformers gives them.
FRONT_END = (
    "feature_extractor",
    "embedder",
    "conv1",
    "conv2",
    "conv3",
    "groupnorm",
    "embed_positions",
)
# statistics of a batch would make a clip depend on its neighbours
NORMS = (nn.modules.batchnorm._BatchNorm,)


class Trainable(nn.Module):
    """An encoder with its own float32 copy of a backbone's weights; none is trained at first.

    Parameters are named as transformers names them, and the hidden states are those of
    `Backbone.hidden_states` to rounding. What the published config says of dropout, layerdrop and
    masking is off, in training too, unless asked for; batch norms keep their running statistics. A
    front end that is not trained runs on each clip alone, without gradients. Precision and device
    are the caller's: `to`, torch.autocast.

    Adapters that are put on the projections (LoRA by peft) take part, in WavLM too, whose published
    module reads the weights and goes past them.

    Example:
        >>> from probing.backbones import load_backbone
        >>> model = load_backbone("embedded", device="cpu").truncate(2).trainable()
        >>> _ = model.blocks[1].requires_grad_(True)
        >>> states = model([np.zeros(16000, np.float32)])
        >>> states.layers[2].square().mean().backward()
        >>> model.frozen().n_layers
        2
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        checkpointing: bool = False,
        dropout: bool = False,
        layerdrop: bool = False,
        masking: bool = False,
    ) -> None:
        """Copy a backbone; see `Backbone.trainable`."""
        if not backbone.n_layers:
            raise BackboneUnsupported(
                f"{backbone.name} has no weights to train. Choose a model, such as "
                f"{argument('backbone', 'embedded')}."
            )
        super().__init__()
        self.checkpointing = checkpointing
        self._source = (backbone._weights_sha256, tuple(backbone._encoder.state_dict()))
        self._fast = any(isinstance(module, OneDnnLinear) for module in backbone._encoder.modules())
        own = copy.deepcopy(backbone)
        encoder: Any = own._encoder
        _use_modules_with_gradients(encoder)
        own._by_clip = hasattr(encoder, "feature_extractor")
        self._backbone = own
        # The same dicts, so that names have no prefix and a module or parameter that is replaced is
        # so in both.
        self._modules = encoder._modules
        self._parameters = encoder._parameters
        self._buffers = encoder._buffers
        published = encoder.config.to_dict()
        self._published = set(encoder.modules())
        self._on: dict[str, float] = {}
        if dropout:
            self._on |= {
                name: float(value) for name, value in published.items() if is_dropout(name, value)
            }
        self._layerdrop = 0.0
        if layerdrop:
            drops = {
                name: float(published[name])
                for name in LAYERDROP
                if published.get(name) is not None
            }
            self._on |= drops
            self._layerdrop = max(drops.values(), default=0.0)
        can_mask = hasattr(encoder, "_mask_hidden_states") and published.get(
            "apply_spec_augment", True
        )
        self._masking = masking and can_mask
        if self._masking:
            self._on |= {
                name: float(published[name]) for name in MASKING if published.get(name) is not None
            }
        self._dropout = dropout
        self._changed = switch_off(encoder, masked=self._masking)
        self.requires_grad_(False)
        self.train()

    @property
    def blocks(self) -> nn.ModuleList:
        """The transformer blocks, first one first."""
        return self._backbone._blocks

    @property
    def front_end(self) -> nn.ModuleList:
        """The convolutions before the frames, on waveform or spectrogram; may be empty."""
        return nn.ModuleList(module for name, module in self.named_children() if name in FRONT_END)

    @property
    def regularization(self) -> dict[str, float]:
        """What of the published config is on in training: names and values; may be empty."""
        return dict(self._on)

    @property
    def n_layers(self) -> int:
        """Number of blocks L; there are L + 1 layers."""
        return self._backbone.n_layers

    @property
    def dim(self) -> int:
        """Width of every layer."""
        return self._backbone.dim

    def n_frames(self, n_samples: int) -> int:
        """Count the valid frames of a clip of `n_samples` samples."""
        return self._backbone.n_frames(n_samples)

    def train(self, mode: bool = True) -> Trainable:
        """Switch training on or off.

        What the published model drops out or masks is on only if that was wanted; modules put on
        later, as the dropout of adapters, follow `mode`.
        """
        self.training = mode
        for module in self._backbone._encoder.modules():
            published = module in self._published
            module.training = (
                mode and (self._dropout or not published) and not isinstance(module, NORMS)
            )
        self._backbone._encoder.training = mode and (self._dropout or self._masking)
        return self

    def forward(self, waveforms: Sequence[np.ndarray] | Sequence[Tensor]) -> HiddenStates:
        """Compute every layer of a batch of clips, with gradients.

        Args:
            waveforms: mono clips at 16 kHz, (n_samples,) each, in [-1, 1], not normalised: that is
                done here, per clip. If they are tensors, of the type of the weights, gradients go
                back to them.

        Returns:
            L + 1 tensors (B, T, D) and the valid frames of each clip.

        Raises:
            ClipUnusable: as `Backbone.hidden_states`; or, where frames are masked, all clips are
                shorter than a mask.
        """
        backbone = self._backbone
        backbone.device = next(self.parameters()).device
        with ExitStack() as stack:
            if self.training and self._layerdrop:
                stack.enter_context(left_out(self.blocks, self._layerdrop))
            if self.training and self._masking:
                self._check_length(waveforms)
                stack.enter_context(numpy_drawn_by_torch())
            if torch.is_grad_enabled():
                stack.enter_context(
                    _checkpointed(self.blocks) if self.checkpointing else recomputing(self.blocks)
                )
            return backbone._hidden_states(waveforms)

    def frozen(self) -> Backbone:
        """Give a usual backbone with a copy of the weights as they are now.

        Its fingerprint is that of the folder that its `save` writes. Weights that were drawn at
        random count as trained if they changed.

        Raises:
            BackboneUnsupported: adapters are still on it, or a weight is no finite number.
        """
        sha256, names = self._source
        encoder = self._backbone._encoder
        others = set(encoder.state_dict()) ^ set(names)
        if others:
            raise BackboneUnsupported(
                f"{self._backbone.name}: has other weights than the published model "
                f"({few(others)}), such as those of an adapter. Merge "
                "it first (merge_and_unload of peft)."
            )
        backbone = copy.deepcopy(self._backbone)
        encoder = backbone._encoder
        restore(encoder.config, self._changed)
        encoder.eval().requires_grad_(False)
        backbone._by_clip = False
        _use_modules_without_gradients(encoder)
        backbone.__dict__.pop("_weights_sha256", None)
        if backbone._weights_sha256 != sha256:
            backbone.name = f"{backbone.name.removeprefix('random weights: ')}, tuned"
            backbone._whole_name = f"{backbone._whole_name.removeprefix('random weights: ')}, tuned"
            backbone.random = False
            backbone._seed = None
            backbone._revision = None
            backbone._peculiar = {}
        if self._fast:
            use_fast_products(encoder, backbone.device)
        if backbone.attention == "fused":
            from .attention import use_fused_attention

            backbone.attention = "fused" if use_fused_attention(backbone) else "stock"
        backbone.dim = verified_dim(backbone)
        return backbone

    def _check_length(self, waveforms: Sequence[np.ndarray] | Sequence[Tensor]) -> None:
        longest = max((self.n_frames(len(clip)) for clip in waveforms), default=0)
        needed = self._backbone._config.mask_time_length
        if 0 < longest < needed and self._on.get("mask_time_prob"):
            raise ClipUnusable(
                f"the longest clip of the batch has {longest} frames, and the published config "
                f"masks {needed} at a time. Leave out clips that are "
                "so short, or train without masking."
            )


def _use_modules_with_gradients(encoder: Any) -> None:
    """Switch linear layers, and WavLM's attention, to modules that have gradients.

    They go through every projection as a module, so that adapters take part.
    """
    for module in encoder.modules():
        if isinstance(module, OneDnnLinear):
            module.__class__ = LearningLinear  # type: ignore[assignment]
    if encoder.config.model_type == "wavlm":
        from .attention import unfuse
        from .attention_gradients import learn

        unfuse(encoder)
        learn(encoder)


def _use_modules_without_gradients(encoder: Any) -> None:
    for module in encoder.modules():
        if isinstance(module, LearningLinear):
            module.__class__ = nn.Linear  # type: ignore[assignment]
    if encoder.config.model_type == "wavlm":
        from .attention_gradients import unlearn

        unlearn(encoder)


@contextmanager
def _checkpointed(blocks: nn.ModuleList) -> Iterator[None]:
    """Keep the input of each block only."""
    for block in blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward

"""A backbone: a frozen speech encoder that gives every layer of a clip, in any batch."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from .clips import checked_clips
from .dropping import describe_blocks, hand_over
from .errors import BackboneUnsupported, BlocksUnknown
from .families import Family, FrameRule, Padding, architecture_of
from .front_end import forward_past_front_end
from .inputs import SAMPLING_RATE, Input, Samples, prepared
from .layers import CONVENTION, HiddenStates, at_least_float32, recorded_layers
from .leaving import Done, leaving
from .precision import computing
from .saving import save_backbone
from .verification import verified_dim
from .weights import weights_sha256

if TYPE_CHECKING:
    from .trainable import Trainable


class Backbone:
    """A speech encoder with L transformer blocks, in evaluation mode.

    Attributes:
        name: what plots and tables call it; says "random weights" if they are.
        spec: what it was loaded from.
        family: the model_type.
        n_layers: L, the number of blocks; there are L + 1 layers, 0 being the input of the first
            block.
        blocks: their numbers in the whole model; 1..L unless some were dropped.
        dim: width D of every layer.
        random: whether the weights are random.
        device: where it runs.
        sampling_rate: of the audio it takes, in Hz.
        timing: when its frames are, a `cache.timing.FrameTiming`; None if its front end pads and no
            family says how.
        min_samples: shortest clip, in samples.
        max_samples: longest clip, or None.
        precision: "float32", "bf16" or "fp16", of the products; hidden states come as float32.
        notes: what a person should know of how it was loaded, a sentence each.
        precision_note: what was measured about it when the model was loaded, as a person reads it.
        attention: "fused" if a fused kernel computes it, "stock" if the modules of
            transformers do; no number depends on it beyond rounding.
        padding: "exact" if clips of different length may share a batch, "equal" if they may
            not.

    >>> from probing.backbones import load_backbone
    >>> backbone = load_backbone("embedded", device="cpu").truncate(2)
    >>> states = backbone.hidden_states([np.zeros(16_000, np.float32)])
    >>> [tuple(layer.shape) for layer in states.layers]
    [(1, 49, 192), (1, 49, 192), (1, 49, 192)]
    """

    sampling_rate = SAMPLING_RATE

    def __init__(
        self,
        encoder: nn.Module,
        blocks: nn.ModuleList,
        family: Family,
        rule: FrameRule,
        audio_input: Input,
        *,
        name: str,
        spec: str,
        device: torch.device,
        revision: str | None = None,
        seed: int | None = None,
        peculiar: Mapping[str, str | int] | None = None,
    ) -> None:
        """Take the parts that `load_backbone` made."""
        self._encoder = encoder.eval().requires_grad_(False).to(device)
        self._blocks = blocks
        self._rule = rule
        self._input = audio_input
        self._revision = revision
        self._seed = seed
        # only if there is some, so that other fingerprints stay as they were
        self._peculiar = dict(peculiar or {})
        self.notes: list[str] = []
        self._config: Any = encoder.config
        self.name = name
        self.spec = spec
        self.family = family.model_type
        self._known = family.known
        self.device = device
        self.random = seed is not None
        self.precision, self.precision_note = "float32", ""
        self.attention = "stock"
        self._by_clip = False  # whether the front end always runs on each clip alone
        self.n_layers = len(blocks)
        self.blocks = tuple(range(1, len(blocks) + 1))
        self._whole_name, self._n_blocks = name, len(blocks)
        self.timing = family.timing(self._config, rule)
        self.min_samples = max(family.min_samples, rule.window)
        self.max_samples = audio_input.max_samples
        self.padding: Padding = family.padding_for(self._config)
        self.dim = verified_dim(self)

    def n_frames(self, n_samples: int) -> int:
        """Count the valid frames of a clip of `n_samples`, as `hidden_states` gives them."""
        return self._rule.n_frames(n_samples)

    def hidden_states(self, waveforms: Sequence[np.ndarray]) -> HiddenStates:
        """Compute every layer of a batch of clips.

        Args:
            waveforms: mono clips at 16 kHz, (n_samples,) each, in [-1, 1], not normalised: that is
                done here, per clip.

        Returns:
            L + 1 tensors (B, T, D) and the valid frames of each clip.

        Raises:
            ClipUnusable: a clip too short, too long, not mono or not finite; or clips of different
                length where `padding` is "equal".
        """
        with torch.inference_mode(), computing(self.device, self.precision):
            return self._hidden_states(waveforms)

    def _hidden_states(self, waveforms: Sequence[np.ndarray] | Sequence[Tensor]) -> HiddenStates:
        clips = checked_clips(self, waveforms)
        n_frames = [self.n_frames(len(clip)) for clip in clips]
        longest = max(n_frames)
        layers = [layer[:, :longest] for layer in self._forward(clips)]
        if len(layers) != self.n_layers + 1 or any(
            layer.shape[:2] != (len(clips), longest) for layer in layers
        ):
            raise BackboneUnsupported(
                f"{self.name} gave layers of shape "
                f"{sorted({tuple(layer.shape) for layer in layers})}; expected "
                f"{self.n_layers + 1} of ({len(clips)}, {longest}, dim). Its frame rate changes "
                f"between blocks, or {self._rule} is not its frame rule. Choose another model."
            )
        return HiddenStates(layers, n_frames)

    def run_until(self, waveforms: Sequence[np.ndarray], done: Done) -> None:
        """Run a batch of clips, each no further than it needs.

        Blocks are computed for the clips that are still there.

        Args:
            waveforms: as `hidden_states` takes them.
            done: called for layers 0..L, as they are computed, with the layer, the positions in
                the batch (b,) of the clips that are there, and their states (b, T, D), of which a
                clip's valid frames are the first `n_frames(n_samples)`; it gives (b,), true for
                clips that leave. A state is the one that `hidden_states` gives, to rounding.

        Raises:
            ClipUnusable: see `hidden_states`.
        """
        clips = checked_clips(self, waveforms)
        with (
            torch.inference_mode(),
            computing(self.device, self.precision),
            leaving(
                self._blocks,
                len(clips),
                lambda layer, here, states: done(layer, here, states.float()),
            ),
        ):
            self._run(clips)

    def replica(self) -> Backbone:
        """Give a backbone for another thread: the same weights, and hooks of its own."""
        shared: dict[int, Any] = {
            id(tensor): tensor for tensor in (*self._encoder.parameters(), *self._encoder.buffers())
        }
        return copy.deepcopy(
            self, {**shared, id(self._config): self._config, id(self._input): self._input}
        )

    def trainable(
        self,
        *,
        checkpointing: bool = False,
        dropout: bool = False,
        layerdrop: bool = False,
        masking: bool = False,
    ) -> Trainable:
        """Give a module with a copy of the weights, whose layers have gradients.

        See `Trainable`.

        Args:
            checkpointing: keep the input of each block only and compute the block again in the
                backward pass.
            dropout: keep every dropout of the published config in training.
            layerdrop: leave blocks out in training, as often as the published config says.
            masking: mask frames and channels in training, as the published config says
                (SpecAugment).

        Raises:
            BackboneUnsupported: acoustic features, which have no weights.
        """
        from .trainable import Trainable

        return Trainable(
            self, checkpointing=checkpointing, dropout=dropout, layerdrop=layerdrop, masking=masking
        )

    def differentiable(self) -> Callable[[Sequence[Tensor]], HiddenStates]:
        """Give what computes hidden states of tensors (n_samples,), with gradients back to them.

        Samples are normalised, or made a spectrogram, as for `hidden_states`, to rounding. It is a
        `Trainable`, with a copy of the weights, of which none is trained.
        """
        return self.trainable()

    def truncate(self, k: int) -> Backbone:
        """Give the backbone of the first k blocks: its layers are the layers 0..k of this one."""
        return self.keep(range(1, k + 1))

    def keep(self, blocks: Sequence[int]) -> Backbone:
        """Give a backbone of some of the blocks only, sharing their weights.

        Args:
            blocks: numbers from 1, ascending, of this backbone's blocks.

        Raises:
            BlocksUnknown: there is no such block.
        """
        numbers = list(blocks)
        if (
            not numbers
            or numbers != sorted(set(numbers))
            or not 1 <= numbers[0] <= numbers[-1] <= self.n_layers
        ):
            raise BlocksUnknown(
                f"blocks {numbers}: expected some of 1 to {self.n_layers}, each once, ascending."
            )
        kept = self.replica()
        first = kept._blocks[0]
        for position in reversed(range(self.n_layers)):
            if position + 1 not in numbers:
                del kept._blocks[position]
        hand_over(first, kept._blocks[0])
        # one a block, found by its position
        if windows := getattr(self._config, "sliding_windows", None):
            kept._config = kept._encoder.config = copy.deepcopy(self._config)
            kept._config.sliding_windows = [list(windows[number - 1]) for number in numbers]
            kept._config.num_hidden_layers = len(numbers)
        kept.n_layers = len(numbers)
        kept.blocks = tuple(self.blocks[number - 1] for number in numbers)
        kept.name = f"{self._whole_name}, {describe_blocks(kept.blocks, self._n_blocks)}"
        kept.__dict__.pop("_weights_sha256", None)
        kept.dim = verified_dim(kept)
        return kept

    def save(self, folder: str | Path) -> Path:
        """Write the blocks that are left as a folder that `load_backbone` and transformers read.

        Args:
            folder: made whole or not at all; an earlier export there is replaced.

        Raises:
            BackboneUnsaved: the folder holds something else or cannot be written to, or the weights
                are random.
        """
        return save_backbone(Path(folder), self, self._encoder, self._input)

    def fingerprint(self) -> dict[str, str | int | float | bool | None]:
        """Give all of the model that changes a number, and no batch size, device or path."""
        return {
            "family": self.family,
            "weights_sha256": self._weights_sha256,
            "revision": self._revision,
            "architecture": json.dumps(architecture_of(self._config, self._known), sort_keys=True),
            "n_layers": self.n_layers,
            "blocks": ",".join(map(str, self.blocks)),
            "dim": self.dim,
            "layers": CONVENTION,
            "normalization": self._input.normalization,
            "normalization_source": self._input.source,
            "frames": str(self._rule),
            "padding": self.padding,
            "precision": self.precision,
            "random": self.random,
            "seed": self._seed,
            **self._peculiar,
        }

    def __repr__(self) -> str:
        return (
            f"<Backbone {self.name!r}: {self.family}, {self.n_layers} x {self.dim}, {self.device}>"
        )

    @cached_property
    def _weights_sha256(self) -> str:
        return weights_sha256(self._encoder)

    def _forward(self, clips: Sequence[Samples]) -> list[Tensor]:
        with recorded_layers(self._blocks) as layers:
            self._run(clips)
        return [at_least_float32(layer) for layer in layers]

    def _run(self, clips: Sequence[Samples]) -> None:
        """A forward pass, for what hooks on the blocks see of it."""
        # in float32, whatever the precision of the model
        with torch.autocast(self.device.type, enabled=False):
            inputs = prepared(self._input, clips, self.device)
        with warnings.catch_warnings():
            # WavLM hands PyTorch a boolean mask beside a float position bias; the result is right.
            warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")
            padded = len({len(clip) for clip in clips}) > 1
            if self._by_clip or (
                padded and getattr(self._config, "feat_extract_norm", None) == "group"
            ):
                forward_past_front_end(self._encoder, inputs)
            else:
                self._encoder(**inputs)

"""Convolutional front ends with layer norms, channels last, a piece of a clip at a time.

In WavLM-Large, HuBERT-Large, XLS-R and data2vec-audio every convolution of the waveform is followed
by a layer norm over channels. Stock modules keep channels first, and so copy the largest tensors of
a pass twice a convolution. Here a convolution is a product with windows that are views of the
frames before, its rows are normed where they are, and neither a neighbour in the batch nor its
padding is looked at. The numbers are the stock module's up to rounding, which `use_fast_front_end`
checks on the front end itself. Front ends with a group norm (the base models) gain nothing.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .layers import MOST
from .products import fits_onednn, linear_onednn, onednn_is_faster

# frames: what is made of them stays in the processor's cache, and long clips take no more memory
PIECE = 2048
SAMPLES = 7777


class ChannelsLast(nn.Module):
    """A front end that computes with channels last if nothing needs a gradient."""

    conv_layers: Any

    def forward(self, input_values: Tensor) -> Tensor:
        """Compute (B, n_samples) -> (B, C, T)."""
        if torch.is_grad_enabled() or not fits_onednn(input_values):
            stock: Tensor = super().forward(input_values)
            return stock
        return torch.stack([self._frames(clip) for clip in input_values]).transpose(1, 2)

    def _frames(self, clip: Tensor) -> Tensor:
        """The frames (T, C) of one clip (n_samples,)."""
        linear = linear_onednn if onednn_is_faster() else functional.linear
        frames = clip.contiguous()[:, None]
        for layer in self.conv_layers:
            (size,) = layer.conv.kernel_size
            (step,) = layer.conv.stride
            (n_out, n_in, _) = layer.conv.weight.shape
            n_frames = (len(frames) - size) // step + 1
            windows = frames.as_strided((n_frames, size * n_in), (step * n_in, 1))
            weight = layer.conv.weight.transpose(1, 2).reshape(n_out, size * n_in)
            frames = frames.new_empty(n_frames, n_out)
            for start in range(0, n_frames, PIECE):
                piece = linear(windows[start : start + PIECE], weight, layer.conv.bias)
                frames[start : start + PIECE] = layer.activation(layer.layer_norm(piece))
        return frames


def use_fast_front_end(encoder: nn.Module, device: torch.device) -> bool:
    """Switch a front end on a CPU to channels last, after a comparison; gives whether it is."""
    front_end: Any = getattr(encoder, "feature_extractor", None)
    if device.type != "cpu" or not _fits(front_end):
        return False
    generator = torch.Generator().manual_seed(0)
    samples = 0.05 * torch.randn(2, SAMPLES, generator=generator)
    stock_class: type[nn.Module] = type(front_end)
    with torch.inference_mode():
        stock = front_end(samples)
        front_end.__class__ = _channels_last(stock_class)  # type: ignore[arg-type]
        fast = front_end(samples)
    difference = float((fast - stock).abs().max() / stock.square().mean().sqrt())
    if difference <= MOST:
        return True
    front_end.__class__ = stock_class
    warnings.warn(
        f"the fast front end gives other frames than {stock_class.__name__} of transformers (by "
        f"{difference:.1e} of their root mean square, expected at most {MOST:g}); the stock one "
        "is used. Please report this, with the versions of torch and transformers.",
        stacklevel=2,
    )
    return False


def forward_past_front_end(encoder: Any, inputs: dict[str, Tensor]) -> None:
    """Run the front end on each clip alone, as a group norm would count the padding."""
    front_end: Any = encoder.feature_extractor
    values = inputs["input_values"]
    lengths = inputs.get("attention_mask", torch.ones_like(values)).sum(1).int().tolist()
    features = [front_end(values[row : row + 1, :n])[0].T for row, n in enumerate(lengths)]
    padded = nn.utils.rnn.pad_sequence(features, batch_first=True).transpose(1, 2)
    encoder.feature_extractor = _Computed(padded)
    try:
        encoder(**inputs)
    finally:
        encoder.feature_extractor = front_end


def _fits(front_end: Any) -> bool:
    """Whether a front end is convolutions without padding, each with norm and activation."""
    layers: Any = getattr(front_end, "conv_layers", None)
    return bool(layers) and all(
        isinstance(getattr(layer, "layer_norm", None), nn.LayerNorm)
        and isinstance(getattr(layer, "activation", None), nn.Module)
        and type(layer.conv) is nn.Conv1d
        and (layer.conv.padding, layer.conv.dilation, layer.conv.groups) == ((0,), (1,), 1)
        for layer in layers
    )


@cache
def _channels_last(stock: type[nn.Module]) -> type[nn.Module]:
    """The class of a front end with `ChannelsLast.forward`; its parameters stay."""
    return type(f"ChannelsLast{stock.__name__}", (ChannelsLast, stock), {})


class _Computed(nn.Module):
    """Stands in for a front end whose output is known."""

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.features = features

    def forward(self, _: Tensor) -> Tensor:
        return self.features

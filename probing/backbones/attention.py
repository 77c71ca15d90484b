"""WavLM's self-attention by one fused kernel, with the stock module's parameters.

Stock WavLM goes through the slow path of multi_head_attention_forward: it transposes to (time,
batch, dim), so that each projection becomes a batched product, and writes the attention weights
out. Here the gated relative position bias (Chen et al., WavLM, 2022, equations 3 to 6) is the
additive mask of scaled_dot_product_attention, and query, key and value come out of one product. The
numbers are the stock module's up to rounding, which `use_fused_attention` checks on the model
itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.wavlm.modeling_wavlm import WavLMAttention

from .layers import MOST, relative_differences
from .products import linear_onednn, onednn_is_faster

if TYPE_CHECKING:
    from .backbone import Backbone


class FusedAttention(WavLMAttention):
    """A WavLMAttention that computes the same by a fused kernel; `fuse` makes it in place.

    The position bias depends on the distance of two frames only, so that one vector of 2 T - 1
    values a head, kept for the longest clip seen, serves every length: the table (H, T, T) of a
    shorter clip is cut out of it.
    """

    _bias: Tensor | None

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_bias: Tensor | None = None,
        index: int = 0,
        **kwargs: Any,
    ) -> tuple[Tensor, None, Tensor]:
        """Attend over (B, T, D).

        Args:
            hidden_states: (B, T, D).
            attention_mask: (B, T) of bool, true on valid frames.
            position_bias: what the first block gave (H, T, T); computed there.
            index: number of the block, unused.
            kwargs: unused.

        Returns:
            (B, T, D), no attention weights, and the position bias for the next block.
        """
        batch, n_frames, dim = hidden_states.shape
        if position_bias is None:
            position_bias = self.bias_table(n_frames)
        linear = linear_onednn if self._onednn else functional.linear
        qkv = linear(hidden_states, self._qkv_weight, self._qkv_bias)
        query, key, value = qkv.view(batch, n_frames, 3, self.num_heads, self.head_dim).permute(
            2, 0, 3, 1, 4
        )
        gate = position_gate(self, hidden_states).unsqueeze(-1).contiguous()
        mask = gate.to(query.dtype) * position_bias.to(query.dtype)
        if attention_mask is not None:
            mask.masked_fill_(~attention_mask.bool()[:, None, None, :], float("-inf"))
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, scale=self.scaling
        )
        return (
            self.out_proj(mixed.transpose(1, 2).reshape(batch, n_frames, dim)),
            None,
            position_bias,
        )

    def bias_table(self, n_frames: int) -> Tensor:
        """The position bias (H, T, T) of query i and key j, as `compute_bias(T, T)` gives it."""
        bias = self._bias
        if bias is None or bias.shape[1] < 2 * n_frames - 1:
            past = self.compute_bias(n_frames, 1)[:, 1:, 0].flip(1)
            bias = self._bias = torch.cat([past, self.compute_bias(1, n_frames)[:, 0]], dim=1)
        middle = bias.shape[1] // 2
        bias = bias[:, middle - n_frames + 1 : middle + n_frames]
        return bias.unfold(1, n_frames, 1).flip(1)


def position_gate(attention: WavLMAttention, hidden_states: Tensor) -> Tensor:
    """The gate (B, H, T) of the position bias, from each frame's own state."""
    heads = hidden_states.unflatten(2, (attention.num_heads, attention.head_dim))
    gate_a, gate_b = torch.sigmoid(
        attention.gru_rel_pos_linear(heads).unflatten(3, (2, 4)).sum(-1)
    ).unbind(-1)
    return (
        gate_a * (gate_b * attention.gru_rel_pos_const.view(attention.num_heads) - 1.0) + 2.0
    ).transpose(1, 2)


def use_fused_attention(backbone: Backbone) -> bool:
    """Switch a WavLM to fused attention, after every hidden state was compared with the stock one.

    Two clips of different length are compared, so that a padding mask is too. Where they differ by
    more than rounding, the stock modules stay, with a warning.

    Returns:
        Whether the attention is fused now.
    """
    encoder = backbone._encoder
    if not fuse(encoder):
        return False
    generator = np.random.default_rng(0)
    clips = [generator.normal(0, 0.05, n).astype(np.float32) for n in (7777, 5555)]
    fused = backbone.hidden_states(clips)
    with stock_attention(encoder):
        stock = backbone.hidden_states(clips)
    differences = relative_differences(fused, stock)
    if max(differences) <= MOST:
        return True
    unfuse(encoder)
    warnings.warn(
        f"{backbone.name}: the fused attention gives other hidden states than the stock one "
        f"(layer {int(np.argmax(differences))} by {max(differences):.1e} of its root mean "
        f"square, expected at most {MOST:g}); the stock one is used. Please report this, with "
        "the versions of torch and transformers.",
        stacklevel=2,
    )
    return False


def fuse(encoder: nn.Module) -> bool:
    """Switch every stock WavLM attention of an encoder to the fused one; say whether there is any.

    The projections of query, key and value become parts of one matrix: names and values of the
    parameters stay.
    """
    found: list[Any] = [module for module in encoder.modules() if type(module) is WavLMAttention]
    for module in found:
        projections = (module.q_proj, module.k_proj, module.v_proj)
        for name in ("weight", "bias"):
            whole = torch.cat([getattr(projection, name).detach() for projection in projections])
            module.register_buffer(f"_qkv_{name}", whole, persistent=False)
            for projection, part in zip(projections, whole.chunk(3), strict=True):
                setattr(projection, name, nn.Parameter(part, requires_grad=False))
        module._bias = None
        module._onednn = whole.device.type == "cpu" and onednn_is_faster()
        module.__class__ = FusedAttention
    return bool(found)


def unfuse(encoder: nn.Module) -> None:
    """Switch every fused attention back to the stock one."""
    for module in _fused(encoder):
        module.__class__ = WavLMAttention
        del module._qkv_weight, module._qkv_bias, module._bias, module._onednn


@contextmanager
def stock_attention(encoder: nn.Module) -> Iterator[None]:
    """Compute by the stock modules for a while."""
    fused = _fused(encoder)
    for module in fused:
        module.__class__ = WavLMAttention
    try:
        yield
    finally:
        for module in fused:
            module.__class__ = FusedAttention


def _fused(encoder: nn.Module) -> list[Any]:
    return [module for module in encoder.modules() if isinstance(module, FusedAttention)]

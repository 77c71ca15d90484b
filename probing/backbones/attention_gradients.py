"""WavLM's self-attention for training, through its projections, so that adapters take part.

Nothing of the size of the attention weights is kept for the backward pass: scores, gated position
bias and softmax are computed again there, a few heads at a time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from transformers.models.wavlm.modeling_wavlm import WavLMAttention

from .attention import position_gate
from .layers import at_least_float32

TILE = {"cpu": 2**20, "cuda": 2**26}  # scores at a time: what stays in a cache, or keeps a GPU busy


class LearningAttention(WavLMAttention):
    """A WavLMAttention that can be trained; `learn` turns one into the other in place."""

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
            position_bias = self.compute_bias(n_frames, n_frames)
        query, key, value = (
            projection(hidden_states).unflatten(2, (self.num_heads, self.head_dim)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        gate = position_gate(self, hidden_states)
        valid = None if attention_mask is None else attention_mask.bool()
        if self.training and self.dropout:
            mask = _masked(
                gate.unsqueeze(-1).to(query.dtype) * position_bias.to(query.dtype), valid
            )
            mixed = functional.scaled_dot_product_attention(
                query, key, value, attn_mask=mask, dropout_p=self.dropout, scale=self.scaling
            )
        else:
            mixed = _Attention.apply(query, key, value, gate, position_bias, valid, self.scaling)
        return (
            self.out_proj(mixed.transpose(1, 2).reshape(batch, n_frames, dim)),
            None,
            position_bias,
        )


class _Attention(torch.autograd.Function):
    """softmax(scale Q K^T + gate * bias) V and its gradients, by the same tiles."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        gate: Tensor,
        bias: Tensor,
        valid: Tensor | None,
        scale: float,
    ) -> Tensor:
        """Attend: (B, H, T, d) each, gate (B, H, T), bias (H, T, T), valid (B, T).

        Gives (B, H, T, d).
        """
        mixed = torch.empty_like(
            query.transpose(1, 2), memory_format=torch.contiguous_format
        ).transpose(1, 2)
        for clips, heads in _tiles(query):
            at = clips, heads
            mask = _mask(gate[at], bias[heads], valid, clips).to(query.dtype)
            mixed[at] = functional.scaled_dot_product_attention(
                query[at], key[at], value[at], attn_mask=mask, scale=scale
            )
        ctx.save_for_backward(query, key, value, gate, bias, valid)
        ctx.scale = scale
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of query, key, value, gate and bias."""
        query, key, value, gate, bias, valid = ctx.saved_tensors
        empty = [
            torch.empty_like(x.transpose(1, 2), memory_format=torch.contiguous_format)
            for x in (query, key, value)
        ]
        d_query, d_key, d_value = (x.transpose(1, 2) for x in empty)
        d_gate = torch.empty_like(gate)
        d_bias = torch.zeros_like(bias) if ctx.needs_input_grad[4] else None
        for clips, heads in _tiles(query):
            at = clips, heads
            keys = key[at]
            products = at_least_float32(query[at] @ keys.mT)
            scores = _mask(gate[at], bias[heads], valid, clips).add_(products, alpha=ctx.scale)
            weights = scores.softmax(-1)
            d_value[at] = weights.to(grad.dtype).mT @ grad[at]
            d_weights = at_least_float32(grad[at] @ value[at].mT)
            d_scores = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)
            small = (ctx.scale * d_scores).to(query.dtype)
            d_query[at] = small @ keys
            d_key[at] = small.mT @ query[at]
            if ctx.needs_input_grad[3]:
                d_gate[at] = (d_scores * bias[heads]).sum(-1)
            if d_bias is not None:
                d_bias[heads] += (d_scores * gate[at].unsqueeze(-1)).sum(0)
        return d_query, d_key, d_value, d_gate, d_bias, None, None


def _tiles(query: Tensor) -> list[tuple[slice, slice]]:
    """Clips and heads to compute at a time, so that their scores stay small; at least one."""
    n_clips, n_heads, n_frames, _ = query.shape
    most = max(1, TILE.get(query.device.type, TILE["cuda"]) // n_frames**2)
    heads = min(n_heads, most)
    clips = max(1, most // n_heads)
    return [
        (slice(clip, clip + clips), slice(head, head + heads))
        for clip in range(0, n_clips, clips)
        for head in range(0, n_heads, heads)
    ]


def _mask(gate: Tensor, bias: Tensor, valid: Tensor | None, clips: slice) -> Tensor:
    mask = at_least_float32(gate).unsqueeze(-1) * at_least_float32(bias)
    return _masked(mask, None if valid is None else valid[clips])


def _masked(mask: Tensor, valid: Tensor | None) -> Tensor:
    return mask if valid is None else mask.masked_fill(~valid[:, None, None, :], float("-inf"))


def learn(encoder: nn.Module) -> None:
    """Switch every stock WavLM attention of an encoder to the one for training."""
    for module in encoder.modules():
        if type(module) is WavLMAttention:
            module.__class__ = LearningAttention


def unlearn(encoder: nn.Module) -> None:
    """Switch every attention for training back to the stock one."""
    for module in encoder.modules():
        if isinstance(module, LearningAttention):
            module.__class__ = WavLMAttention

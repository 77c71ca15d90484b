"""WavLM's self-attention for training: through its projections as modules, so that adapters on them take part."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.wavlm.modeling_wavlm import WavLMAttention


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
        mask = self._gate(hidden_states).unsqueeze(-1).to(query.dtype) * position_bias.to(query.dtype)
        if attention_mask is not None:
            mask = mask.masked_fill(~attention_mask.bool()[:, None, None, :], float("-inf"))
        dropout = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=dropout, scale=self.scaling
        )
        return self.out_proj(mixed.transpose(1, 2).reshape(batch, n_frames, dim)), None, position_bias

    def _gate(self, hidden_states: Tensor) -> Tensor:
        """The gate (B, H, T) of the position bias, from each frame's own state."""
        heads = hidden_states.unflatten(2, (self.num_heads, self.head_dim))
        gate_a, gate_b = torch.sigmoid(self.gru_rel_pos_linear(heads).unflatten(3, (2, 4)).sum(-1)).unbind(-1)
        return (gate_a * (gate_b * self.gru_rel_pos_const.view(self.num_heads) - 1.0) + 2.0).transpose(1, 2)


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

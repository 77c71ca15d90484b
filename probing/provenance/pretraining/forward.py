"""WavLM's forward pass for training, several times faster on a CPU than the stock one.

Stock WavLM convolves (batch, channels, time) and transposes twice per layer to normalise the
channels, and computes attention through the slow path of multi_head_attention_forward. Here the
waveform stays (batch, time, channels), so that a strided convolution is one matrix product over
consecutive samples, and attention is two products, with the gated relative position bias added in
the first. A test holds every hidden state to the stock model's.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def hidden_states(model: Any, waveforms: Tensor, mask: Tensor | None = None) -> list[Tensor]:
    """Compute every hidden state of a WavLM with layer-norm front end and stable layer norm.

    Args:
        model: a transformers WavLMModel.
        waveforms: (batch, samples), all of one length, normalised.
        mask: (batch, frames) of bool; frames whose features are replaced by the model's
            `masked_spec_embed`.

    Returns:
        L + 2 tensors (batch, frames, dim): the input of block 1, the raw output of blocks 1 to L,
        and the last one after the encoder's final layer norm.
    """
    features = front_end(model.feature_extractor, waveforms)
    state = model.feature_projection(features)[0]
    if mask is not None:
        state = torch.where(mask[..., None], model.masked_spec_embed.to(state.dtype), state)
    encoder = model.encoder
    state = encoder.dropout(state + encoder.pos_conv_embed(state))
    states = [state]
    bias = encoder.layers[0].attention.compute_bias(state.shape[1], state.shape[1])
    for block in encoder.layers:
        state = state + block.dropout(attention(block.attention, block.layer_norm(state), bias))
        state = state + block.feed_forward(block.final_layer_norm(state))
        states.append(state)
    states.append(encoder.layer_norm(state))
    return states


def front_end(extractor: Any, waveforms: Tensor) -> Tensor:
    """Convolutional features (batch, frames, channels) of waveforms (batch, samples)."""
    state = waveforms[..., None]
    for layer in extractor.conv_layers:
        state = strided_convolution(state, layer.conv)
        state = functional.gelu(layer.layer_norm(state))
    return state


def strided_convolution(state: Tensor, conv: nn.Conv1d) -> Tensor:
    """Convolve (batch, time, channels) by one product over blocks of `stride` samples."""
    (kernel,), (stride,) = conv.kernel_size, conv.stride
    batch, n, channels = state.shape
    n_out = (n - kernel) // stride + 1
    n_blocks = -(-kernel // stride)
    needed = (n_out + n_blocks - 1) * stride
    if n < needed:
        # filled up, not seen: cut off again below
        state = functional.pad(state, (0, 0, 0, needed - n))
    blocks = state[:, :needed].reshape(batch, n_out + n_blocks - 1, stride * channels)
    windows = (
        torch.cat([blocks[:, i : i + n_out] for i in range(n_blocks)], dim=-1)
        if n_blocks > 1
        else blocks
    )
    windows = windows[..., : kernel * channels]
    weight = conv.weight.transpose(1, 2).reshape(conv.out_channels, kernel * channels)
    return functional.linear(windows, weight, conv.bias)


def attention(layer: Any, state: Tensor, bias: Tensor) -> Tensor:
    """Attend with WavLM's gated relative position bias; `bias` is (heads, frames, frames).

    The weights of crops of a few seconds are small; written out, this is 1.5 times faster than
    scaled_dot_product_attention, which takes its slowest path where the additive mask has a
    gradient.
    """
    batch, n_frames, dim = state.shape
    heads = layer.num_heads
    gate = (
        layer.gru_rel_pos_linear(state.view(batch, n_frames, heads, -1))
        .view(batch, n_frames, heads, 2, 4)
        .sum(-1)
    )
    gate_a, gate_b = torch.sigmoid(gate).unbind(-1)
    gate = gate_a * (gate_b * layer.gru_rel_pos_const.view(heads) - 1.0) + 2.0
    weight = torch.cat(
        [layer.q_proj.weight * layer.scaling, layer.k_proj.weight, layer.v_proj.weight]
    )
    offset = torch.cat([layer.q_proj.bias * layer.scaling, layer.k_proj.bias, layer.v_proj.bias])
    qkv = (
        functional.linear(state, weight, offset)
        .view(batch, n_frames, 3, heads, -1)
        .permute(2, 0, 3, 1, 4)
    )
    query, key, value = (part.reshape(batch * heads, n_frames, -1) for part in qkv.unbind(0))
    gated_bias = gate.transpose(1, 2)[..., None].to(query.dtype) * bias.to(query.dtype)
    scores = torch.baddbmm(
        gated_bias.reshape(batch * heads, n_frames, n_frames), query, key.transpose(1, 2)
    )
    with torch.autocast(state.device.type, enabled=False):
        weights = torch.softmax(scores, dim=-1)
    mixed = torch.bmm(weights, value).view(batch, heads, n_frames, -1)
    return layer.out_proj(mixed.transpose(1, 2).reshape(batch, n_frames, dim))


def half_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Compute products in bfloat16 where the machine can, everything that adds up in float32.

    A CPU without bfloat16 instructions imitates them: measured, 13 times slower than float32.
    """
    able = device.type != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=able)

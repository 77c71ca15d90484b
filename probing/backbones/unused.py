"""Weights that a checkpoint holds and its model has no place for: transformers leaves them out without a word.

An adapter that was not merged, the scales of integer weights, or an architecture other than config.json says: each
gives other hidden states than the published model. Heads, decoders and quantisers stand beside the encoder and change
none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .checkpoint import Checkpoint
from .errors import CheckpointIncomplete
from .families import Family

# Parts of a base model that come after the blocks or serve training only: they change no hidden state.
WITHOUT_INFLUENCE = {"decoder", "adapter", "intermediate_ffn", "masked_spec_embed", "pooler", "lm_head", "quantizer"}
WRAPPING = {"model", "module", "base_model", "_orig_mod"}  # modules around a model that its weights may be named after
PACKED = re.compile(r"[IU](8|16|32|64)|F(4|8).*|BOOL")  # types of safetensors that hold no weights as they are
ADAPTERS = ("lora_", "adapter", "magnitude_vector", "ia3", "base_layer", "hada_", "oft_", "vera_")
SCALES = ("SCB", "scale", "qweight", "qzeros", "zero_point", "absmax", "quant")


def has_influence(weight: str) -> bool:
    """Say whether a weight of this name can change a hidden state."""
    return weight.split(".", 1)[0] not in WITHOUT_INFLUENCE


def refuse_other_files(checkpoint: Checkpoint) -> None:
    """Refuse an adapter that lies beside the weights, and weights that are stored as integers.

    Raises:
        CheckpointIncomplete: names the file or the weights, and what to do.
    """
    folder, name = checkpoint.folder, checkpoint.name
    beside = next(
        (path.name for pattern in ("adapter_config.json", "adapter_model.*") for path in folder.glob(pattern)), ""
    )
    if beside:
        raise CheckpointIncomplete(
            f"{name}: an adapter ({beside}) lies beside the weights in {folder}, and is not part of them. Merge it and "
            "save the model again (merge_and_unload of peft), put it into a folder of its own, which is then merged "
            "when it is loaded, or take it away for the model without it."
        )
    packed = [key for path in sorted(folder.glob("*.safetensors")) for key in _packed(path)]
    packed += [key for path in sorted(folder.glob("pytorch_model*.bin")) for key in _packed_in_bin(path)]
    packed = [key for key in packed if has_influence(key)]
    if packed:
        raise CheckpointIncomplete(
            f"{name}: {len(packed)} weights are stored as integers or in 8 bits ({few(packed)}); expected numbers of "
            "16 bits or more. Give the model as it was before it was quantised, or dequantise and save it again."
        )


def check_all_used(
    checkpoint: Checkpoint, family: Family, model: Any, encoder: nn.Module, unexpected: Iterable[str]
) -> int | None:
    """Refuse a checkpoint that holds weights of an encoder for which the model has no place.

    Args:
        checkpoint: where they are from.
        family: of the model.
        model: as it was loaded.
        encoder: its encoder.
        unexpected: names of the weights that were left out.

    Returns:
        How many blocks are stored if the model has fewer; else None.

    Raises:
        CheckpointIncomplete: names a few of the weights, and what to do.
    """
    unused = [key for key in unexpected if _is_of_encoder(key, model, encoder)]
    n_blocks = getattr(encoder.config, "num_hidden_layers", 0)
    if family.blocks:
        blocks: Any = reduce(getattr, family.blocks.split("."), encoder)
        n_blocks = len(blocks)
    path = re.compile(rf"(?:^|\.){re.escape(family.blocks or 'layers')}\.(\d+)\.")
    numbers = {key: int(match[1]) for key in unused if (match := path.search(key))}
    others = [key for key in unused if numbers.get(key, -1) < n_blocks]
    if not others:
        return max(numbers.values()) + 1 if numbers else None
    if any(mark in key for key in others for mark in ADAPTERS):
        advice = "They are of an adapter: merge it (merge_and_unload of peft) and save the model again."
    elif any(mark in key for key in others for mark in SCALES):
        advice = "They scale integer weights: dequantise the model and save it again."
    else:
        types = checkpoint.config.model_type
        advice = f"If they are of another architecture than {types}, mend model_type and the rest of config.json."
    raise CheckpointIncomplete(
        f"{checkpoint.name}: {len(others)} weights of the encoder have no place in the model that config.json "
        f"describes ({few(others)}), and would be left out. {advice}"
    )


def few(names: Iterable[str], n: int = 4) -> str:
    """The first of some names, in their order."""
    names = sorted(names)
    return ", ".join(names[:n]) + (", ..." if len(names) > n else "")


def _is_of_encoder(key: str, model: Any, encoder: nn.Module) -> bool:
    """Say whether a weight stands below a part of the encoder, whatever modules were wrapped around the model."""
    parts = key.split(".")
    inside = {name for name, _ in encoder.named_children()} - WITHOUT_INFLUENCE
    if encoder is not model:  # found in an encoder-decoder model under this name
        inside = {"encoder"}
    while len(parts) > 1 and parts[0] not in inside and parts[0] in {*WRAPPING, model.base_model_prefix}:
        parts = parts[1:]
    if len(parts) == 2 and parts[0] in inside:
        # A head of the name of a part, as the feature_extractor of x-vector models: parts hold modules, not weights.
        return bool(list(encoder.get_submodule(parts[0]).parameters(recurse=False)))
    return parts[0] in inside


def _packed(path: Path) -> list[str]:
    """Weights of a safetensors file whose type is no floating point of 16 bits or more, from its header."""
    with open(path, "rb") as file:
        n_bytes = int.from_bytes(file.read(8), "little")
        if n_bytes > path.stat().st_size:
            return []  # damaged: refused when it is loaded
        try:
            header = json.loads(file.read(n_bytes))
        except ValueError:
            return []
    return [
        key
        for key, value in header.items()
        if key != "__metadata__" and len(value.get("shape", ())) > 1 and PACKED.fullmatch(value.get("dtype", ""))
    ]


def _packed_in_bin(path: Path) -> list[str]:
    try:
        content = torch.load(path, map_location="meta", weights_only=True)
        return [
            key
            for key, value in content.items()
            if value.ndim > 1 and not (value.is_floating_point() and value.itemsize > 1)
        ]
    except Exception:  # refused, with the reason, when it is loaded
        return []

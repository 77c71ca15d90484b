"""Weights of a checkpoint that its model has no place for, which transformers leaves out.

An adapter that was not merged, the scales of integer weights, or an architecture other than
config.json says: each gives other hidden states than the published model. Heads, decoders and
quantisers stand beside the encoder and change none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from .checkpoint import Checkpoint
from .errors import CheckpointIncomplete
from .families import Family
from .stored import adapter_beside, packed_weights

# Parts of a base model that come after the blocks or serve training only: they change no hidden
# state.
WITHOUT_INFLUENCE = {
    "decoder",
    "adapter",
    "intermediate_ffn",
    "masked_spec_embed",
    "pooler",
    "lm_head",
    "quantizer",
}
# modules around a model that its weights may be named after
WRAPPING = {"model", "module", "base_model", "_orig_mod"}
ADDED = (
    "lora_",
    "magnitude_vector",
    "ia3",
    "base_layer",
    "hada_",
    "lokr_",
    "oft_",
    "boft_",
    "vera_",
    "prompt_embed",
)
ADAPTERS = (*ADDED, "adapter")
SCALES = ("SCB", "scale", "qweight", "qzeros", "zero_point", "absmax", "quant")
MERGE = "merge it (merge_and_unload of peft) and save the model again."


def has_influence(weight: str) -> bool:
    """Say whether a weight of this name can change a hidden state."""
    return weight.split(".", 1)[0] not in WITHOUT_INFLUENCE


def refuse_other_files(checkpoint: Checkpoint) -> None:
    """Refuse an adapter beside the weights, and a model whose config says it is quantised.

    Raises:
        CheckpointIncomplete: names the file or the entry, and what to do.
    """
    folder = checkpoint.folder
    name = checkpoint.name
    quantized = getattr(checkpoint.config, "quantization_config", None)
    if quantized:
        method = (
            quantized.get("quant_method", "?")
            if isinstance(quantized, Mapping)
            else type(quantized).__name__
        )
        raise CheckpointIncomplete(
            f"{name}: config.json has a quantization_config ({method}), so the weights are not "
            "those that were trained; expected numbers of 16 bits or more. Give the model as it "
            "was before it was quantised, or dequantise it (model.dequantize()) and save it "
            "again; take the entry out if the weights are whole."
        )
    beside = adapter_beside(folder)
    if beside:
        raise CheckpointIncomplete(
            f"{name}: an adapter ({beside}) lies beside the weights in {folder}, and is not part "
            "of them. Merge it and save the model again (merge_and_unload of peft), put it into "
            "a folder of its own, which is then merged when it is loaded, "
            "or take it away for the model without it."
        )


def refuse_packed(checkpoint: Checkpoint, model: Any, encoder: nn.Module) -> None:
    """Refuse weights of the encoder stored as integers or in 8 bits, which are steps of a scale.

    Raises:
        CheckpointIncomplete: names a few of them, and what to do.
    """
    indices = {name for name, value in model.state_dict().items() if not value.is_floating_point()}
    packed = [
        key
        for key in filter(encoder_weights(model, encoder), packed_weights(checkpoint.folder))
        if not _ending_in(key, indices)  # integers in the model too, such as positions
    ]
    if packed:
        raise CheckpointIncomplete(packed_message(checkpoint, packed))


def packed_message(checkpoint: Checkpoint, packed: Sequence[str]) -> str:
    """What to say of weights that are stored as integers or in 8 bits."""
    return (
        f"{checkpoint.name}: {len(packed)} weights are stored as integers or in 8 bits "
        f"({few(packed)}); expected numbers of 16 bits or more. Give the model as it was before "
        "it was quantised, or dequantise and save it again."
    )


def check_all_used(
    checkpoint: Checkpoint,
    family: Family,
    model: Any,
    encoder: nn.Module,
    unexpected: Iterable[str],
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
    unused = list(filter(encoder_weights(model, encoder), unexpected))
    n_blocks = getattr(encoder.config, "num_hidden_layers", 0)
    if family.blocks:
        n_blocks = len(family.blocks_of(encoder))
    path = re.compile(rf"(?:^|\.){re.escape(family.blocks or 'layers')}\.(\d+)\.")
    numbers = {key: int(match[1]) for key in unused if (match := path.search(key))}
    others = [key for key in unused if numbers.get(key, -1) < n_blocks]
    if not others:
        return max(numbers.values()) + 1 if numbers else None
    types = checkpoint.config.model_type
    advice = advice_on(checkpoint.config, others) or (
        f"If they are of another architecture than {types}, mend model_type and the rest of "
        "config.json; if they are a second model in the same "
        "file, save the one that is wanted alone."
    )
    raise CheckpointIncomplete(
        f"{checkpoint.name}: {len(others)} weights of the encoder have no place in the model "
        f"that config.json describes ({few(others)}), and would be left out. {advice}"
    )


def advice_on(config: Any, unexpected: Iterable[str], missing: Iterable[str] = ()) -> str:
    """What to do about weights without a place, by their names; empty if these say nothing.

    Args:
        config: of the model.
        unexpected: weights of the file without a place in the model.
        missing: weights of the model that the file does not hold.
    """
    found = sorted(unexpected)
    wanted = sorted(missing)
    if hasattr(config, "adapter_attn_dim") and any(
        ".adapter_layer.linear_" in key for key in found
    ):
        return "They are adapters of MMS: config.json has to state their width as adapter_attn_dim."
    if any(mark in key for key in found for mark in ADAPTERS):
        return f"They are of an adapter: {MERGE}"
    if any(mark in key for key in found for mark in SCALES):
        return "They scale integer weights: dequantise the model and save it again."
    if found and not any("." in key for key in found) and len(found) < len(wanted):
        return (
            f"The file holds a training state ({few(found)}), not weights: load it, and "
            "save_pretrained the model."
        )
    for name in wanted[:1]:
        around = next((key.removesuffix(name) for key in found if key.endswith("." + name)), "")
        if around and _most({around + name for name in wanted}, found):
            return (
                f"The weights are named below {around!r}, which a wrapper "
                "(DistributedDataParallel, torch.compile, a model of one's own) puts there: "
                "save_pretrained the model that it wraps."
            )
        below = next((name.removesuffix(key) for key in found if name.endswith("." + key)), "")
        if below and _most({name.removeprefix(below) for name in wanted}, found):
            return (
                "The weights are of the encoder alone: save them "
                f"with {below!r} before their names."
            )
    return ""


def _ending_in(key: str, names: set[str]) -> bool:
    """Say whether a weight's name is one of some, whatever modules were wrapped around it."""
    parts = key.split(".")
    return any(".".join(parts[i:]) in names for i in range(len(parts)))


def _most(names: set[str], found: Sequence[str]) -> bool:
    return 2 * len(names.intersection(found)) > len(names)


def few(names: Iterable[str], n: int = 4) -> str:
    """The first of some names, in their order.

    >>> few(["a", "b"])
    'a, b'
    """
    names = sorted(names)
    return ", ".join(names[:n]) + (", ..." if len(names) > n else "")


def encoder_weights(model: Any, encoder: nn.Module) -> Callable[[str], bool]:
    """Whether the name of a weight stands below a part of the encoder, whatever wraps it.

    Args:
        model: as it was loaded.
        encoder: the model itself, or the part of it that is called `encoder`.
    """
    is_part = encoder is not model
    parts_of = {name for name, _ in encoder.named_children()} - WITHOUT_INFLUENCE
    inside = {"encoder"} if is_part else parts_of
    prefix = "encoder." if is_part else ""
    places = {
        prefix + name for name, _ in encoder.named_modules() if name.split(".")[0] in parts_of
    }
    stored = set(model.state_dict())
    # stored by earlier versions
    computed = {name for name, _ in model.named_buffers() if name not in stored}

    def contains(key: str) -> bool:
        parts = key.split(".")
        if parts[-1] == "position_ids" or _ending_in(key, computed):
            return False
        while (
            len(parts) > 1
            and parts[0] not in inside
            and parts[0] in {*WRAPPING, model.base_model_prefix}
        ):
            parts = parts[1:]
        if len(parts) == 2 and parts[0] in inside and not is_part:
            # A head of the name of a part, as the feature_extractor of x-vector models: parts hold
            # modules.
            return bool(list(encoder.get_submodule(parts[0]).parameters(recurse=False)))
        if parts[0] in inside:
            return True
        # Below a module that the model does not have, such as a teacher: known by two or more names
        # in a row.
        rows = (
            ".".join(parts[i:j]) for i in range(1, len(parts)) for j in range(i + 2, len(parts))
        )
        return any(row in places for row in rows)

    return contains

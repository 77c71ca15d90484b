"""Adapters of PEFT: the base is found, the adapter put on it and merged into its weights."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from .checkpoint import Checkpoint
from .errors import BackboneUnsupported, CheckpointIncomplete
from .library import first_line, quiet
from .unused import few

WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
PREFIX = "base_model.model."


def merged(checkpoint: Checkpoint, model: Any, encoder: nn.Module) -> nn.Module:
    """Put the adapter of a checkpoint on its model, and merge it: W + scale B A for LoRA.

    Every weight of the adapter must find its place; those of a head, which is not there, do not
    count.

    Args:
        checkpoint: with an adapter.
        model: the base, as it was loaded; changed in place.
        encoder: its encoder.

    Returns:
        The encoder with the merged weights.

    Raises:
        BackboneUnsupported: peft is not installed, or cannot put this adapter on this model.
        CheckpointIncomplete: weights of the adapter, or of its places in the model, are left over.
    """
    folder = checkpoint.adapter
    assert folder is not None
    try:
        import peft
    except ImportError as error:
        raise BackboneUnsupported(
            f"{folder}: holds an adapter, and peft, which merges it, is not installed "
            f"({first_line(error)}). Type `pip install -c constraints.txt -e '.[peft]'`, or "
            "merge it elsewhere (merge_and_unload) and save that."
        ) from error
    of_encoder = _of_encoder(_weights(folder), model, encoder)
    try:
        # Some kinds of adapter draw numbers when they are put on a model, before theirs are set.
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), quiet():
            torch.default_generator.manual_seed(0)
            warnings.simplefilter("ignore")  # of what peft will have renamed
            config = peft.PeftConfig.from_pretrained(str(folder), local_files_only=True)
            config.inference_mode, config.task_type = True, None
            adapted = peft.get_peft_model(model, config)
            wanted = {
                key
                for key in peft.get_peft_model_state_dict(adapted)
                if _is_of(key, model, encoder)
            }
            peft.set_peft_model_state_dict(adapted, dict(of_encoder))  # which renames in place
            left = sorted({*of_encoder} ^ wanted)
            adapted.merge_and_unload(safe_merge=True)
    except Exception as error:
        raise BackboneUnsupported(
            f"{folder}: peft cannot put this adapter on {checkpoint.name} ({first_line(error)}). "
            "Merge it where it was trained (merge_and_unload), and save the model."
        ) from error
    if left or not of_encoder:
        raise CheckpointIncomplete(
            f"{folder}: the adapter and {checkpoint.name} do not fit: {len(left)} weights are "
            f"only in one of them ({few(left)}). Give the base that it was trained on "
            "(base_model_name_or_path of adapter_config.json)."
        )
    if getattr(config, "bias", "none") != "none" and not any(
        key.endswith("bias") for key in of_encoder
    ):
        raise CheckpointIncomplete(
            f"{folder}: trained with bias={config.bias!r}, but holds no bias (peft leaves those "
            "of lora_only out when it saves). Merge it where it was trained (merge_and_unload), "
            "or write bias: none into adapter_config.json to take it without them."
        )
    return encoder


def _of_encoder(
    weights: dict[str, torch.Tensor], model: Any, encoder: nn.Module
) -> dict[str, torch.Tensor]:
    """The adapter's weights of the encoder, named as on the model without a head."""
    around = f"{PREFIX}{model.base_model_prefix}."
    named = {
        PREFIX + key.removeprefix(around) if key.startswith(around) else key: value
        for key, value in weights.items()
    }
    return {key: value for key, value in named.items() if _is_of(key, model, encoder)}


def _is_of(key: str, model: Any, encoder: nn.Module) -> bool:
    """Whether a weight is of the encoder, and not of a head or a decoder.

    Those are not loaded, or never run.
    """
    part = key.removeprefix(PREFIX).split(".")[0]
    return part in (
        {name for name, _ in model.named_children()} if encoder is model else {"encoder"}
    )


def adapter_sha256(folder: Path) -> str:
    """Hash an adapter: names, shapes and values of its weights."""
    digest = hashlib.sha256()
    for name, weight in sorted(_weights(folder).items()):
        digest.update(f"{name}|{tuple(weight.shape)}|".encode())
        digest.update(weight.float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    path = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if path is None:
        raise CheckpointIncomplete(
            f"{folder}: an adapter without weights; expected {' or '.join(WEIGHTS)}. Fetch them."
        )
    try:
        return (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, weights_only=True)
        )
    except Exception as error:
        raise CheckpointIncomplete(
            f"{path}: cannot be read ({first_line(error)}). Fetch it again."
        ) from error

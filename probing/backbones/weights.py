"""The weights of an encoder: loaded whole or refused, or random; identified by content."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import torch
from torch import nn

from .adapters import adapter_sha256, merged
from .checkpoint import Checkpoint
from .errors import BackboneUnsupported, CheckpointIncomplete
from .families import Family
from .library import first_line, import_transformers, quiet
from .stored import packed_weights
from .unused import (
    advice_on,
    check_all_used,
    few,
    has_influence,
    packed_message,
    refuse_other_files,
    refuse_packed,
)


def load_encoder(checkpoint: Checkpoint, family: Family) -> tuple[nn.Module, dict[str, str | int]]:
    """Load a checkpoint's encoder in float32, with every weight of an encoder that it holds.

    Returns:
        The encoder; and what is peculiar about it, for the fingerprint: `stored_blocks` if the
        config counts fewer; `base_sha256` and `adapter_sha256` if an adapter was merged.

    Raises:
        CheckpointIncomplete: there are no weights, or some of the encoder's are missing or of
            another shape, which transformers would fill with random numbers; or there are some that
            it would leave out, see `unused`.
        BackboneUnsupported: transformers cannot build the model.
    """
    name = checkpoint.name
    if not checkpoint.has_weights:
        raise CheckpointIncomplete(
            f"{name}: no model.safetensors and no pytorch_model.bin in {checkpoint.folder}. "
            f"Fetch the weights, or type `random:{checkpoint.folder}` for "
            "the same architecture with random weights."
        )
    refuse_other_files(checkpoint)
    with torch.random.fork_rng(devices=[]), quiet():
        try:
            model, report = import_transformers().AutoModel.from_pretrained(
                checkpoint.folder,
                config=_without_decoder(checkpoint.config, family),
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported, and refused below
                local_files_only=True,
                trust_remote_code=False,
                weights_only=True,
            )
        except Exception as error:
            if packed := packed_weights(checkpoint.folder):
                raise CheckpointIncomplete(packed_message(checkpoint, packed)) from error
            raise BackboneUnsupported(
                f"{name}: transformers cannot load this model ({first_line(error)}). "
                "Check that config.json and the weights belong together, and fetch them again."
            ) from error
    encoder = encoder_of(model, family)
    refuse_packed(checkpoint, model, encoder)
    missing = [key for key in report["missing_keys"] if has_influence(key)]
    mismatched = [key if isinstance(key, str) else key[0] for key in report["mismatched_keys"]]
    mismatched = [key for key in mismatched if has_influence(key)]
    others = report["unexpected_keys"]
    if missing or mismatched or report.get("error_msgs"):
        found = [f"{len(missing)} missing ({few(missing)})"] if missing else []
        found += [f"{len(mismatched)} of another shape ({few(mismatched)})"] if mismatched else []
        found += [first_line(Exception(message)) for message in report.get("error_msgs") or []]
        found += (
            [f"{len(others)} are there that it does not have ({few(others)})"] if others else []
        )
        advice = advice_on(checkpoint.config, others, missing) or (
            "Fetch the checkpoint again, convert it to the form of transformers, or mend "
            "model_type and the rest of config.json, if they are of another architecture."
        )
        raise CheckpointIncomplete(
            f"{name}: the checkpoint does not fill the encoder: {'; '.join(found)}; expected "
            f"every encoder weight, where random numbers would have been. {advice} If random "
            f"weights are what you want, type `random:{checkpoint.folder}`."
        )
    stored = check_all_used(checkpoint, family, model=model, encoder=encoder, unexpected=others)
    peculiar: dict[str, str | int] = {"stored_blocks": stored} if stored else {}
    if checkpoint.adapter:
        peculiar |= {
            "base_sha256": weights_sha256(encoder),
            "adapter_sha256": adapter_sha256(checkpoint.adapter),
        }
        encoder = merged(checkpoint, model, encoder)
    return encoder, peculiar


def random_encoder(checkpoint: Checkpoint, family: Family, seed: int) -> nn.Module:
    """Build an architecture with weights drawn from `seed`, not by the caller's generator."""
    with torch.random.fork_rng(devices=[]), quiet():
        torch.default_generator.manual_seed(seed)
        try:
            model = import_transformers().AutoModel.from_config(
                _without_decoder(checkpoint.config, family),
                dtype=torch.float32,
                trust_remote_code=False,
            )
        except Exception as error:
            raise BackboneUnsupported(
                f"{checkpoint.name}: transformers cannot build a model from this config "
                f"({first_line(error)}). Check config.json, or choose another model."
            ) from error
    return encoder_of(model, family)


def encoder_of(model: Any, family: Family) -> nn.Module:
    """Take the encoder of an encoder-decoder model; other models are their own."""
    encoder: nn.Module = model
    if family.has_decoder(model.config) and hasattr(model, "get_encoder"):
        encoder = model.get_encoder()
    if not hasattr(encoder, "config"):
        raise BackboneUnsupported(
            f"{family.title}: its encoder, {type(encoder).__name__}, has no config of its own, "
            "and cannot be read alone. Choose another model."
        )
    return encoder


def weights_sha256(encoder: nn.Module) -> str:
    """Hash the encoder's weights: names, dtypes, shapes and bytes, in the order of the names.

    The weights are hashed as loaded, in float32: the file format and the dtype on disk do not
    matter while the values agree.
    """
    digest = hashlib.sha256()
    for name, weight in sorted(encoder.state_dict().items()):
        if has_influence(name):
            digest.update(f"{name}|{weight.dtype}|{tuple(weight.shape)}|".encode())
            digest.update(weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _without_decoder(config: Any, family: Family) -> Any:
    config = copy.deepcopy(config)
    if family.decoder_layers is not None:
        setattr(config, family.decoder_layers, 0)
    return config

"""The weights of an encoder: loaded whole or refused, drawn at random as a control, and identified by their content."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import torch
from torch import nn

from .adapters import merged
from .checkpoint import Checkpoint
from .errors import BackboneUnsupported, CheckpointIncomplete
from .families import Family
from .library import first_line, import_transformers, quiet
from .unused import check_all_used, few, has_influence, refuse_other_files


def load_encoder(checkpoint: Checkpoint, family: Family) -> tuple[nn.Module, int | None]:
    """Load a checkpoint's encoder in float32, with every weight of an encoder that it holds.

    Returns:
        The encoder; and how many blocks are stored if the config counts fewer, else None.

    Raises:
        CheckpointIncomplete: there are no weights, or some of the encoder's are missing or of another shape, which
            transformers would fill with random numbers; or there are some that it would leave out, see `unused`.
        BackboneUnsupported: transformers cannot build the model.
    """
    name = checkpoint.name
    if not checkpoint.has_weights:
        raise CheckpointIncomplete(
            f"{name}: no model.safetensors and no pytorch_model.bin in {checkpoint.folder}. "
            f"Fetch the weights, or type `random:{checkpoint.folder}` for the same architecture with random weights."
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
            raise BackboneUnsupported(
                f"{name}: transformers cannot load this model ({first_line(error)}). "
                "Check that config.json and the weights belong together, and fetch them again."
            ) from error
    missing = [key for key in report["missing_keys"] if has_influence(key)]
    mismatched = [key if isinstance(key, str) else key[0] for key in report["mismatched_keys"]]
    mismatched = [key for key in mismatched if has_influence(key)]
    if missing or mismatched or report.get("error_msgs"):
        found = [f"{len(missing)} missing ({few(missing)})"] if missing else []
        found += [f"{len(mismatched)} of another shape ({few(mismatched)})"] if mismatched else []
        found += [first_line(Exception(message)) for message in report.get("error_msgs") or []]
        others = report["unexpected_keys"]
        found += [f"{len(others)} are there that it does not have ({few(others)})"] if others else []
        raise CheckpointIncomplete(
            f"{name}: the checkpoint does not fill the encoder: {'; '.join(found)}; expected every encoder weight. "
            "They would have been random numbers. Fetch the checkpoint again, or type "
            f"`random:{checkpoint.folder}` if random "
            "weights are what you want."
        )
    encoder = encoder_of(model)
    stored = check_all_used(checkpoint, family, model, encoder, report["unexpected_keys"])
    return (merged(checkpoint, model, encoder) if checkpoint.adapter else encoder), stored


def random_encoder(checkpoint: Checkpoint, family: Family, seed: int) -> nn.Module:
    """Build a checkpoint's architecture with weights drawn from `seed`, leaving the caller's random state alone."""
    with torch.random.fork_rng(devices=[]), quiet():
        torch.default_generator.manual_seed(seed)
        try:
            model = import_transformers().AutoModel.from_config(
                _without_decoder(checkpoint.config, family), dtype=torch.float32, trust_remote_code=False
            )
        except Exception as error:
            raise BackboneUnsupported(
                f"{checkpoint.name}: transformers cannot build a model from this config ({first_line(error)}). "
                "Check config.json, or choose another model."
            ) from error
    return encoder_of(model)


def encoder_of(model: Any) -> nn.Module:
    """Take the encoder of an encoder-decoder model; other models are their own."""
    if getattr(model.config, "is_encoder_decoder", False) and hasattr(model, "get_encoder"):
        return model.get_encoder()
    return model


def weights_sha256(encoder: nn.Module) -> str:
    """Hash the encoder's weights: names, dtypes, shapes and bytes, in the order of the names.

    The weights are hashed as loaded, in float32: the file format and the dtype on disk do not matter while the values
    agree.
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

"""A backbone as a folder: fewer blocks in the config, their weights, how audio was prepared.

config.json, model.safetensors, preprocessor_config.json   as transformers writes and reads them
export.json                                                what it was made of; size and checksum of
                                                           every file
"""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from cache.atomic import PARTIAL, replace_folder
from probing.sealing import seal
from probing.tensors import errors_of_the_disk

from .errors import BackboneUnsaved
from .families import FAMILIES, Family
from .inputs import Input
from .library import import_transformers, quiet

if TYPE_CHECKING:
    from .backbone import Backbone

EXPORT = "export.json"
# an encoder's own config, and the whole one's
NESTED = {"moonshine_streaming_encoder": "MoonshineStreamingConfig"}
NEEDED = ("config.json", "model.safetensors", "preprocessor_config.json", EXPORT)


def save_backbone(folder: Path, backbone: Backbone, encoder: nn.Module, audio_input: Input) -> Path:
    """Write a backbone's encoder as it is, whichever blocks are left; see `Backbone.save`."""
    if backbone.random:
        raise BackboneUnsaved(
            f"{backbone.name}: loaded again, random weights would pass for trained ones. Type "
            f"`{backbone.spec}` wherever the control is wanted."
        )
    _check_place(folder)
    partial = folder.with_name(folder.name + PARTIAL)
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        family = FAMILIES.get(backbone.family) or Family(backbone.family, backbone.family)
        weights = _weights(encoder, family)
        config = _config(backbone, family, encoder, next(iter(weights.values())).dtype)
        with quiet():
            config.save_pretrained(partial)
        with errors_of_the_disk(partial / "model.safetensors"):
            save_file(weights, partial / "model.safetensors", metadata={"format": "pt"})
        _write_json(partial / "preprocessor_config.json", audio_input.settings)
        seal(partial, EXPORT, {"name": backbone.name, **backbone.fingerprint()})
        for name in NEEDED:
            (partial / name).chmod(0o644)  # safetensors writes for the owner only
        replace_folder(partial, folder)
    except OSError as error:
        raise BackboneUnsaved(
            f"{folder}: cannot be written to "
            f"({error.strerror or error}). Make room, or name another folder."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _check_place(folder: Path) -> None:
    if not folder.name:
        raise BackboneUnsaved(f"{folder}: expected the name of a new folder. Name one.")
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not all((folder / name).is_file() for name in NEEDED):
        raise BackboneUnsaved(
            f"{folder}: is there and is no exported backbone. Name another folder, or remove it."
        )


def _weights(encoder: nn.Module, family: Family) -> dict[str, Tensor]:
    """The weights, named as the base model does; in float16 if that loses nothing."""
    # An encoder that was taken out of an encoder-decoder model is found there under its name.
    prefix = "encoder." if family.has_decoder(encoder.config) else ""
    weights = {
        prefix + name: weight.detach().cpu().contiguous()
        for name, weight in encoder.state_dict().items()
    }
    floating = [weight for weight in weights.values() if weight.is_floating_point()]
    if all(torch.equal(weight.half().to(weight.dtype), weight) for weight in floating):
        return {
            name: weight.half() if weight.is_floating_point() else weight
            for name, weight in weights.items()
        }
    return weights


def _config(backbone: Backbone, family: Family, encoder: nn.Module, dtype: torch.dtype) -> Any:
    config: Any = copy.deepcopy(encoder.config)
    setattr(config, family.block_count, backbone.n_layers)
    # transformers loads the whole model only, here without decoder blocks
    if config.model_type in NESTED:
        kept = {
            name: getattr(config, name)
            for name in ("hidden_size", "num_attention_heads", "num_key_value_heads")
        }
        whole = getattr(import_transformers(), NESTED[config.model_type])
        config = whole(encoder_config=config.to_dict(), num_hidden_layers=0, **kept)
    config.dtype = dtype
    return config


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

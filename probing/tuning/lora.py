"""Low-rank adapters (Hu et al., ICLR 2022) by PEFT, on every linear map of the blocks."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cache.errors import OptionError

if TYPE_CHECKING:
    from probing.backbones import Trainable

NO_PROJECTION = ("gru_rel_pos_linear",)  # the gate of WavLM's position bias
SCALE = 2  # alpha / R


def add_adapters(backbone: Trainable, rank: int, seed: int) -> None:
    """Put adapters of a rank on the linear maps of attention and feed-forward of all blocks.

    W x becomes W x + 2 B A x, with B = 0 at first. The backbone's parameters get names with
    `base_layer` in them.

    Raises:
        OptionError: peft is not installed.
    """
    try:
        import peft
    except ImportError:
        raise OptionError(
            "train",
            f"lora:{rank}",
            "peft is not installed. Type: pip install -c constraints.txt -e '.[peft]'",
        ) from None
    inside = {id(module) for block in backbone.blocks for module in block.modules()}
    targets = [
        name
        for name, module in backbone.named_modules()
        if isinstance(module, nn.Linear)
        and id(module) in inside
        and name.rpartition(".")[2] not in NO_PROJECTION
    ]
    config = peft.LoraConfig(
        r=rank, lora_alpha=SCALE * rank, lora_dropout=0.0, target_modules=targets, bias="none"
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        torch.manual_seed(seed)
        warnings.simplefilter("ignore")
        peft.inject_adapter_in_model(config, backbone)


def adapted(backbone: nn.Module) -> dict[str, Any]:
    """The adapted maps by the names that their weights have without adapters."""
    named = backbone.named_modules()
    return {
        f"{name}.weight": module for name, module in named if hasattr(module, "get_delta_weight")
    }


@torch.no_grad()
def merged_weights(backbone: nn.Module) -> dict[str, Tensor]:
    """The weights of adapted maps with the adapters in them, by their names without adapters."""
    return {
        name: module.base_layer.weight + module.get_delta_weight("default")
        for name, module in adapted(backbone).items()
    }


@torch.no_grad()
def take_adapters_off(backbone: Trainable) -> None:
    """Leave the maps as they were before, with the weights they had."""
    for name, module in adapted(backbone).items():
        where, _, own = name.removesuffix(".weight").rpartition(".")
        setattr(backbone.get_submodule(where), own, module.base_layer)

"""Files of weights in a model's folder, not loaded: which are read, and of what types."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

# as transformers looks
ORDER = (
    "model.safetensors",
    "model-*.safetensors",
    "pytorch_model.bin",
    "pytorch_model-*.bin",
)
# types of safetensors that hold no weights as they are
PACKED = re.compile(r"[IU](8|16|32|64)|F4|F[68]_.*|BOOL|C64")
# of PEFT, and of the library adapters
BESIDE = ("adapter_config.json", "adapter_model.*", "pytorch_adapter.bin")
ADAPTER_WEIGHTS = (
    "lora_",
    "lora.",
    "magnitude_vector",
    "ia3_",
    "hada_",
    "lokr_",
    "oft_",
    "vera_lambda",
)


def weight_files(folder: Path) -> list[Path]:
    """The files that transformers loads: of the first form that is there."""
    return next((found for pattern in ORDER if (found := sorted(folder.glob(pattern)))), [])


def adapter_beside(folder: Path) -> str:
    """Name of an adapter's file beside a model's weights; empty if there is none."""
    for pattern in BESIDE:
        for path in sorted(folder.glob(pattern)):
            return path.name
    read = weight_files(folder)
    for path in sorted(folder.glob("*.safetensors")):
        if path not in read and any(
            mark in key for key in _header(path) for mark in ADAPTER_WEIGHTS
        ):
            return path.name
    return ""


def packed_weights(folder: Path) -> list[str]:
    """Weights whose type is no floating point of 16 bits or more, single numbers aside.

    Single numbers are counters, not weights.
    """
    packed: list[str] = []
    for path in weight_files(folder):
        packed += _packed(path) if path.suffix == ".safetensors" else _packed_in_bin(path)
    return packed


def _header(path: Path) -> Mapping[str, Any]:
    """Names, types and shapes of a safetensors file; none of a damaged one.

    A damaged one is refused when it is loaded.
    """
    with open(path, "rb") as file:
        n_bytes = int.from_bytes(file.read(8), "little")
        if n_bytes > path.stat().st_size:
            return {}
        try:
            header = json.loads(file.read(n_bytes))
        except ValueError:
            return {}
    return (
        {key: value for key, value in header.items() if key != "__metadata__"}
        if isinstance(header, dict)
        else {}
    )


def _packed(path: Path) -> list[str]:
    return [
        key
        for key, value in _header(path).items()
        if isinstance(value, dict)
        and value.get("shape")
        and PACKED.fullmatch(str(value.get("dtype")))
    ]


def _packed_in_bin(path: Path) -> list[str]:
    try:
        content = torch.load(path, map_location="meta", weights_only=True)
        return [
            key
            for key, value in content.items()
            if value.ndim > 0 and not (value.is_floating_point() and value.itemsize > 1)
        ]
    except Exception:  # refused, with the reason, when it is loaded
        return []

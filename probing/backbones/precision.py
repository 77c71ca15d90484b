"""The precision of a forward pass: float32 throughout, or 16 bits by autocast.

In 16 bits the products and convolutions are computed in bfloat16 or float16; norms and sums along
the blocks stay in float32 if PyTorch's autocast keeps them so. How far that moves the hidden
states is measured on the model when it is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cache.errors import argument
from probing.accelerators import fastest_precision

from .errors import BackboneUnsupported
from .layers import HiddenStates

if TYPE_CHECKING:
    from .backbone import Backbone

PRECISIONS = ("auto", "float32", "bf16", "fp16")
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
# of a layer's root mean square; what `auto` accepts, twice what bfloat16 was measured to do to
# WavLM
BOUND = 0.03

# of full_float32
_lock = Lock()
_inside = 0
_before = ("highest", "ieee")


@contextmanager
def computing(device: torch.device, precision: str) -> Iterator[None]:
    """Compute in a precision: `float32`, `bf16` or `fp16`."""
    if precision == "float32":
        with full_float32(device):
            yield
    else:
        with torch.autocast(device.type, dtype=DTYPES[precision]):
            yield


@contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """Switch TF32 off, which GPUs use in convolutions: 10 bits of mantissa instead of 23.

    The setting is of the whole process: it comes back when the last thread that needs it is done.
    """
    global _inside, _before
    if device.type != "cuda":
        yield
        return
    convolutions: Any = getattr(torch.backends.cudnn, "conv", None)
    setting = "fp32_precision" if hasattr(convolutions, "fp32_precision") else "allow_tf32"
    convolutions = convolutions if setting == "fp32_precision" else torch.backends.cudnn
    with _lock:
        if not _inside:
            _before = torch.get_float32_matmul_precision(), getattr(convolutions, setting)
            torch.set_float32_matmul_precision("highest")
            setattr(convolutions, setting, "ieee" if setting == "fp32_precision" else False)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                torch.set_float32_matmul_precision(_before[0])
                setattr(convolutions, setting, _before[1])


def use_precision(backbone: Backbone, precision: str) -> str:
    """Set the precision of a backbone, after a comparison of every layer with float32.

    Args:
        backbone: as loaded, in float32.
        precision: `float32`, `bf16`, `fp16`, or `auto`: float32 on a CPU; on a GPU 16 bits
            (bfloat16 if it has it), as long as no layer moves by more than 3 % of its root mean
            square, and float32 otherwise.

    Returns:
        What was measured, as a person reads it; empty in float32 if nothing else was tried.

    Raises:
        BackboneUnsupported: no such precision, or a device that would imitate it.
    """
    if precision not in PRECISIONS:
        raise BackboneUnsupported(
            f"{argument('precision', precision)}: expected "
            f"{', '.join(PRECISIONS)}. Leave it out for auto."
        )
    wanted = fastest_precision(backbone.device) if precision == "auto" else precision
    if wanted == "float32":
        return ""
    _check_device(backbone.device, wanted)
    n_samples = min(max(16_000, backbone.min_samples), backbone.max_samples or 16_000)
    clip = np.random.default_rng(0).normal(0, 0.05, n_samples).astype(np.float32)
    exact = backbone.hidden_states([clip])
    backbone.precision = wanted
    errors = _errors(backbone.hidden_states([clip]), exact)
    worst = int(np.argmax(errors))
    note = (
        f"{wanted} moves layer {worst} most, by {100 * errors[worst]:.2g} % of its root mean square"
    )
    if errors[worst] <= BOUND:
        return note
    if precision == "auto":
        backbone.precision = "float32"
        return f"float32, for {note} (at most {100 * BOUND:g} % is accepted)"
    return f"{note}; the precision auto accepts {100 * BOUND:g} %"


def _check_device(device: torch.device, precision: str) -> None:
    able = True
    if device.type == "cpu":
        supported = {"bf16": "_is_mkldnn_bf16_supported", "fp16": "_is_mkldnn_fp16_supported"}[
            precision
        ]
        able = bool(getattr(torch.ops.mkldnn, supported)())
    if not able:
        raise BackboneUnsupported(
            f"{argument('precision', precision)}: this CPU has no instructions for it and would "
            "imitate them, many times slower than float32. Use "
            f"{argument('precision', 'float32')}."
        )


def _errors(found: HiddenStates, exact: HiddenStates) -> list[float]:
    """By layer, RMS of the difference over RMS of the layer, on one clip; may be infinite."""
    errors = [
        float((one - other).square().mean().sqrt() / other.square().mean().sqrt().clamp(min=1e-30))
        for one, other in zip(found.layers, exact.layers, strict=True)
    ]
    return [error if np.isfinite(error) else np.inf for error in errors]

"""The clips that a backbone is given, checked before they are run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from .errors import ClipUnusable
from .inputs import Samples

if TYPE_CHECKING:
    from .backbone import Backbone


def checked_clips(
    backbone: Backbone, waveforms: Sequence[np.ndarray] | Sequence[Tensor]
) -> list[Samples]:
    """The clips of a batch, if the backbone can take them.

    Args:
        backbone: what they are for.
        waveforms: (n_samples,) each, at 16 kHz.

    Raises:
        ClipUnusable: a clip that is too short, too long, not mono or not finite; or clips of
            different length, and padding would change what the backbone gives.
    """
    given: Sequence[np.ndarray | Tensor] = waveforms
    clips = [_checked(backbone, position, clip) for position, clip in enumerate(given)]
    lengths = sorted({len(clip) for clip in clips})
    if not clips:
        raise ClipUnusable("no clips were given; expected a batch of at least one.")
    if backbone.padding == "equal" and len(lengths) > 1:
        raise ClipUnusable(
            f"the batch holds clips of {lengths[0]} to {lengths[-1]} samples, and padding "
            f"changes the hidden states of {backbone.name} ({backbone.family}). Batch clips of "
            "equal length, or one at a time."
        )
    return clips


def _checked(backbone: Backbone, position: int, waveform: np.ndarray | Tensor) -> Samples:
    clip: Any = waveform if isinstance(waveform, Tensor) else np.asarray(waveform, dtype=np.float32)
    if clip.ndim != 1:
        raise ClipUnusable(
            f"clip {position} has shape {tuple(clip.shape)}; expected one channel, "
            "(n_samples,). Average its channels."
        )
    if len(clip) < backbone.min_samples or (
        backbone.max_samples is not None and len(clip) > backbone.max_samples
    ):
        most = f"to {backbone.max_samples}" if backbone.max_samples is not None else "or more"
        raise ClipUnusable(
            f"clip {position} has {len(clip)} samples; {backbone.name} takes "
            f"{backbone.min_samples} {most}. Leave it out, crop it or pad it."
        )
    finite = clip.isfinite() if isinstance(clip, Tensor) else np.isfinite(clip)
    if not finite.all():
        raise ClipUnusable(
            f"clip {position} holds values that are not finite "
            "numbers. Decode it again, or leave it out."
        )
    return clip

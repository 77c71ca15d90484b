"""From a file to what a cache keeps of it: decoded, batched, run through the backbone, pooled."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from cache.errors import ProbeError, argument
from cache.quantization import INT8, stored
from probing.accelerators import to_host
from probing.audio import (
    SAMPLING_RATE,
    Cropping,
    UnusableAudio,
    Waveform,
    fit_audio,
    load_audio,
    measure,
    stamp,
)
from probing.augmentation import View
from probing.backbones import Backbone
from probing.extraction.pooling import frame_weights, pool
from probing.extraction.quantization import packed


@dataclass(frozen=True)
class Clip:
    """A decoded utterance, or the reason why there is none.

    `waveform` may be let go once `n_samples` is known, and decoded again from `path` (see
    `waveforms`), and heard again through `view`.
    """

    utterance_id: str
    path: Path | None = None
    n_samples: int = 0
    waveform: Waveform | None = None
    measures: dict[str, float] = field(default_factory=dict)
    failure: str | None = None
    view: View | None = None


class UnusableStates(Exception):
    """Utterances whose hidden states are not finite, or are too large for their type on disk.

    Attributes:
        reasons: utterance_id -> why.
        overflow: whether they are finite, and a larger type would hold them.
        advice: what would hold them.
    """

    def __init__(self, reasons: dict[str, str], overflow: bool = False, advice: str = "") -> None:
        super().__init__(
            "; ".join(f"{name}: {reason}" for name, reason in list(reasons.items())[:5])
        )
        self.reasons = reasons
        self.overflow = overflow
        self.advice = advice

    def refusal(self, flag: str) -> ProbeError:
        """The error if such utterances are not to be left out."""
        return ProbeError(
            f"{flag}: {self}. {self.advice or 'Look at these files'}; or list them in "
            f"failures.csv and go on: {argument('on_nonfinite', 'mark')}"
        )


def decode(
    utterance_id: str,
    audio: Path | Waveform,
    cropping: Cropping,
    min_samples: int,
    view: View | None = None,
) -> Clip:
    """Decode a file, or take samples (n,) or (n, channels) at 16 kHz, for the model."""
    return through_view(
        loaded(utterance_id, audio, cropping, min_samples), cropping, min_samples, view
    )


def loaded(utterance_id: str, audio: Path | Waveform, cropping: Cropping, min_samples: int) -> Clip:
    """The clip of a file or of samples, with no measures yet but the stamps of its file."""
    path = audio if isinstance(audio, Path) else None
    known = dict[str, float]()
    try:
        if isinstance(audio, Path):
            known = _stamp(audio)
            waveform = load_audio(audio, cropping, min_samples)
        else:
            samples = audio if audio.ndim > 1 else audio[:, None]
            waveform = fit_audio(samples, SAMPLING_RATE, cropping, min_samples)
    except UnusableAudio as error:
        return Clip(utterance_id, path, failure=str(error))
    return Clip(utterance_id, path, n_samples=len(waveform), waveform=waveform, measures=known)


def through_view(
    clip: Clip, cropping: Cropping, min_samples: int, view: View | None = None
) -> Clip:
    """A loaded clip through a view, measured as it is then; a failure stays one.

    What a view makes longer or shorter is cropped again, as a clip that is so long would be.

    Raises:
        TransformError: a package that the view needs is missing, or a file of a folder of noise
            cannot be used.
    """
    if clip.waveform is None:
        return clip
    waveform = clip.waveform
    if view is not None:
        waveform = cropping.apply(view.apply(waveform, clip.utterance_id))
        if len(waveform) < min_samples:
            why = (
                f"too short: {len(waveform)} samples at 16 kHz behind "
                f"the view, the model needs {min_samples}"
            )
            return Clip(clip.utterance_id, clip.path, failure=why)
    measures = {**measure(waveform), **clip.measures}
    return replace(clip, n_samples=len(waveform), waveform=waveform, measures=measures, view=view)


def _stamp(path: Path) -> dict[str, float]:
    try:
        return stamp(path)
    except OSError:  # whoever decodes it says why
        return {}


def batches(lengths: Sequence[int], batch_size: int, padding: str) -> Iterator[slice]:
    """Runs of at most `batch_size` ascending `lengths` in a row, all equal if padding leaks.

    >>> list(batches([1, 1, 2], 2, "equal"))
    [slice(0, 2, None), slice(2, 3, None)]
    """
    start = 0
    runs = (
        [len(list(run)) for _, run in itertools.groupby(lengths)]
        if padding == "equal"
        else [len(lengths)]
    )
    for run in runs:
        for first in range(start, start + run, batch_size):
            yield slice(first, min(first + batch_size, start + run))
        start += run


def states_of(
    batch: Mapping[str, Waveform],
    backbone: Backbone,
    layers: Sequence[int],
    tiers: Mapping[str, str],
) -> dict[str, NDArray[Any]]:
    """Hidden states of a batch as they go to disk.

    Args:
        batch: utterance_id -> waveform (n,).
        backbone: what computes.
        layers: those to keep.
        tiers: tier name -> dtype; `pooled` always, `frames` if wanted.

    Returns:
        `pooled` (layers, B, 2, D); `frames` (layers, frames of all, D), the utterances one after
        the other, or where they are int8 records (layers, frames of all), see `cache.quantization`.

    Raises:
        UnusableStates: some are not finite, or too large for their dtype.
        ProbeError: out of memory.
    """
    try:
        states = backbone.hidden_states(list(batch.values()))
        with torch.inference_mode():
            weights = frame_weights(
                states.n_frames, states.layers[0].shape[1], states.layers[0].device
            )
            pooled = [pool(states.layers[k], weights) for k in layers]
            whole = torch.stack(pooled).isfinite().flatten(2).all(dim=2)  # (layers, B)
            if not whole.all():
                raise UnusableStates(_not_finite(list(batch), whole))
            of_one = [1] * len(batch)
            blocks = {
                "pooled": _cast(
                    pooled, tiers["pooled"], tier="pooled", names=list(batch), lengths=of_one
                )
            }
            if "frames" in tiers:
                valid = [states.valid(k) for k in layers]
                blocks["frames"] = _cast(
                    valid,
                    tiers["frames"],
                    tier="frames",
                    names=list(batch),
                    lengths=states.n_frames,
                )
        return blocks
    except torch.OutOfMemoryError:
        advice = f"Use a smaller {argument('batch_size')} or {argument('max_seconds')}"
        raise out_of_memory(
            batch, backbone, f"{advice}; an extraction goes on where it stopped."
        ) from None


def out_of_memory(batch: Mapping[str, Waveform], backbone: Backbone, advice: str) -> ProbeError:
    """The error of a batch that the memory of a device does not hold."""
    longest = max(map(len, batch.values())) / backbone.sampling_rate
    return ProbeError(
        f"{backbone.device}: out of memory with {len(batch)} "
        f"clips of up to {longest:.1f} s. {advice}"
    )


def _not_finite(names: list[str], whole: torch.Tensor) -> dict[str, str]:
    """Reasons for the utterances of which a layer is not whole (layers, B)."""
    bad = (~whole).sum(dim=0).tolist()
    return {
        name: f"hidden states are not finite: NaN or infinite values in {n} of {len(whole)} layers"
        for name, n in zip(names, bad, strict=True)
        if n
    }


def _cast(
    layers: list[torch.Tensor], dtype: str, tier: str, names: list[str], lengths: Sequence[int]
) -> NDArray[Any]:
    """States of some layers, stacked, as they go to disk; `lengths` are rows by utterance."""
    if dtype == INT8:
        _, on_disk = stored(dtype, layers[0].shape)
        return (
            to_host(torch.stack([packed(states) for states in layers]))
            .numpy()
            .view(on_disk)[..., 0]
        )
    cast = layers[0].new_empty((len(layers), *layers[0].shape), dtype=getattr(torch, dtype))
    for layer, states in zip(cast, layers, strict=True):
        layer.copy_(states)
    if not cast.abs().amax().isfinite():
        # (layers, rows)
        largest = torch.stack([states.flatten(1).abs().amax(dim=1) for states in layers])
        of_each = [part.amax(dim=1) for part in largest.split(list(lengths), dim=1)]
        most = torch.finfo(getattr(torch, dtype)).max
        reasons = {
            name: f"{dtype} overflow: values up to {values.max().item():.3g} in {n} of "
            f"{len(layers)} layers ({tier})"
            for name, values in zip(names, of_each, strict=True)
            if (n := int((values > most).sum()))
        }
        raise UnusableStates(
            reasons, True, f"Use {argument(f'{tier}_dtype', 'float32')} and another cache folder"
        )
    return to_host(cast).numpy()

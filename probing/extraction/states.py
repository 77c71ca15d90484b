"""From a file to what a cache keeps of it: decoded, batched with its like, run through the backbone, pooled."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from cache.errors import ProbeError
from cache.quantization import INT8, stored
from probing.audio import SAMPLING_RATE, Cropping, UnusableAudio, Waveform, fit_audio, load_audio, measure
from probing.backbones import Backbone
from probing.extraction.pooling import frame_weights, pool
from probing.extraction.quantization import packed


@dataclass(frozen=True)
class Clip:
    """A decoded utterance, or the reason why there is none.

    `waveform` may be let go once `n_samples` is known, and decoded again from `path` (see `waveforms`).
    """

    utterance_id: str
    path: Path | None = None
    n_samples: int = 0
    waveform: Waveform | None = None
    measures: dict[str, float] = field(default_factory=dict)
    failure: str | None = None


class UnusableStates(Exception):
    """Utterances whose hidden states are not finite."""

    def __init__(self, utterance_ids: list[str]) -> None:
        super().__init__(", ".join(utterance_ids))
        self.utterance_ids = utterance_ids


def decode(utterance_id: str, audio: Path | Waveform, cropping: Cropping, min_samples: int) -> Clip:
    """Decode a file, or take the samples (n,) or (n, channels) at 16 kHz, as the model is to see them."""
    path = audio if isinstance(audio, Path) else None
    try:
        if isinstance(audio, Path):
            waveform = load_audio(audio, cropping, min_samples)
        else:
            samples = audio if audio.ndim > 1 else audio[:, None]
            waveform = fit_audio(samples, SAMPLING_RATE, cropping, min_samples)
    except UnusableAudio as error:
        return Clip(utterance_id, path, failure=str(error))
    return Clip(utterance_id, path, len(waveform), waveform, measure(waveform))


def batches(lengths: Sequence[int], batch_size: int, padding: str) -> Iterator[slice]:
    """Consecutive runs of at most `batch_size` of the ascending `lengths`; of equal ones only where padding leaks."""
    start = 0
    runs = [len(list(run)) for _, run in itertools.groupby(lengths)] if padding == "equal" else [len(lengths)]
    for run in runs:
        for first in range(start, start + run, batch_size):
            yield slice(first, min(first + batch_size, start + run))
        start += run


def states_of(
    batch: Mapping[str, Waveform], backbone: Backbone, layers: Sequence[int], tiers: Mapping[str, str]
) -> dict[str, NDArray[Any]]:
    """Hidden states of a batch as they go to disk.

    Args:
        batch: utterance_id -> waveform (n,).
        backbone: what computes.
        layers: those to keep.
        tiers: tier name -> dtype; `pooled` always, `frames` where wanted.

    Returns:
        `pooled` (layers, B, 2, D); `frames` (layers, frames of all, D), the utterances one after the other, or where
        they are int8 records (layers, frames of all), see `cache.quantization`.

    Raises:
        UnusableStates: some are not finite.
        ProbeError: out of memory, or a value that the dtype cannot hold.
    """
    try:
        states = backbone.hidden_states(list(batch.values()))
        with torch.inference_mode():
            weights = frame_weights(states.n_frames, states.layers[0].shape[1], states.layers[0].device)
            pooled = [pool(states.layers[k], weights) for k in layers]
            finite = torch.stack(pooled).isfinite().all(dim=3).all(dim=2).all(dim=0).tolist()
            if not all(finite):
                raise UnusableStates([name for name, good in zip(batch, finite, strict=True) if not good])
            blocks = {"pooled": _cast(pooled, tiers["pooled"], "pooled")}
            if "frames" in tiers:
                blocks["frames"] = _cast([states.valid(k) for k in layers], tiers["frames"], "frames")
        return blocks
    except torch.OutOfMemoryError:
        longest = max(map(len, batch.values())) / backbone.sampling_rate
        raise ProbeError(
            f"{backbone.device}: out of memory with {len(batch)} clips of up to {longest:.1f} s. Use a smaller "
            "--batch-size or --max-seconds; an extraction goes on where it stopped."
        ) from None


def _cast(layers: list[torch.Tensor], dtype: str, tier: str) -> NDArray[Any]:
    """States of some layers, one above the other, as they go to disk."""
    if dtype == INT8:
        _, on_disk = stored(dtype, layers[0].shape)
        return _on_host(torch.stack([packed(states) for states in layers])).view(on_disk)[..., 0]
    cast = layers[0].new_empty((len(layers), *layers[0].shape), dtype=getattr(torch, dtype))
    for layer, states in zip(cast, layers, strict=True):
        layer.copy_(states)
    if not cast.abs().amax().isfinite():
        largest = max(states.abs().max().item() for states in layers)
        raise ProbeError(
            f"the largest value of the {tier} tier is {largest:.3g}, more than {dtype} holds. "
            f"Use --{tier}-dtype float32 and another cache folder."
        )
    return _on_host(cast)


def _on_host(values: torch.Tensor) -> NDArray[Any]:
    """Copy to the CPU; from a GPU into pinned memory, while other streams of it go on."""
    if values.device.type != "cuda":
        return values.cpu().numpy()
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    host.copy_(values, non_blocking=True)
    torch.cuda.current_stream(values.device).synchronize()
    return host.numpy()

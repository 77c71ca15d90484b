"""What a model is given: a normalised waveform, a log-mel spectrogram, or a filter bank.

Nothing here looks across clips: a clip's input never depends on what shares its batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from probing.accelerators import to_device

from .errors import BackboneUnsupported
from .families import Family, FrameRule
from .library import import_transformers

SAMPLING_RATE = 16000
Clip = np.ndarray[Any, np.dtype[np.float32]]
Samples = Clip | Tensor
WAVEFORM_SETTINGS: dict[str, Any] = {
    "feature_extractor_type": "Wav2Vec2FeatureExtractor",
    "feature_size": 1,
    "padding_value": 0.0,
    "sampling_rate": SAMPLING_RATE,
}


class Input(Protocol):
    """Turns clips into the keyword arguments of an encoder.

    `normalization` and `source` go into the fingerprint; `settings` is the preprocessor config that
    gives this input.
    """

    normalization: str
    source: str
    max_samples: int | None

    @property
    def settings(self) -> dict[str, Any]:
        """What preprocessor_config.json has to hold."""
        ...

    def __call__(self, clips: Sequence[Clip], device: torch.device) -> dict[str, Tensor]:
        """Prepare a batch."""
        ...

    def of_tensors(self, clips: Sequence[Tensor]) -> dict[str, Tensor]:
        """The same of tensors, which gradients go back to, in their own type."""
        ...


def prepared(
    audio_input: Input, clips: Sequence[Samples], device: torch.device
) -> dict[str, Tensor]:
    """Prepare a batch, on a device: with gradients if the clips are tensors."""
    tensors = [clip.to(device) for clip in clips if isinstance(clip, Tensor)]
    if tensors:
        return audio_input.of_tensors(tensors)
    return audio_input([clip for clip in clips if not isinstance(clip, Tensor)], device)


class WaveformInput:
    """Waveforms (B, longest clip), normalised per clip if the model was trained so.

    Normalised means zero mean and unit variance; zeros follow a clip.
    """

    max_samples: int | None = None

    def __init__(
        self,
        unit_variance: bool,
        source: str,
        always_mask: bool = False,
        given: Mapping[str, Any] | None = None,
        multiple: int = 1,
    ) -> None:
        self.unit_variance = unit_variance
        self._given = dict(given or {})
        self.normalization = "zero mean and unit variance per clip" if unit_variance else "none"
        self.source = source
        self.always_mask = always_mask
        self.multiple = multiple

    @property
    def settings(self) -> dict[str, Any]:
        """The preprocessor config the model came with, and the normalisation that is in use."""
        return {**WAVEFORM_SETTINGS, **self._given, "do_normalize": self.unit_variance}

    def normalized(self, clip: Clip) -> Clip:
        """(x - mean) / sqrt(variance + 1e-7) of this clip, as Wav2Vec2FeatureExtractor does."""
        if not self.unit_variance:
            return clip
        mean = clip.mean(dtype=np.float64)
        variance = clip.var(dtype=np.float64)
        return ((clip - mean) / np.sqrt(variance + 1e-7)).astype(np.float32)

    def __call__(self, clips: Sequence[Clip], device: torch.device) -> dict[str, Tensor]:
        """Give input_values (B, samples), and attention_mask (B, samples) where lengths differ."""
        clips = [clip[: len(clip) // self.multiple * self.multiple] for clip in clips]
        longest = max(map(len, clips))
        values = torch.zeros(len(clips), longest)
        mask = torch.zeros(len(clips), longest, dtype=torch.long)
        for row, clip in enumerate(clips):
            values[row, : len(clip)] = torch.from_numpy(self.normalized(clip))
            mask[row, : len(clip)] = 1
        inputs = {"input_values": to_device(values, device)}
        if self.always_mask or any(len(clip) != longest for clip in clips):
            inputs["attention_mask"] = to_device(mask, device)
        return inputs

    def of_tensors(self, clips: Sequence[Tensor]) -> dict[str, Tensor]:
        """See `Input`."""
        clips = [clip[: len(clip) // self.multiple * self.multiple] for clip in clips]
        if self.unit_variance:
            clips = [
                (clip - clip.mean()) / (clip.var(correction=0) + 1e-7).sqrt() for clip in clips
            ]
        return _padded("input_values", clips, self.always_mask)


class LogMelInput:
    """Whisper's log-mel spectrogram (B, bins, 3000), the clip padded to 30 s by zeros.

    The model has no mask.
    """

    normalization = "log-mel, clipped 8 below its maximum per clip"

    def __init__(self, extractor: Any, source: str) -> None:
        extractor.dither = 0.0  # random numbers
        self._extractor = extractor
        self.source = source
        self.max_samples: int | None = extractor.n_samples

    @property
    def settings(self) -> dict[str, Any]:
        """The extractor's own."""
        return dict(self._extractor.to_dict())

    def __call__(self, clips: Sequence[Clip], device: torch.device) -> dict[str, Tensor]:
        """Give input_features (B, bins, 3000)."""
        spectrograms = [
            self._extractor(clip, sampling_rate=SAMPLING_RATE, return_tensors="np")[
                "input_features"
            ][0]
            for clip in clips
        ]
        return {
            "input_features": to_device(torch.from_numpy(np.stack(spectrograms)).float(), device)
        }

    def of_tensors(self, clips: Sequence[Tensor]) -> dict[str, Tensor]:
        """See `Input`; what WhisperFeatureExtractor computes, in PyTorch."""
        known = self._extractor
        padded = [
            functional.pad(clip, (0, known.n_samples - len(clip)), value=known.padding_value)
            for clip in clips
        ]
        waveforms = torch.stack(padded)
        window = torch.hann_window(known.n_fft, dtype=waveforms.dtype, device=waveforms.device)
        spectrum = torch.stft(
            waveforms, known.n_fft, known.hop_length, window=window, return_complex=True
        )[..., :-1]
        energy = torch.as_tensor(known.mel_filters).to(waveforms).T @ _power(spectrum)
        levels = energy.clamp(min=1e-10).log10()
        floor = levels.amax(dim=(1, 2), keepdim=True) - 8.0
        return {"input_features": (torch.maximum(levels, floor) + 4.0) / 4.0}


class FilterBankInput:
    """w2v-BERT 2.0's filter bank (B, frames, 160), normalised per bin and clip, stacked by two."""

    max_samples: int | None = None
    normalization = "zero mean and unit variance per mel bin and clip"

    def __init__(self, extractor: Any, source: str, rule: FrameRule) -> None:
        self._extractor = extractor
        self._rule = rule
        self.source = source

    @property
    def settings(self) -> dict[str, Any]:
        """The extractor's own."""
        return dict(self._extractor.to_dict())

    def _frames(self, clip: Clip) -> np.ndarray:
        features = self._extractor(clip, sampling_rate=SAMPLING_RATE, return_tensors="np")[
            "input_features"
        ][0]
        return features[: self._rule.n_frames(len(clip))]

    def __call__(self, clips: Sequence[Clip], device: torch.device) -> dict[str, Tensor]:
        """Input_features (B, frames, 160), and attention_mask (B, frames) if lengths differ."""
        banks = [self._frames(clip) for clip in clips]
        longest = max(map(len, banks))
        features = torch.zeros(len(banks), longest, banks[0].shape[1])
        mask = torch.zeros(len(banks), longest, dtype=torch.long)
        for row, bank in enumerate(banks):
            features[row, : len(bank)] = torch.from_numpy(bank)
            mask[row, : len(bank)] = 1
        inputs = {"input_features": to_device(features, device)}
        if any(len(bank) != longest for bank in banks):
            inputs["attention_mask"] = to_device(mask, device)
        return inputs

    def of_tensors(self, clips: Sequence[Tensor]) -> dict[str, Tensor]:
        """See `Input`; what SeamlessM4TFeatureExtractor computes, in PyTorch."""
        banks = [self._frames_of_tensor(clip) for clip in clips]
        return _padded("input_features", banks)

    def _frames_of_tensor(self, clip: Tensor) -> Tensor:
        """Kaldi's filter bank: 16-bit samples, pre-emphasis of 0.97, 512-point transform.

        The mean of each window is taken off.
        """
        known = self._extractor
        windows = (clip * 2.0**15).unfold(0, 400, 160)
        windows = windows - windows.mean(dim=1, keepdim=True)
        windows = torch.cat(
            [windows[:, :1] * (1 - 0.97), windows[:, 1:] - 0.97 * windows[:, :-1]], dim=1
        )
        spectrum = torch.fft.rfft(windows * torch.as_tensor(known.window).to(clip), 512)
        energy = _power(spectrum) @ torch.as_tensor(known.mel_filters).to(clip)
        levels = energy.clamp(min=1.192092955078125e-07).log()
        levels = (levels - levels.mean(dim=0)) / (levels.var(dim=0, correction=1) + 1e-7).sqrt()
        n_frames = len(levels) // known.stride
        return levels[: n_frames * known.stride].reshape(n_frames, -1)[
            : self._rule.n_frames(len(clip))
        ]


def _padded(name: str, rows: Sequence[Tensor], always_mask: bool = False) -> dict[str, Tensor]:
    """Rows as one batch with zeros after them; attention_mask if lengths differ, or always."""
    inputs = {name: pad_sequence(list(rows), batch_first=True)}
    if always_mask or len({len(row) for row in rows}) > 1:
        mask = [torch.ones(len(row), dtype=torch.long, device=row.device) for row in rows]
        inputs["attention_mask"] = pad_sequence(mask, batch_first=True)
    return inputs


def _power(spectrum: Tensor) -> Tensor:
    """Its squared absolute values, with a gradient where they are 0, too."""
    return spectrum.real.square() + spectrum.imag.square()


def input_of(
    family: Family,
    config: Any,
    preprocessor: Mapping[str, Any] | None,
    normalize: str,
    rule: FrameRule | None,
    name: str,
) -> Input:
    """Build the input of a model from its preprocessor config.

    Args:
        family: the model's family.
        config: the model's config.
        preprocessor: contents of preprocessor_config.json; None if there is none: then the
            family's default is used.
        normalize: `auto`, as the preprocessor config says; `on` or `off` to decide for waveform
            models.
        rule: the frame rule, where it is known.
        name: the model's name, for messages.

    Raises:
        BackboneUnsupported: another sampling rate than 16 kHz, or a normalisation that this input
            does not have.
    """
    source = "family default" if preprocessor is None else "preprocessor config"
    settings = dict(preprocessor or {})
    if settings.get("sampling_rate", SAMPLING_RATE) != SAMPLING_RATE:
        raise BackboneUnsupported(
            f"{name} takes audio at {settings['sampling_rate']} Hz and this project feeds "
            f"{SAMPLING_RATE} Hz. Choose a model trained at 16 kHz."
        )
    if normalize not in ("auto", "on", "off"):
        raise BackboneUnsupported(
            f"normalize is {normalize!r}; expected 'auto', 'on' or 'off'. Leave it out for 'auto'."
        )
    if family.front_end == "waveform":
        # A preprocessor config that does not say so normalises, as Wav2Vec2FeatureExtractor does.
        unit_variance = bool(
            settings.get(
                "do_normalize", preprocessor is not None or family.normalizes_waveforms(config)
            )
        )
        if normalize != "auto":
            unit_variance = normalize == "on"
            source = "asked for"
        return WaveformInput(
            unit_variance,
            source,
            always_mask=family.always_masked
            or (rule is None and bool(settings.get("return_attention_mask", False))),
            given=settings,
            multiple=family.multiple,
        )
    if normalize != "auto":
        raise BackboneUnsupported(
            f"{name} computes its own {family.front_end}, so there is no waveform normalisation "
            f"to switch {normalize}. Leave normalize at 'auto'."
        )
    transformers = import_transformers()
    if family.front_end == "log-mel":
        settings = settings or {"feature_size": config.num_mel_bins}
        return LogMelInput(transformers.WhisperFeatureExtractor.from_dict(settings), source)
    assert rule is not None
    return FilterBankInput(
        transformers.SeamlessM4TFeatureExtractor.from_dict(settings), source, rule
    )

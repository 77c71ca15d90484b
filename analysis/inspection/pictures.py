"""The picture of an inspection: waveform, spectrogram and activation on one time axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.inspection.utterance import Inspection
from probing.audio import SAMPLING_RATE

SMOOTH_S = 0.1
FLOOR_DB = 70.0


def activation_picture(found: Inspection, axes: Sequence[Axes] | None = None) -> list[Axes]:
    """Draw waveform, spectrogram and class activation of an utterance below each other.

    Args:
        found: of `inspect`.
        axes: three axes to draw on; default a new figure.

    Returns:
        The three axes.
    """
    if axes is None:
        shape = {"height_ratios": [1, 2, 2]}
        axes = Figure(figsize=(9, 6.2), layout="constrained").subplots(3, 1, sharex=True, gridspec_kw=shape)
    wave, spectrogram, activation = axes
    seconds = len(found.waveform) / SAMPLING_RATE
    blue, orange = seaborn.color_palette("colorblind")[0], seaborn.color_palette("colorblind")[3]

    wave.plot(np.arange(len(found.waveform)) / SAMPLING_RATE, found.waveform, color="0.35", lw=0.5)
    wave.set(ylabel="waveform", xlim=(0, seconds))
    n_fft = min(512, len(found.waveform))
    window = np.lib.stride_tricks.sliding_window_view(found.waveform, n_fft)[::160] * np.hanning(n_fft)
    power = 10 * np.log10(np.abs(np.fft.rfft(window, axis=1)).T ** 2 + 1e-10)
    middle = (np.arange(power.shape[1]) * 160 + n_fft / 2) / SAMPLING_RATE
    frequency = np.fft.rfftfreq(n_fft, 1 / SAMPLING_RATE) / 1000
    top = float(power.max())
    spectrogram.pcolormesh(
        middle, frequency, power, cmap="gray_r", vmin=top - FLOOR_DB, vmax=top, shading="nearest", rasterized=True
    )
    spectrogram.set(ylabel="frequency (kHz)")

    time, values = found.activation["time"].to_numpy(), found.activation["activation"].to_numpy()
    smooth = found.activation["activation"].rolling(
        max(1, round(SMOOTH_S * len(time) / seconds)), center=True, min_periods=1
    )
    line = smooth.mean().where(found.activation["activation"].notna()).to_numpy()
    activation.plot(time, values, color="0.75", lw=0.6, label="each frame")
    activation.plot(time, line, color="0.2", lw=1.2, label=f"mean over {SMOOTH_S:g} s")
    activation.fill_between(time, 0, line, where=line >= 0, color=blue, alpha=0.45, lw=0, label="for bona fide")
    activation.fill_between(time, 0, line, where=line <= 0, color=orange, alpha=0.45, lw=0, label="for spoof")
    activation.axhline(found.score, color="0.2", ls=":", lw=1, label=f"score {found.score:.2f}")
    activation.axhline(0, color="0.2", lw=0.6)
    activation.set(xlabel="time (s)", ylabel="log odds of bona fide")
    activation.legend(fontsize=7, ncols=5, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, frameon=False)
    label = f" ({found.label})" if found.label else ""
    wave.set_title(f"{found.utterance}{label}: {found.head} on {found.backbone}", loc="left", fontsize=10)
    activation.annotate(
        found.how, (0, 0), (0, -38), "axes fraction", textcoords="offset points", fontsize=7, color="0.4"
    )
    return [wave, spectrogram, activation]

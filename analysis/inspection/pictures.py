"""The picture of an inspection: waveform, spectrogram and activation on one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.inspection.utterance import Inspection
from analysis.plots.axes import ShownAxes, dress, new_axes, plain, width_of, write_title
from analysis.plots.look import look
from analysis.plots.style import small_print, titled
from probing.audio import SAMPLING_RATE
from probing.labels import BONAFIDE, LABELS, SPOOF

SMOOTH_S = 0.1
FLOOR_DB = 70.0
MOST_NAMES = 40  # of labels that are written into a strip


def activation_picture(found: Inspection, axes: Sequence[Axes] | None = None) -> list[Axes]:
    """Draw waveform, spectrogram and class activation of an utterance below each other.

    Args:
        found: of `inspect`.
        axes: three axes to draw on; default a new figure.

    Returns:
        The three axes.

    >>> from analysis.inspection import inspect
    >>> len(activation_picture(inspect("results/demo.run", "clip.wav", head="linear")))
    3
    """
    if axes is None:
        shape = {"height_ratios": [1, 2, 2]}
        figure = Figure(figsize=look().size(6.4, 9), layout="constrained")
        axes = figure.subplots(
            3, 1, sharex=True, gridspec_kw=shape, subplot_kw={"axes_class": ShownAxes}
        )
    wave, spectrogram, activation = axes
    wave.plot(np.arange(len(found.waveform)) / SAMPLING_RATE, found.waveform, color="0.35", lw=0.5)
    wave.set(ylabel="waveform")
    _draw_spectrogram(spectrogram, found)
    activation_curve(found, activation)
    wave.set_xlim(activation.get_xlim())
    write_title(wave, activation.get_title(loc="left"), fontsize=look().title_pt)
    write_title(activation, "")
    return [wave, spectrogram, activation]


def activation_curve(found: Inspection, ax: Axes | None = None) -> Axes:
    """Draw the class activation of an utterance over time: what speaks for bona fide is above zero.

    Args:
        found: of `inspect`.
        ax: where to draw; default a new figure.

    >>> from analysis import inspect
    >>> activation_curve(inspect("results/demo.run", "clip.wav", head="linear")).get_xlabel()
    'time (s)'
    """
    ax = ax or new_axes(height=3.6)
    seconds = len(found.waveform) / SAMPLING_RATE
    blue = seaborn.color_palette("colorblind")[0]
    orange = seaborn.color_palette("colorblind")[3]
    time = found.activation["time"].to_numpy()
    values = found.activation["activation"]
    smooth = values.rolling(
        max(1, round(SMOOTH_S * len(time) / seconds)), center=True, min_periods=1
    )
    line = smooth.mean().where(values.notna()).to_numpy()
    ax.plot(time, values, color="0.75", lw=0.6, label="each frame")
    ax.plot(time, line, color="0.2", lw=1.2, label=f"mean over {SMOOTH_S:g} s")
    ax.fill_between(
        time, 0, line, where=line >= 0, color=blue, alpha=0.45, lw=0, label="for bona fide"
    )
    ax.fill_between(
        time, 0, line, where=line <= 0, color=orange, alpha=0.45, lw=0, label="for spoof"
    )
    ax.axhline(found.score, color="0.2", ls=":", lw=1, label=f"score {found.score:z.2f}")
    ax.axhline(0, color="0.2", lw=0.6)
    ax.set(xlabel="time (s)", ylabel="log odds of bona fide", xlim=(0, seconds))
    _draw_labels(ax, found)
    ax.legend(
        fontsize=look().note_pt,
        ncols=5 if width_of(ax) > 4 else 3,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0.2,
        frameon=False,
    )
    label = f" ({found.label})" if found.label else ""
    title = f"{found.utterance}{label}: {found.head} on {found.backbone}"
    titled(ax, title)
    pad = 18 if width_of(ax) > 4 else 26
    write_title(ax, ax.get_title(loc="left"), fontsize=look().title_pt, pad=pad)
    trained = (
        f"trained on {found.corpus}, cache {found.cache}"
        if found.corpus
        else f"cache {found.cache}"
    )
    dress(ax)
    small_print(ax, title, [f"{found.how}; {trained}"], width_of(ax))
    return ax


def _draw_labels(ax: Axes, found: Inspection) -> None:
    """What is known of stretches of time, as a strip along the upper edge."""
    if found.intervals is None:
        return
    colours = seaborn.color_palette("colorblind")
    of_label: dict[str, Any] = {BONAFIDE: colours[0], SPOOF: colours[3]}
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.12 * (high - low))
    for i, row in enumerate(found.intervals.itertuples()):
        colour = of_label.get(LABELS.get(str(row.label).lower(), ""), "0.55" if i % 2 else "0.75")
        ax.axvspan(row.start, row.end, 0.92, 1, color=colour, alpha=0.8, lw=0)
        if len(found.intervals) <= MOST_NAMES:
            middle = (row.start + row.end) / 2
            how: dict[str, Any] = {
                "fontsize": look().cell_pt,
                "ha": "center",
                "va": "center",
                "clip_on": True,
            }
            ax.text(middle, 0.96, plain(str(row.label)), transform=ax.get_xaxis_transform(), **how)


def _draw_spectrogram(ax: Axes, found: Inspection) -> None:
    n_fft = min(512, len(found.waveform))
    window = np.lib.stride_tricks.sliding_window_view(found.waveform, n_fft)[::160] * np.hanning(
        n_fft
    )
    power = 10 * np.log10(np.abs(np.fft.rfft(window, axis=1)).T ** 2 + 1e-10)
    middle = (np.arange(power.shape[1]) * 160 + n_fft / 2) / SAMPLING_RATE
    frequency = np.fft.rfftfreq(n_fft, 1 / SAMPLING_RATE) / 1000
    top = float(power.max())
    ax.pcolormesh(
        middle,
        frequency,
        power,
        cmap="gray_r",
        vmin=top - FLOOR_DB,
        vmax=top,
        shading="nearest",
        rasterized=True,
    )
    ax.set(ylabel="frequency (kHz)")

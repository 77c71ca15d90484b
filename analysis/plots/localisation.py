"""Localisation curves: how well frames say where an utterance is spoofed, by layer."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import pandas as pd
import seaborn
from matplotlib.axes import Axes

from analysis.plots.axes import MARKERS, colours, new_axes, whole_numbers, whole_rates, width_of
from analysis.plots.legends import legend
from analysis.plots.look import SCREEN_PT, look
from analysis.plots.style import check_split, label
from analysis.plots.tidy import localisation_of, takes_table
from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import load
from cache import ProbeError
from probing.runs import Run
from probing.runs.condition_names import condition_values

APART = 0.06  # layers between the error bars of two figures
# inches of a layer, on a screen, in which the error bars of all lengths can be told apart
ROOM = 0.6


def localisation_table(
    run: str | Path | Run, split: str = "eval", end: str = "value", head: str = "linear"
) -> pd.DataFrame:
    """Figures (%) of localisation by layer: range EER, segment EERs, F1, precision, recall.

    There is a segment EER for each length of segments.

    Args:
        run: a run whose trials are frames that are bona fide or spoofed.
        split: `eval` or `dev`.
        end: `value`, or `low` or `high` of the 95 % intervals; NaN in runs of earlier versions,
            which have none.
        head: the linear probes of layers; or a head, as `mean+linear`, by depth (that of the seed
            best on dev).

    Raises:
        ProbeError: a run of other trials, or without that head.

    >>> list(localisation_table("results/frames.run"))[:2]
    ['range EER', 'F1']
    """
    check_split(split)
    run = load(run)
    rows = run.rows("localisation", split, run.corpus)
    if rows.empty:
        raise ProbeError(
            f"{run.folder}: its trials are not frames that are bona fide or spoofed. Sweep with "
            "alignments that say so: probe sweep CACHE --labels FILE --unit frame"
        )
    known = sorted(set(rows["head"]))
    if head not in known:
        raise ProbeError(f"{run.folder}: has no head {head} on frames. It has: {', '.join(known)}")
    rows = rows[rows["head"] == head]
    index = "layer" if head == "linear" else "depth"
    names = [
        _name(metric, condition)
        for metric, condition in zip(rows["metric"], rows["condition"], strict=True)
    ]
    table = rows.assign(name=names, value=100 * rows[end]).pivot(
        index=index, columns="name", values="value"
    )
    return table[list(dict.fromkeys(names))].rename_axis(columns=None)


@takes_table(localisation_of)
def localisation_curve(run: str | Path | Run, split: str = "eval", ax: Axes | None = None) -> Axes:
    """Range EER (%) and segment EERs by layer, with intervals; errors count by their time, or by
    segments of a length.

    Where layers are so close that error bars would hide each other, those of segment EERs are left
    out.

    Args:
        run: a run whose trials are frames that are bona fide or spoofed.
        split: `eval` or `dev`.
        ax: where to draw; default a new figure.

    Raises:
        ProbeError: a run of other trials.

    >>> localisation_curve("results/frames.run").get_xlabel()
    'layer (0 = input of the first block)'
    """
    run = load(run)
    table, low, high = (localisation_table(run, split, end) for end in ("value", "low", "high"))
    first, *lengths = [name for name in table if "EER" in name]
    ax = ax or new_axes()
    layers = table.index.to_numpy(float)
    (colour,) = colours(1)
    ax.plot(layers, table[first], color=colour, marker="o", ms=4, label=first)
    ax.fill_between(
        layers, low[first], high[first], color=colour, alpha=0.15, lw=0, label="its 95 % interval"
    )
    has_room = width_of(ax) / len(layers) > ROOM * look().font_size / SCREEN_PT
    by_length = seaborn.color_palette("flare", len(lengths))
    for i, (name, colour, marker) in enumerate(
        zip(lengths, by_length, cycle(MARKERS[1:]), strict=False)
    ):
        if not has_room:
            ax.plot(
                layers, table[name], color=colour, marker=marker, ms=3, lw=1, ls=":", label=name
            )
            continue
        beside = layers + APART * (i + 1 - len(lengths) / 2)  # as bands they would hide each other
        ends = [table[name] - low[name], high[name] - table[name]]
        ax.errorbar(
            beside,
            table[name],
            ends,
            color=colour,
            marker=marker,
            ms=4,
            ls=":",
            elinewidth=0.8,
            label=name,
        )
    ax.axhline(50, color="0.6", lw=1, ls=(0, (1, 3)), label="chance")
    ax.set(xlabel="layer (0 = input of the first block)", ylabel=f"EER on {split} (%)")
    whole_rates(ax)
    whole_numbers(ax)
    has_intervals = bool(low[[first, *lengths]].notna().any(axis=None))
    notes = (
        [] if has_room or not has_intervals else ["intervals of segment EERs are in results.csv"]
    )
    label(
        ax,
        [run],
        split,
        title="where it is spoofed",
        bands="" if has_intervals else "no intervals",
        notes=notes,
    )
    legend(ax)
    return ax


def has_localisation(run: LoadedRun) -> bool:
    """Whether a run says where utterances are spoofed.

    >>> has_localisation(load("results/frames.run")), has_localisation(load("results/demo.run"))
    (True, False)
    """
    return bool((run.results["experiment"] == "localisation").any())


def _name(metric: str, condition: str) -> str:
    if metric == "segment_eer":
        length = condition_values(condition, ["segment"])["segment"]
        return f"segment EER, {length.removesuffix('ms')} ms"
    return {"range_eer": "range EER", "f1": "F1"}.get(metric, metric)

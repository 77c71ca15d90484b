"""The picture of attacks: a heat map of source and attack by judge."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from analysis.plots.axes import new_axes, short
from analysis.plots.heat_maps import layer_map
from analysis.plots.style import check_few, label
from analysis.robustness.attack_table import WHITE
from analysis.robustness.attacking import Attacks
from analysis.robustness.figures import CLEAN
from probing.serving.candidates import LINEAR

BELOW = "below an EER: its rise in points, * if the interval leaves 0 out; framed: white box"


def attack_map(found: Attacks, smooth: int = 0, ax: Axes | None = None) -> Axes:
    """EER (%) by judge (across) and by attacked head and attack (down), its rise in points below.

    A rise whose 95 % interval leaves 0 out is marked with `*`; a cell of a head that is attacked
    itself is framed.

    Args:
        found: of `attack_run`.
        smooth: copies that the scores are means over; 0 of the clips themselves.
        ax: where to draw; default a new figure as large as it needs to be.

    >>> from pathlib import Path
    >>> from analysis import load
    >>> from analysis.runs.companions import Companion
    >>> from analysis.robustness.stored import read_attacks
    >>> companion = Companion.read(Path("results/demo.attack"))
    >>> found = read_attacks(load("results/demo.run"), companion.folder, companion.about)
    >>> attack_map(found).get_xlabel().splitlines()[0]
    'judged by'
    """
    table = found.table[found.table["smooth"] == smooth]
    judges = table[["judge", "judge_head"]].drop_duplicates().itertuples(index=False, name=None)
    columns = {judge: f"{short(judge[0])}\n{head_in_words(judge[1])}" for judge in judges}
    lines = table[["source_head", "attack"]].drop_duplicates().itertuples(index=False, name=None)
    named = {
        line: line[1] if line[1] == CLEAN else f"{head_in_words(line[0])}, {line[1]}"
        for line in lines
    }
    check_few(len(named))
    rates = pd.DataFrame(index=list(named.values()), columns=list(columns.values()), dtype=float)
    texts = rates.astype(object)
    framed = []
    for row in table.to_dict("records"):
        line = named[row["source_head"], row["attack"]]
        column = columns[row["judge"], row["judge_head"]]
        rates.loc[line, column], texts.loc[line, column] = row["eer"], _cell(row)
        if row["access"] == WHITE:
            framed.append((rates.columns.get_loc(column), rates.index.get_loc(line)))
    ax = ax or new_axes(
        height=2.1 + 0.42 * len(rates), width=max(8.0, 3.4 + 1.3 * len(rates.columns))
    )
    layer_map(rates, ax, "EER on eval clips (%)", texts, vmax=100)
    for place in framed:
        ax.add_patch(Rectangle(place, 1, 1, fill=False, edgecolor="#D55E00", lw=2, clip_on=False))
    ax.tick_params(axis="x", rotation=0, labelsize=7)
    ax.set(xlabel=f"judged by\n{BELOW}", ylabel="attacked")
    title = f"{len(found.trials)} eval clips attacked"
    if smooth:
        title += f", scored over {smooth} copies at {found.smoothing.snr_db:g} dB"
    n_bonafide, n_spoof = (int(table[name].iloc[0]) for name in ("n_bonafide", "n_spoof"))
    drawn = (
        f"of these {n_bonafide} + {n_spoof} drawn and attacked; 95 % by bootstrap of their speakers"
    )
    label(ax, [found.run], "eval", title, bands=drawn, below=62)
    return ax


def head_in_words(name: str) -> str:
    """`linear-layer-03` as layer 3; any other head as it is called.

    >>> head_in_words("linear-layer-03"), head_in_words("mean+linear-depth-04")
    ('layer 3', 'mean+linear-depth-04')
    """
    return f"layer {int(name.removeprefix(LINEAR))}" if name.startswith(LINEAR) else short(name)


def _cell(row: dict[str, float]) -> str:
    if row["attack"] == CLEAN:
        return f"{row['eer']:.0f}\n{row['low']:.0f}–{row['high']:.0f}"
    mark = "*" if row["rise_low"] > 0 or row["rise_high"] < 0 else ""
    return f"{row['eer']:.0f}\n{row['rise']:+.0f}{mark}"

"""Heat maps of layer by attack, or by any other condition of the corpus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from analysis.plots.axes import new_axes, plain, short
from analysis.plots.heat_maps import layer_map
from analysis.plots.style import check_few, check_split, label
from analysis.plots.tidy import conditions_of, takes_table
from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import load
from probing.metrics.decomposition import FEW_TRIALS, POOLED, conditions
from probing.runs import Run


@takes_table(conditions_of)
def condition_map(
    run: str | Path | Run,
    by: str = "attack",
    split: str = "eval",
    ax: Axes | None = None,
    resamples: int | None = None,
) -> Axes:
    """EER (%) of linear probes by layer (across) and condition (down), with intervals.

    Conditions of fewer than 5 trials of a class are hatched.

    Args:
        run: a run.
        by: `attack`, or any column of the corpus, such as `codec`; see `LoadedRun.by`.
        split: `eval` or `dev`.
        ax: where to draw; default a new figure as large as it needs to be.
        resamples: of the bootstrap; default as many as the run's.

    Raises:
        ProbeError: the corpus has no such column.

    >>> condition_map("results/demo.run", "attack").get_xlabel()
    'layer (0 = input of the first block)'
    """
    check_split(split)
    run = load(run)
    check_few(n_conditions(run, by, split), by)
    table = run.by(by, split, resamples)
    order = list(dict.fromkeys(table["condition"]))
    rates = table.pivot(index="condition", columns="layer", values="eer").loc[order]
    texts = table.assign(text=table.apply(_cell, axis=1)).pivot(
        index="condition", columns="layer", values="text"
    )
    counts = table.groupby("condition")[["n_bonafide", "n_spoof"]].first().loc[order]
    few = too_few_of(run, by, split, order)
    counts = pd.concat([counts, few])
    order += list(few.index)
    rates, texts = rates.reindex(order), texts.reindex(order)
    same = counts["n_bonafide"].nunique() == 1
    names = [
        f"{short(name)} ({row.n_spoof})"
        if same
        else f"{short(name)} ({row.n_bonafide} + {row.n_spoof})"
        for name, row in zip(order, counts.itertuples(), strict=True)
    ]
    ax = ax or new_axes(
        1.8 + 0.42 * len(order), max(8.0, 2.6 + 0.6 * len(rates.columns)), by_text=True
    )
    note = layer_map(rates.set_axis(names), ax, f"EER on {split} (%)", texts)
    ax.set(
        xlabel="layer (0 = input of the first block)",
        ylabel=f"{plain(by)} ({'spoofs' if same else 'bona fide + spoofs'})",
    )
    notes = [f"hatched: fewer than {FEW_TRIALS} trials of a class"] if len(few) else []
    label(ax, [run], split=split, title=f"by {by}", resamples=resamples or 0, notes=[*notes, note])
    return ax


def too_few_of(run: LoadedRun, by: str, split: str, known: Sequence[str]) -> pd.DataFrame:
    """n_bonafide and n_spoof of the values of a column that are not known, as they have too few
    trials.
    """
    trials = run.trials(f"linear-layer-{run.record.finding.layer:02d}", run.part(split))
    if by not in trials:
        return pd.DataFrame(columns=["n_bonafide", "n_spoof"])
    trials[by] = trials[by].astype(str)
    rows = {}
    for condition, chosen in conditions(trials, [by]):
        if condition[by] not in known and condition[by] != POOLED:
            n_bonafide = int(chosen["label"].eq("bonafide").sum())
            rows[condition[by]] = {"n_bonafide": n_bonafide, "n_spoof": len(chosen) - n_bonafide}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["n_bonafide", "n_spoof"])


def n_conditions(run: LoadedRun, by: str, split: str = "eval") -> int:
    """How many values a column has; 0 where there is none of that name.

    >>> from analysis import load
    >>> n_conditions(load("results/demo.run"), "attack") > 1
    True
    """
    trials = run.trials_of(run.part(split))
    return int(trials[by].nunique()) if by in trials else 0


def _cell(row: pd.Series[float]) -> str:
    return f"{row['eer']:.0f}\n{row['low']:.0f}–{row['high']:.0f}"

"""Layer curves: the error of a linear probe by layer, with its interval and its controls."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle
from pathlib import Path

from matplotlib.axes import Axes

from analysis.plots.style import (
    GREY,
    MARKERS,
    colours,
    label,
    legend,
    new_axes,
    plain,
    save_into,
    whole_numbers,
    whole_rates,
)
from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import load, load_many
from analysis.runs.protocols import check_same_utterances
from probing.runs import Run
from probing.runs.simultaneous import layer_bands

Some = str | Path | Run | Iterable[str | Path | Run]


def layer_curve(
    runs: Some,
    split: str = "eval",
    ax: Axes | None = None,
    relative: bool | None = None,
    corpus: str | None = None,
    simultaneous: bool = False,
) -> Axes:
    """EER (%) by layer with its interval, the shuffled-label control and the trivial-feature line.

    Args:
        runs: a run or several on the same utterances; controls are those of the first.
        split: `eval` or `dev`.
        ax: where to draw; default a new figure.
        relative: draw layer / L, from 0 to 1, instead of the layer; by default where the runs differ in L.
        corpus: of those evaluated on; default the first.
        simultaneous: draw bands that hold for all layers of a run at once, for a layer that is picked by looking.

    Returns:
        The axes; `analysis.save_figure(ax, "curve.pdf")` keeps them.

    Raises:
        ProbeError: a run was made on other utterances than the first.

    >>> ax = layer_curve(["results/demo.run", "results/random.run"])
    >>> ax.get_xlabel(), len(ax.get_legend().get_texts()) > 1
    ('layer (0 = input of the first block)', True)
    """
    ax = ax or new_axes()
    runs = load_many(runs, corpus)
    for run in runs[1:]:
        check_same_utterances(runs[0].utterances, run, run.corpus)
    deepest = max(run.n_blocks for run in runs)
    relative = any(run.n_blocks not in (0, deepest) for run in runs) if relative is None else relative
    _draw_control(ax, runs[0], split, relative)
    for colour, marker, name, run in zip(colours(len(runs)), cycle(MARKERS), runs.names, runs, strict=False):
        layers = run.layers[run.layers["split"] == split]
        if simultaneous:
            bands = 100 * layer_bands(run, run.part(split)).loc[layers["layer"].astype(int)]
            layers = layers.assign(low=bands["low"].to_numpy(), high=bands["high"].to_numpy())
        x = layers["relative_depth" if relative else "layer"].astype(float)
        called = "linear probe" if len(runs) == 1 else plain(name)
        if len(layers) == 1:  # features without layers: a line across, to compare layers with
            ax.axhspan(layers["low"].item(), layers["high"].item(), color=colour, alpha=0.08, lw=0)
            ax.axhline(layers["eer"].item(), color=colour, lw=1, ls="-.")
        else:
            ax.fill_between(x, layers["low"], layers["high"], color=colour, alpha=0.2 if len(runs) == 1 else 0.1, lw=0)
        ax.plot(x, layers["eer"], color=colour, marker=marker, ms=4, lw=1.4, label=called)
        chosen = (layers["layer"] == run.record.finding.layer).to_numpy()
        text = "chosen on dev" if run is runs[len(runs) - 1] else None
        ax.plot(x[chosen], layers["eer"][chosen], "o", ms=10, mfc="none", mec=colour, mew=1.8, label=text)
    low, high = (-0.03, 1.03) if relative else (-0.3, max(deepest, 1) + 0.3)
    about = "relative depth (layer / number of layers)" if relative else "layer (0 = input of the first block)"
    trivial = runs[0].controls.query("experiment == 'trivial-features' and split == @split").iloc[0]
    ax.axhline(trivial["eer"], color="0.25", ls="--", label="trivial features (duration, level, bandwidth, floor)")
    ends = [[trivial["eer"] - trivial["low"]], [trivial["high"] - trivial["eer"]]]
    ax.errorbar([low / 2], [trivial["eer"]], ends, color="0.25", lw=1, capsize=2)
    at_once = ", all layers at once" if simultaneous else ""
    ax.set(xlabel=about, ylabel=f"EER on {split} (%), 95 % intervals{at_once}", xlim=(low, high))
    whole_rates(ax)
    if not relative:
        whole_numbers(ax)
    label(ax, runs, split)
    legend(ax)
    return ax


def _draw_control(ax: Axes, run: LoadedRun, split: str, relative: bool) -> None:
    """The same probes on shuffled labels."""
    rows = run.rows("shuffled-labels", split, run.corpus)
    control = rows.groupby("layer")["value"].agg(["mean", "min", "max"])
    x = control.index.astype(float) / (max(run.n_blocks, 1) if relative else 1)
    if len(control):
        ax.fill_between(x, 100 * control["min"], 100 * control["max"], color=GREY, alpha=0.2, lw=0)
        ax.plot(x, 100 * control["mean"], color=GREY, ls=":", label="shuffled labels (control; band: range)")


def corpora_curve(run: str | Path | Run, ax: Axes | None = None) -> Axes:
    """EER (%) by layer on every corpus evaluated on, with intervals.

    Args:
        run: a finished run.
        ax: where to draw; default a new figure.
    """
    ax = ax or new_axes()
    run = load(run)
    for colour, marker, corpus in zip(colours(len(run.corpora)), cycle(MARKERS), run.corpora, strict=False):
        of_corpus = load(run, corpus)
        layers = of_corpus.layers.query("split == 'eval'")
        counts = run.record.counts[of_corpus.part("eval")]
        told = f"{plain(corpus)} ({counts['bonafide']} + {counts['spoof']})"
        lowest = layers.loc[layers["eer"].idxmin()]
        ax.fill_between(layers["layer"].astype(int), layers["low"], layers["high"], color=colour, alpha=0.15, lw=0)
        ax.plot(layers["layer"].astype(int), layers["eer"], color=colour, marker=marker, ms=3, label=told)
        ax.plot(lowest["layer"], lowest["eer"], "o", ms=9, mfc="none", mec=colour, mew=1.5)
    chosen = run.record.finding.layer
    ax.axvline(chosen, color="0.4", lw=1, ls="--", label=f"layer {chosen}, chosen on dev")
    ax.set(xlabel="layer (0 = input of the first block)", ylabel="EER on eval (%), band: 95 %")
    ax.set(xlim=(-0.3, max(run.n_blocks, 1) + 0.3))
    whole_rates(ax, 0)
    whole_numbers(ax)
    label(ax, [run], title="every corpus")
    legend(ax, title="rings: lowest on that corpus", title_fontsize=8)
    return ax


def save_corpora_curve(run: Run) -> list[str]:
    """Draw the curves of all corpora into the run's `figures` folder; none where there is one only."""
    return save_into(run, "corpora-curve", corpora_curve(run)) if len(run.corpora) > 1 else []


def save_layer_curve(run: Run, others: Iterable[Run] = ()) -> list[str]:
    """Draw the layer curve into the run's `figures` folder as png and svg; returns the paths."""
    return save_into(run, "layer-curve", layer_curve([run, *others]))

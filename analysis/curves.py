"""Layer curves: the error of a linear probe by layer, with its interval and its controls."""

from collections.abc import Sequence

import matplotlib
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cache import ProbeError
from probing.runs import Run

FIGURES = ("png", "svg")


def layer_curve(
    run: Run, split: str = "eval", ax: Axes | None = None, others: Sequence[Run] = (), corpus: str | None = None
) -> Axes:
    """EER (%) by layer with its interval, the shuffled-label control and the trivial-feature line.

    Args:
        run: a finished run.
        split: `eval` or `dev`.
        ax: where to draw; default a new figure.
        others: runs on the same utterances to draw beside it, as the same architecture with random weights.
        corpus: of those evaluated on; default the first.

    Returns:
        The axes; `ax.figure.savefig(...)` keeps them.

    Raises:
        ProbeError: another run was made on other utterances.
    """
    ax = ax or _axes()
    finding = run.record["finding"]
    layers, control, trivial = (
        _percent(run.rows(name, split, corpus)) for name in ("layer", "shuffled-labels", "trivial-features")
    )
    layers, trivial = layers.sort_values("layer"), trivial.iloc[0]
    control = control.groupby("layer")["value"].agg(["mean", "min", "max"])
    blue, orange, grey = seaborn.color_palette("deep")[0], seaborn.color_palette("deep")[1], "0.55"
    x = layers["layer"].astype(int).to_numpy()

    if len(control):
        ax.fill_between(control.index.astype(int), control["min"], control["max"], color=grey, alpha=0.2, lw=0)
        ax.plot(control.index.astype(int), control["mean"], color=grey, ls=":", label="shuffled labels (control)")
    ax.axhline(trivial["value"], color=orange, ls="--", label="trivial features (duration, level, bandwidth, floor)")
    for colour, other in zip(seaborn.color_palette("deep")[2:], others, strict=False):
        check_same_utterances(run.record["utterances"], other)
        theirs = _percent(other.rows("layer", split, corpus)).sort_values("layer")
        name = other.record["finding"]["backbone"]
        ax.plot(theirs["layer"].astype(int), theirs["value"], color=colour, marker="s", ms=3, lw=1, label=name)
    ax.fill_between(x, layers["low"], layers["high"], color=blue, alpha=0.2, lw=0, label="95 % interval")
    ax.plot(x, layers["value"], color=blue, marker="o", ms=4, label="linear probe")
    chosen = layers[layers["layer"] == finding["layer"]].iloc[0]
    ax.plot(chosen["layer"], chosen["value"], "o", ms=10, mfc="none", mec=blue, mew=1.8, label="chosen on dev")

    ax.set(xlabel="layer (0 = input of the first block)", ylabel=f"EER on {split} (%)", xlim=(x[0] - 0.3, x[-1] + 0.3))
    ax.set_ylim(0, max(60.0, float(pd.concat([layers["high"], control["max"]]).max()) + 3))
    ax.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    ax.set_title(_title(run, corpus), loc="left", fontsize=11)
    ax.legend(fontsize=8, ncols=2, loc="lower left", frameon=True)
    counts = run.record["counts"][split if corpus in (None, run.corpora[0]) else f"{split}.{corpus}"]
    trials = f"{counts['bonafide']} bona fide + {counts['spoof']} spoof"
    stamp = f"{trials}; {run.record['intervals']}; cache {run.record['cache']}"
    ax.annotate(stamp, (0, 0), (0, -38), "axes fraction", textcoords="offset points", fontsize=7, color="0.4")
    return ax


def check_same_utterances(utterances: dict[str, int], other: Run) -> None:
    """Raise ProbeError where a run was made on other utterances than those of `probing.sweep.identity`."""
    if utterances != other.record["utterances"]:
        raise ProbeError(
            f"{other.folder}: made on other utterances, so the curves cannot be compared. "
            "Sweep caches of the same corpus with the same --train, --dev and --eval."
        )


def corpora_curve(run: Run, ax: Axes | None = None) -> Axes:
    """EER (%) by layer on every corpus evaluated on, with intervals.

    Args:
        run: a finished run.
        ax: where to draw; default a new figure.
    """
    ax = ax or _axes()
    for colour, corpus in zip(seaborn.color_palette("deep", len(run.corpora)), run.corpora, strict=True):
        layers = _percent(run.rows("layer", corpus=corpus)).sort_values("layer")
        x, lowest = layers["layer"].astype(int).to_numpy(), layers.loc[layers["value"].idxmin()]
        ax.fill_between(x, layers["low"], layers["high"], color=colour, alpha=0.15, lw=0)
        ax.plot(x, layers["value"], color=colour, marker="o", ms=3, label=corpus)
        ax.plot(lowest["layer"], lowest["value"], "o", ms=9, mfc="none", mec=colour, mew=1.5)
    chosen = run.record["finding"]["layer"]
    ax.axvline(chosen, color="0.4", lw=1, ls="--", label=f"layer {chosen}, chosen on dev")
    ax.set(xlabel="layer (0 = input of the first block)", ylabel="EER on eval (%)", xlim=(x[0] - 0.3, x[-1] + 0.3))
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    trained = run.record["caches"]["train"]["corpus"]
    ax.set_title(f"{run.record['finding']['backbone']}, trained on {trained}", loc="left", fontsize=11)
    ax.legend(fontsize=8, loc="best", frameon=True, title="rings: lowest on that corpus", title_fontsize=8)
    stamp = f"{run.record['intervals']}; cache {run.record['cache']}"
    ax.annotate(stamp, (0, 0), (0, -38), "axes fraction", textcoords="offset points", fontsize=7, color="0.4")
    return ax


def save_corpora_curve(run: Run) -> list[str]:
    """Draw the curves of all corpora into the run's `figures` folder; none where there is one only."""
    return _save(corpora_curve(run), run, "corpora-curve") if len(run.corpora) > 1 else []


def save_layer_curve(run: Run, others: Sequence[Run] = ()) -> list[str]:
    """Draw the layer curve into the run's `figures` folder as png and svg; returns the paths."""
    return _save(layer_curve(run, others=others), run, "layer-curve")


def _save(ax: Axes, run: Run, name: str) -> list[str]:
    figure, paths = ax.get_figure(root=True), []
    assert figure is not None
    for kind in FIGURES:
        path = run.folder / "figures" / f"{name}.{kind}"
        figure.savefig(path, dpi=150, metadata={"Date": None} if kind == "svg" else None)
        paths.append(str(path))
    return paths


def _percent(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(**{name: 100 * rows[name] for name in ("value", "low", "high")})


def _title(run: Run, corpus: str | None) -> str:
    """What the probes were trained on, and evaluated on where that is another corpus."""
    trained, evaluated = run.record["caches"]["train"]["corpus"], corpus or run.corpora[0]
    on = trained if trained == evaluated else f"trained on {trained}, evaluated on {evaluated}"
    return f"{run.record['finding']['backbone']}, {on}"


def _axes() -> Axes:
    with seaborn.axes_style("whitegrid", {"grid.color": "0.92"}):
        return Figure(figsize=(8, 4.8), layout="constrained").subplots()

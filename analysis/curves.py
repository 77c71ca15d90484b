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


def layer_curve(run: Run, split: str = "eval", ax: Axes | None = None, others: Sequence[Run] = ()) -> Axes:
    """EER (%) by layer with its interval, the shuffled-label control and the trivial-feature line.

    Args:
        run: a finished run.
        split: `eval` or `dev`.
        ax: where to draw; default a new figure.
        others: runs on the same utterances to draw beside it, as the same architecture with random weights.

    Returns:
        The axes; `ax.figure.savefig(...)` keeps them.

    Raises:
        ProbeError: another run was made on other utterances.
    """
    ax = ax or _axes()
    finding = run.record["finding"]
    results = _percent(run, split)
    layers = results[results["experiment"] == "layer"].sort_values("layer")
    control = results[results["experiment"] == "shuffled-labels"].groupby("layer")["value"].agg(["mean", "min", "max"])
    trivial = results[results["experiment"] == "trivial-features"].iloc[0]
    blue, orange, grey = seaborn.color_palette("deep")[0], seaborn.color_palette("deep")[1], "0.55"
    x = layers["layer"].astype(int).to_numpy()

    if len(control):
        ax.fill_between(control.index.astype(int), control["min"], control["max"], color=grey, alpha=0.2, lw=0)
        ax.plot(control.index.astype(int), control["mean"], color=grey, ls=":", label="shuffled labels (control)")
    ax.axhline(trivial["value"], color=orange, ls="--", label="trivial features (duration, level, bandwidth, floor)")
    for colour, other in zip(seaborn.color_palette("deep")[2:], others, strict=False):
        check_same_utterances(run.record["utterances"], other)
        theirs = _percent(other, split).query("experiment == 'layer'").sort_values("layer")
        name = other.record["finding"]["backbone"]
        ax.plot(theirs["layer"].astype(int), theirs["value"], color=colour, marker="s", ms=3, lw=1, label=name)
    ax.fill_between(x, layers["low"], layers["high"], color=blue, alpha=0.2, lw=0, label="95 % interval")
    ax.plot(x, layers["value"], color=blue, marker="o", ms=4, label="linear probe")
    chosen = layers[layers["layer"] == finding["layer"]].iloc[0]
    ax.plot(chosen["layer"], chosen["value"], "o", ms=10, mfc="none", mec=blue, mew=1.8, label="chosen on dev")

    ax.set(xlabel="layer (0 = input of the first block)", ylabel=f"EER on {split} (%)", xlim=(x[0] - 0.3, x[-1] + 0.3))
    ax.set_ylim(0, max(60.0, float(pd.concat([layers["high"], control["max"]]).max()) + 3))
    ax.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    ax.set_title(f"{finding['backbone']}, {run.record['about']['corpus']}", loc="left", fontsize=11)
    ax.legend(fontsize=8, ncols=2, loc="lower left", frameon=True)
    counts = run.record["counts"][split]
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


def save_layer_curve(run: Run, others: Sequence[Run] = ()) -> list[str]:
    """Draw the layer curve into the run's `figures` folder as png and svg; returns the paths."""
    figure, paths = layer_curve(run, others=others).get_figure(root=True), []
    assert figure is not None
    for kind in FIGURES:
        path = run.folder / "figures" / f"layer-curve.{kind}"
        figure.savefig(path, dpi=150, metadata={"Date": None} if kind == "svg" else None)
        paths.append(str(path))
    return paths


def _percent(run: Run, split: str) -> pd.DataFrame:
    results = run.results[(run.results["split"] == split) & (run.results["metric"] == "eer")]
    return results.assign(**{name: 100 * results[name] for name in ("value", "low", "high")})


def _axes() -> Axes:
    with seaborn.axes_style("whitegrid", {"grid.color": "0.92"}):
        return Figure(figsize=(8, 4.8), layout="constrained").subplots()

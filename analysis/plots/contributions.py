"""What layers contribute to heads: gates, weights, and what is lost without a layer."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from analysis.plots.axes import new_axes
from analysis.plots.depths import check_heads, depth_curve
from analysis.plots.head_panels import LEARNED, draw_by_head, head_curves
from analysis.plots.saving import save_into
from analysis.plots.tidy import contributions_of, takes_table
from analysis.runs.gates import gate_agreement, gate_changes
from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import load
from probing.heads.kinds import weighs_layers
from probing.runs import Run


@takes_table(contributions_of("gate"))
def gate_curve(run: str | Path | Run, ax: Axes | None = None, condition: str = "all") -> Axes:
    """Gates of full-depth heads by layer, as the change of their shares since the start.

    The band is over seeds. Gates start at random and may stay near there: see
    `analysis.runs.gates`. The legend has Kendall's W, how far the seeds agree; the caption says how
    far gates still are what they started as.

    Args:
        run: a run with heads that have gates (attentive merges, SLS).
        ax: where to draw; default a new figure.
        condition: `all`, `label=spoof`, `attack=A10`, ...: whose gates.

    Raises:
        ProbeError: no gates, or none of that condition.

    >>> gate_curve("results/demo.run").get_xlabel()
    'layer'
    """
    return _shares(run, ("gate",), column="change", ax=ax, condition=condition)


@takes_table(contributions_of("gate_sd"))
def gate_spread_curve(
    run: str | Path | Run, ax: Axes | None = None, condition: str = "all"
) -> Axes:
    """Standard deviation of gates over utterances by layer; band: over seeds.

    >>> gate_spread_curve("results/demo.run").get_xlabel()
    'layer'
    """
    ax = ax or new_axes()
    run = load(run)
    check_heads(run)
    rows = run.contributions.query("condition == @condition")
    rows = rows.rename(columns={"value": "mean", "low": "min", "high": "max"})
    curves = list(head_curves(run, rows, ("gate_sd",), condition))
    return draw_by_head(
        run,
        curves,
        ax=ax,
        up="deviation of a gate\nover utterances",
        even="",
        more=[],
        condition=condition,
    )


@takes_table(contributions_of("weight", "weight_x_norm"))
def weight_curve(run: str | Path | Run, ax: Axes | None = None) -> Axes:
    """Softmax weights of weighted sums by layer, and times the layer's norm; band: range over
    seeds.

    Drawn is the deviation of a layer's share from what each had if all were alike, in points, since
    shares of many layers lie too close together to be seen from 0.

    >>> weight_curve("results/demo.run").get_xlabel()
    'layer'
    """
    return _shares(run, LEARNED, "deviation", ax)


@takes_table(contributions_of("gate", "weight", "weight_x_norm"))
def contribution_curve(run: str | Path | Run, ax: Axes | None = None) -> Axes:
    """Gates and weights in one picture, as the change of their shares over layers.

    Weighted sums start with all layers alike, gates at random; see `gate_curve`.

    >>> contribution_curve("results/demo.run").get_xlabel()
    'layer'
    """
    return _shares(run, ("gate", *LEARNED), "change", ax)


@takes_table(contributions_of("_without", "_permuted"))
def ablation_curve(run: str | Path | Run, ax: Axes | None = None) -> Axes:
    """What the metric of full-depth heads gains without a layer, or with it permuted.

    An error rate, as EER, is in points. Each seed is compared with itself with all layers. Each
    head has a panel, all on one scale.

    >>> ablation_curve("results/demo.run").get_xlabel()
    'layer'
    """
    ax = ax or new_axes()
    run = load(run)
    check_heads(run)
    metric = run.metric
    changes = ablation_table(run)
    values = (
        changes.groupby(["head", "metric", "layer"])["change"]
        .agg(["mean", "min", "max"])
        .reset_index()
    )
    curves = list(head_curves(run, values, ("without", "permuted"), "all"))
    more = "" if changes.attrs["paired"] else "not paired by seed, in a run of an earlier version"
    up = f"{metric.called} on eval less that\nwith all layers" + (
        f" ({metric.step})" if metric.step else ""
    )
    return draw_by_head(run, curves, ax=ax, up=up, even="all layers", more=[more], same_height=True)


def ablation_table(run: str | Path | Run) -> pd.DataFrame:
    """head, metric (`without` the layer, or with it `permuted`), layer, seed, and the change of the
    metric on eval.

    Shares are in points. The change is from what the same seed has with all layers.

    Raises:
        ProbeError: a run without heads.

    >>> list(ablation_table("results/demo.run"))
    ['head', 'metric', 'layer', 'seed', 'change']
    """
    run = load(run)
    check_heads(run)
    name = run.metric.name
    rows = run.results[run.results["experiment"] == "contribution"]
    rows = rows[
        (rows["condition"] == "all") & rows["metric"].isin([f"{name}_without", f"{name}_permuted"])
    ]
    depths = run.rows("depth", "eval", run.corpora[0])
    depths = depths[(depths["metric"] == name) & (depths["depth"].astype(float) == run.n_blocks)]
    whole = depths.dropna(subset="seed").set_index(["head", "seed"])["value"].rename("whole")
    mean = depths[depths["seed"].isna()].set_index("head")["value"].rename("mean")
    table = (
        rows[["head", "metric", "layer", "seed", "value"]]
        .join(whole, on=["head", "seed"])
        .join(mean, on="head")
    )
    paired = bool(table["whole"].notna().all())
    changes = run.metric.scale * (table["value"] - table["whole"].fillna(table["mean"])).astype(
        float
    )
    table = table.assign(metric=table["metric"].str.removeprefix(f"{name}_"), change=changes)
    table = table[["head", "metric", "layer", "seed", "change"]].reset_index(drop=True)
    table.attrs["paired"] = paired
    return table


def _shares(
    run: str | Path | Run,
    metrics: tuple[str, ...],
    column: str,
    ax: Axes | None,
    condition: str = "all",
) -> Axes:
    """Draw `deviation` from equal shares, or `change` of `gate_changes` (if starts are not known,
    the deviation).
    """
    ax = ax or new_axes()
    run = load(run)
    check_heads(run)
    rows = gate_changes(run, condition)
    rows = rows[rows["metric"].isin(metrics) & rows["head"].map(weighs_layers).astype(bool)]
    rows = rows.assign(deviation=rows["share"] - 100 / run.n_blocks)
    more = []
    if column == "change" and rows["change"].isna().any():  # a run of an earlier version
        column = "deviation"
        more.append("gates may show their random start, which an earlier version did not keep")
    agreement = gate_agreement(run, condition)
    values = (
        rows.groupby(["head", "metric", "layer"])[column].agg(["mean", "min", "max"]).reset_index()
    )
    curves = list(head_curves(run, values, metrics, condition))
    heads = {curve.head for curve in curves}
    agreed = {}
    if column == "change":
        more.append(_agreement(agreement[agreement.index.get_level_values("head").isin(heads)]))
        agreed = agreement["kendall_w"].dropna().to_dict()
    as_even = "as at the start" if column == "change" else "all layers alike"
    beyond = "that at the start" if column == "change" else f"{100 / run.n_blocks:.3g} %, all alike"
    up = f"share of a layer less\n{beyond} (points)"
    return draw_by_head(
        run, curves, ax=ax, up=up, even=as_even, more=more, condition=condition, agreed=agreed
    )


def _agreement(found: pd.DataFrame) -> str:
    """What the caption says of seeds and starts."""
    parts = []
    if (found["seeds"] > 1).any():
        parts.append(
            f"W: agreement of seeds on ranks (Kendall), {found['by_chance'].min():.2f} by chance"
        )
    low = found["start_low"].min()
    high = found["start_high"].max()
    if not pd.isna(low):
        parts.append(f"gates correlate at {low:z.2f} to {high:z.2f} with their random start")
    return "; ".join(parts)


def save_depth_curve(run: Run) -> list[str]:
    """Draw depth curve and contributions into the run's `figures` folder as png and svg; none where
    no heads are.

    Gives the paths, those of the depth curve first.

    >>> from pathlib import Path
    >>> from probing.runs import Run
    >>> [Path(path).name for path in save_depth_curve(Run("results/demo.run"))][:2]
    ['depth-curve.png', 'depth-curve.svg']
    """
    if not run.record.depth_finding:
        return []
    run = load(run)
    paths = save_into(run, "depth-curve", depth_curve(run))
    return (
        [*paths, *save_into(run, "contributions", contribution_curve(run))]
        if has_weights(run)
        else paths
    )


def has_weights(run: LoadedRun) -> bool:
    """Whether any head of a run has gates or weights of its own for the layers; a mean and a single
    layer have none.

    >>> has_weights(load("results/demo.run")), has_weights(load("results/random.run"))
    (True, False)
    """
    return any(weighs_layers(name) for name in run.contributions["head"])

"""What layers contribute to heads: gates, weights, and what is lost without a layer; a panel a
head.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.plots.depths import check_heads, depth_curve, heads_of
from analysis.plots.legends import legend
from analysis.plots.palette import head_colour, head_marker
from analysis.plots.panels import label_outer, label_panels, panel_title, panels
from analysis.plots.style import label, new_axes, plain, save_into, whole_numbers
from analysis.plots.tidy import contributions_of, takes_table
from analysis.runs.gates import gate_agreement, gate_changes
from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import load
from cache import ProbeError
from probing.heads.kinds import weighs_layers
from probing.options import command_line
from probing.runs import Run

LEARNED = ("weight", "weight_x_norm")


@takes_table(contributions_of("gate"))
def gate_curve(run: str | Path | Run, ax: Axes | None = None, condition: str = "all") -> Axes:
    """Gates of the heads of full depth by layer, as the change of their shares since the start;
    band: over seeds.

    Gates start at random and may stay near there: see `analysis.runs.gates`. The legend has
    Kendall's W, how far the seeds agree; the caption says how far gates still are what they started
    as.

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
    """How far gates depend on the utterance: their standard deviation over utterances by layer;
    band: over seeds.

    >>> gate_spread_curve("results/demo.run").get_xlabel()
    'layer'
    """
    ax = ax or new_axes()
    run = load(run)
    check_heads(run)
    rows = run.contributions.query("condition == @condition")
    rows = rows.rename(columns={"value": "mean", "low": "min", "high": "max"})
    curves = list(_curves(run, rows, ("gate_sd",), condition))
    return _by_head(
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
    """Gates and weights in one picture, as the change of their shares over layers, so that merges
    of any kind compare.

    Weighted sums start with all layers alike, gates at random; see `gate_curve`.
    """
    return _shares(run, ("gate", *LEARNED), "change", ax)


@takes_table(contributions_of("_without", "_permuted"))
def ablation_curve(run: str | Path | Run, ax: Axes | None = None) -> Axes:
    """What is added to the metric (EER, points) of heads of full depth without a layer, or with it
    permuted.

    Each seed is compared with itself with all layers. Each head has a panel, all on one scale.

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
    curves = list(_curves(run, values, ("without", "permuted"), "all"))
    more = "" if changes.attrs["paired"] else "not paired by seed, in a run of an earlier version"
    up = f"{metric.called} on eval less that\nwith all layers" + (
        f" ({metric.step})" if metric.step else ""
    )
    return _by_head(run, curves, ax=ax, up=up, even="all layers", more=[more], same_height=True)


def ablation_table(run: str | Path | Run) -> pd.DataFrame:
    """head, metric (`without` the layer, or with it `permuted`), layer, seed, and the change of the
    metric on eval.

    Shares are in points. The change is from what the same seed has with all layers.

    Raises:
        ProbeError: a run without heads.
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
    curves = list(_curves(run, values, metrics, condition))
    heads = {curve.head for curve in curves}
    agreed = {}
    if column == "change":
        more.append(_agreement(agreement[agreement.index.get_level_values("head").isin(heads)]))
        agreed = agreement["kendall_w"].dropna().to_dict()
    as_even = "as at the start" if column == "change" else "all layers alike"
    beyond = "that at the start" if column == "change" else f"{100 / run.n_blocks:.3g} %, all alike"
    up = f"share of a layer less\n{beyond} (points)"
    return _by_head(
        run, curves, ax=ax, up=up, even=as_even, more=more, condition=condition, agreed=agreed
    )


def _by_head(
    run: LoadedRun,
    curves: Sequence[_Curve],
    ax: Axes,
    up: str,
    even: str,
    more: Sequence[str],
    condition: str = "all",
    agreed: Mapping[tuple[str, str], float] = MappingProxyType({}),
    same_height: bool = False,
) -> Axes:
    """Draw curves, a panel a head, beside a line at 0, which is called `even`; empty where 0 is an
    end of the scale.

    `more` goes into the small print; `agreed` is Kendall's W by head and metric, where it is known.
    """
    by_head = {
        name: [curve for curve in curves if curve.head == name]
        for name in (one.head for one in curves)
    }
    drawn_on, _ = panels(ax, len(by_head), same_height=same_height)
    several = drawn_on[-1] is not ax
    for panel, (name, mine) in zip(drawn_on, by_head.items(), strict=True):
        colour, notes = head_colour(name), []
        for curve in mine:
            x = curve.table["layer"].astype(int)
            low, middle, high = (
                curve.table[column].astype(float) for column in ("min", "mean", "max")
            )
            w = agreed.get((name, curve.metric))
            notes += [f"W {w:.2f}"] if w is not None else []
            told = f"{plain(name)}: {curve.metric.replace('_x_', ' x ').replace('_', ' ')}"
            told += f", W {w:.2f}" if w is not None else ""
            panel.plot(
                x, middle, color=colour, ls=curve.dashes, marker=head_marker(name), ms=3, label=told
            )
            panel.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
        what = [mine[0].metric] if len({one.metric for one in curves if one.is_first}) > 1 else []
        if several:
            panel_title(panel, name, ", ".join([*what, *notes[:1]]), colour)
    for panel in dict.fromkeys(drawn_on):
        if even:
            panel.axhline(0, color="0.6", lw=1, ls="--", label=even)
            panel.margins(y=0.1)
        else:
            panel.set_ylim(0, 1.1 * panel.get_ylim()[1])
        panel.set(xlim=(0.5, run.n_blocks + 0.5))
        whole_numbers(panel)
    label_outer(drawn_on, "layer", up)
    n_seeds = len(run.record.options.head_seeds)
    bands = [
        f"bands: range over {n_seeds} seeds" if n_seeds > 1 else "one seed, no bands",
        *filter(None, more),
    ]
    bands += ["each head has a scale of its own"] if several and not same_height else []
    title = "" if condition == "all" else condition
    band = (
        [Patch(color="0.6", alpha=0.4, lw=0, label=f"range over {n_seeds} seeds")]
        if n_seeds > 1
        else []
    )
    if not several:
        label(ax, [run], title=title, bands="; ".join(bands))
        legend(ax, band)
        return ax
    handles = [
        Line2D([], [], color="0.3", ls=ls, label=" or ".join(names))
        for ls, names in ((one, _metrics(curves, one)) for one in ("-", ":"))
        if names
    ]
    handles += [Line2D([], [], color="0.5", lw=1, ls="--", label=even)] if even else []
    label_panels(ax, [*handles, *band], [run], title=title, bands="; ".join(bands))
    return ax


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


@dataclass(frozen=True)
class _Curve:
    """A metric of a head by layer: `table` has a row a layer; `is_first` of the metrics that its
    head has.
    """

    head: str
    metric: str
    table: pd.DataFrame
    is_first: bool

    @property
    def dashes(self) -> str:
        """The first metric of a head is solid, the other dotted."""
        return "-" if self.is_first else ":"


def _curves(
    run: LoadedRun, rows: pd.DataFrame, metrics: tuple[str, ...], condition: str
) -> Iterator[_Curve]:
    """Every curve there is; ProbeError if there is none."""
    heads = heads_of(run)
    rows = rows[rows["metric"].isin(metrics)]
    if rows.empty:
        known = sorted(run.contributions["condition"].unique())
        if known and condition not in known:
            raise ProbeError(
                f"{run.folder}: nothing is known of {condition!r}. "
                f"Expected one of {', '.join(known)}"
            )
        what = (
            "gates"
            if metrics[0].startswith("gate")
            else "weights"
            if metrics[0] in LEARNED
            else "ablation"
        )
        having = {"gates": "sls+linear", "weights": "weighted-sum+linear"}.get(what, heads[0])
        advice = command_line("probe", "sweep", run.record.cache_folder, heads=having)
        raise ProbeError(
            f"{run.folder}: its heads ({', '.join(heads)}) have no "
            f"{what}. Sweep such as have: {advice}"
        )
    for name in heads:
        of_head = rows[rows["head"] == name]
        there = [metric for metric in metrics if (of_head["metric"] == metric).any()]
        for metric in there:
            table = of_head[of_head["metric"] == metric].sort_values("layer")
            yield _Curve(name, metric, table, metric == there[0])


def _metrics(curves: Sequence[_Curve], dashes: str) -> list[str]:
    """Metrics in words, of the curves that are so dashed."""
    return list(
        dict.fromkeys(one.metric.replace("_", " ") for one in curves if one.dashes == dashes)
    )


def save_depth_curve(run: Run) -> list[str]:
    """Draw depth curve and contributions into the run's `figures` folder as png and svg; none where
    no heads are.

    Gives the paths, those of the depth curve first.
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
    """
    return any(weighs_layers(name) for name in run.contributions["head"])

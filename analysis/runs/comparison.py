"""Several backbones on the same trials: paired tests, a ranking, and what it costs.

Every figure is of the run's linear probe at the layer chosen on dev, or of a head at full depth, on
the same eval trials and the same bootstrap resamples; see `analysis.runs.paired`.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import Runs, load_many
from analysis.runs.paired import paired, ranked
from analysis.runs.protocols import LINEAR, check_comparable
from cache import ProbeError
from cache.errors import OptionError
from probing.drawn import BootstrapOptions
from probing.options import nearest
from probing.runs import Run
from probing.targets.metrics import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEGEND = (
    "layer: chosen on dev; GMAC: 10^9 multiply-accumulates for 4 s of audio, up to that layer; "
    "enough: the depth shown to be not worse than all layers"
)


@dataclass(frozen=True)
class Comparison:
    """What was found about several runs.

    runs: those compared.
    head: whose scores: `linear` or a head.
    table: one row a run, the best first: layers, best_layer (chosen on dev), relative_depth, eer
        (or the metric of another target), low, high (%), rank, rank_low, rank_high, best (share of
        resamples where it is the best, %), gmacs (10^9 multiply-accumulates for 4 s of audio up to
        the best layer), depth_needed (of the run's finding on depth; missing where none was shown),
        gmacs_needed (up to that depth), gmacs_whole, cache.
    pairs: one row a pair: first, second, difference (EER of the first less that of the second,
        points), low, high, p, p_adjusted, shown.

    >>> found = compare(["results/demo.run", "results/random.run"])
    >>> list(found.ranked)[:3]
    ['EER (%)', '95 %', 'rank']
    """

    runs: Runs
    head: str
    table: pd.DataFrame
    pairs: pd.DataFrame
    resamples: int

    @property
    def metric(self) -> Metric:
        """What they are compared by."""
        return self.runs[0].metric

    @property
    def sentence(self) -> str:
        """The finding in words."""
        return f"{self._lead} {self._shown}"

    @property
    def _lead(self) -> str:
        best = self.table.iloc[0]
        called, corpus, n = self.metric.called, self.runs[0].corpus, len(self.table)
        name = self.metric.name
        tied = [row for _, row in self.table.iterrows() if _is_tie(row[name], best[name])]
        highest = "highest" if self.metric.higher_is_better else "lowest"
        if len(tied) > 1:
            where = "; ".join(f"{row.name} at {self._where(row)}" for row in tied)
            among = "both backbones" if n == len(tied) == 2 else f"{len(tied)} of {n}"
            rest = (
                "" if len(tied) == n else f", which is the {highest}; {self._followed(len(tied))}"
            )
            return (
                f"The {called} of {among} on {corpus} is the same, "
                f"{self._interval(best)}: {where}{rest}."
            )
        return (
            f"{best.name} has the {highest} {called} of {n} on {corpus}: {self._interval(best)} "
            f"at {self._where(best)}, {highest} in "
            f"{best['best']:.0f} % of resamples; {self._followed(1)}."
        )

    def _followed(self, place: int) -> str:
        """Who comes next in the table, with all that have the same figure."""
        name, row = self.metric.name, self.table.iloc[place]
        equal = [
            str(other.name)
            for _, other in self.table.iloc[place:].iterrows()
            if _is_tie(other[name], row[name])
        ]
        who = (
            f"{equal[0]} follows"
            if len(equal) == 1
            else f"{', '.join(equal[:-1])} and {equal[-1]} follow"
        )
        return f"{who} with {self._interval(row)}"

    @property
    def _shown(self) -> str:
        shown = self.pairs[self.pairs["shown"]]
        if shown.empty:
            return (
                "No difference is shown: any of them may be chance "
                "(paired bootstrap, Holm's adjustment)."
            )
        above = "above" if self.metric.higher_is_better else "below"
        differences = [
            f"{row.first} {above} {row.second} by {self._gain(row)}" for row in shown.itertuples()
        ]
        rest = len(self.pairs) - len(shown)
        others = [f"{rest} other pairs may be chance"] if rest else []
        return f"Shown: {'; '.join([*differences, *others])}."

    def _interval(self, row: pd.Series[Any]) -> str:
        value, low, high = (
            row[name] / self.metric.scale for name in (self.metric.name, "low", "high")
        )
        return self.metric.interval(value, low, high)

    def _gain(self, row: Any) -> str:
        """By how much the first of a pair is better, with its interval."""
        value, low, high = self._gains(row)
        number = self.metric.number
        return f"{number(value)} {self.metric.step}".rstrip() + f" [{number(low)}, {number(high)}]"

    def _gains(self, row: Any) -> tuple[float, float, float]:
        if self.metric.higher_is_better:
            return row.difference, row.low, row.high
        return 0.0 - row.difference, 0.0 - row.high, 0.0 - row.low  # 0.0 - 0.0 is no negative zero

    def _where(self, row: pd.Series[Any]) -> str:
        if self.head != LINEAR:
            return f"full depth ({self.head})"
        return f"layer {row['best_layer']} of {row['layers']}, chosen on dev"

    @property
    def ranked(self) -> pd.DataFrame:
        """The table as a person reads it: text with intervals, one row a run."""
        rows = []
        number = self.metric.number
        for row in self.table.itertuples():
            needed = "none shown" if pd.isna(row.depth_needed) else str(row.depth_needed)
            rows.append(
                {
                    self.metric.axis: number(getattr(row, self.metric.name)),
                    "95 %": f"{number(row.low)} .. {number(row.high)}",
                    "rank": f"{row.rank:.2g} [{row.rank_low:.2g}, {row.rank_high:.2g}]",
                    "best in": f"{row.best:.0f} %",
                    "layer": f"{row.best_layer} of {row.layers}",
                    "GMAC": _gmacs(row.gmacs),
                    "enough": needed,
                    "GMAC of these": _gmacs(row.gmacs_needed),
                }
            )
        return pd.DataFrame(rows, index=self.table.index)

    @property
    def differences(self) -> pd.DataFrame:
        """The pairs as a person reads them: text, one row a pair."""
        number = self.metric.number
        better = "higher" if self.metric.higher_is_better else "lower"
        rows = []
        for row in self.pairs.itertuples():
            value, low, high = self._gains(row)
            rows.append(
                {
                    better: row.first,
                    "than": row.second,
                    f"by ({self.metric.step})" if self.metric.step else "by": number(value),
                    "95 %": f"{number(low)} .. {number(high)}",
                    "p (Holm)": f"{row.p_adjusted:.2g}",
                    "": "shown"
                    if row.shown
                    else "the same"
                    if _is_tie(value, 0.0)
                    else "may be chance",
                }
            )
        return pd.DataFrame(rows)

    def ranking(self, ax: Axes | None = None) -> Axes:
        """See `analysis.plots.ranking.ranking_picture`."""
        from analysis.plots.ranking import ranking_picture

        return ranking_picture(self, ax)

    def pareto(self, ax: Axes | None = None) -> Axes:
        """See `analysis.plots.pareto.pareto_picture`."""
        from analysis.plots.pareto import pareto_picture

        return pareto_picture(self.runs, ax)

    def layer_curve(self, ax: Axes | None = None, relative: bool | None = None) -> Axes:
        """See `analysis.layer_curve`."""
        from analysis.plots.layers import layer_curve

        return layer_curve(self.runs, ax=ax, relative=relative)

    def __repr__(self) -> str:
        return f"{self.ranked.to_string()}\n\n{self.sentence}"

    def _repr_html_(self) -> str:
        return (
            f"<p>{html.escape(self.sentence)}</p>{self.ranked.to_html()}<p>{html.escape(LEGEND)}</p>"
            "<p>Paired differences of "
            f"{html.escape(self.metric.called)}</p>{self.differences.to_html(index=False)}"
        )


def compare(
    runs: str | Path | Run | Iterable[str | Path | Run],
    head: str = LINEAR,
    *,
    corpus: str | None = None,
    resamples: int | None = None,
    seed: int | None = None,
) -> Comparison:
    """Compare backbones by their runs on the same trials.

    Args:
        runs: two or more runs or their folders; or one folder with runs in it.
        head: `linear`, the probe at the layer chosen on dev; or a head that every run has, at full
            depth.
        corpus: of those evaluated on, the one to compare on; default the first.
        resamples: of the bootstrap; default as many as those of the first run, whose intervals are
            then the same.
        seed: of the bootstrap; likewise.

    Raises:
        ProbeError: fewer than two runs, a head that one of them does not have, fewer than 100
            resamples, or runs whose corpora or protocols differ, with the reason.

    >>> found = compare(["results/demo.run", "results/random.run"])
    >>> sorted(found.table.columns)[:4], len(found.pairs)
    (['best', 'best_layer', 'cache', 'depth_needed'], 1)
    """
    runs = load_many(runs, corpus)
    if len(runs) < 2:
        raise ProbeError(
            f"{len(runs)} run: expected two or more to compare. "
            "Sweep another backbone on the same corpus"
        )
    _check_head(runs, head)
    for run in runs[1:]:
        check_comparable(runs[0], run, head)
    options = runs[0].record.options
    drawing = BootstrapOptions(
        resamples=options.resamples if resamples is None else resamples,
        seed=options.seed if seed is None else seed,
    )
    found = [run.trials(_system(run, head), run.part("eval")) for run in runs]
    ids = found[0]["utterance_id"]
    trials = [table.set_index("utterance_id").loc[ids].reset_index() for table in found]
    drawn = runs[0].draw(trials[0], drawing.resamples, drawing.seed)
    metric = runs[0].metric
    scored = [run.scored(table) for run, table in zip(runs, trials, strict=True)]
    rates = np.array([trials.figures()[metric.name] for trials in scored])
    resampled = np.array([trials.resampled(drawn)[metric.name] for trials in scored])
    table = ranked(runs, rates, resampled, drawn)
    table = table.iloc[np.lexsort((table["gmacs"], metric.loss(1) * table[metric.name]))]
    names = [str(name) for name in table.index]
    pairs = paired(names, runs, rates=rates, resampled=resampled, drawn=drawn)
    return Comparison(runs, head, table=table, pairs=pairs, resamples=drawing.resamples)


def _check_head(runs: Runs, head: str) -> None:
    """Refuse a head that a run has not at full depth, and name those that all have."""
    known = [_heads(run) for run in runs]
    for run, heads in zip(runs, known, strict=True):
        if head not in heads:
            shared = [name for name in known[0] if all(name in others for others in known)]
            lacking = f"{run.folder} has no such head at full depth{nearest(head, shared) or '.'}"
            there = f"All of these runs have: {', '.join(shared)}"
            raise OptionError("head", head, f"{lacking} {there}")


def _heads(run: LoadedRun) -> list[str]:
    """What a run can be compared by: its probes, and the heads that it has scores of."""
    end = f"-depth-{run.n_blocks:02d}."
    files = (run.folder / "scores").glob(f"*{end}*")
    return [LINEAR, *sorted({path.name.partition(end)[0] for path in files})]


def _is_tie(first: float, second: float) -> bool:
    """Whether two figures, or a difference and 0, differ by rounding alone."""
    return bool(np.isclose(first, second, rtol=0, atol=1e-9))


def _system(run: LoadedRun, head: str) -> str:
    """Name of the score file that stands for the backbone."""
    if head == LINEAR:
        return f"linear-layer-{run.record.finding.layer:02d}"
    return f"{head}-depth-{run.n_blocks:02d}"


def _gmacs(value: float) -> str:
    return "not measured" if pd.isna(value) else f"{value:.3g}"

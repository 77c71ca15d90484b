"""The kinds of figures that `probe plot` draws, each declared once. To add one, see
CONTRIBUTING.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cache.errors import ProbeError
from probing.registry import Registry, own_code

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# What an option is for, to say why a plot does not take it.
OPTIONS = {
    "compare": "is drawn of one run",
    "corpus": "is not of one corpus of several",
    "split": "is not of one split",
    "by": "is not by a column",
    "relative": "has no layers across that could be relative",
    "simultaneous": "has no such bands",
}


@dataclass(frozen=True)
class Plot:
    """A kind of figure.

    name: as it is typed.
    help: what it shows, in one line.
    draws: the function that draws it, or where that is, as `module:function`; it takes a run, or
        with `compare` a list of runs, the options of `takes` by name, and `ax`, and returns the
        axes.
    table: the function that gives its numbers as a data frame without an index, or where that is;
        it takes what the one that draws takes, but for `ax`. None where there is none.
    takes: options of `probe plot`, of `OPTIONS`; `corpus` is used in opening the runs.
    in_report: also part of the report of every run, for plots of one's own; those of this package
    have their place.

    >>> PLOTS["layers"].takes
    ('compare', 'corpus', 'split', 'relative', 'simultaneous')
    """

    name: str
    help: str
    draws: Any
    takes: tuple[str, ...] = ()
    in_report: bool = False
    table: Any = None

    def draw(self, runs: Sequence[Any], ax: Axes | None = None, **options: Any) -> Axes:
        """Draw it of opened runs with those options that it takes."""
        axes: Axes = self._call(self.draws, runs, options, {} if ax is None else {"ax": ax})
        return axes

    def numbers(self, runs: Sequence[Any], **options: Any) -> pd.DataFrame:
        """The numbers that it shows, of the same runs and options.

        Raises:
            ProbeError: a plot of one's own that has no table.
        """
        if self.table is None:
            raise ProbeError(
                f"{self.name} has no table. Give its Plot one "
                "(table=), or leave the file of a table out"
            )
        found: pd.DataFrame = self._call(self.table, runs, options, {})
        return found

    def _call(
        self,
        function: Any,
        runs: Sequence[Any],
        options: Mapping[str, Any],
        more: Mapping[str, Any],
    ) -> Any:
        taken = {
            name: value
            for name, value in options.items()
            if name in self.takes and name != "corpus"
        }
        if isinstance(function, str):
            module, _, name = function.partition(":")
            function = getattr(import_module(module), name)
        with own_code(f"plot {self.name}", PLOTS.is_own(self)):
            return function(runs if "compare" in self.takes else runs[0], **taken, **more)

    def check(self, given: Mapping[str, Any]) -> None:
        """Refuse options that were given and that it does not take.

        Raises:
            ProbeError: names the option, and the plots that take it.
        """
        for name in given:
            if name not in self.takes:
                others = [other.name for other in PLOTS.values() if name in other.takes]
                value = given[name]
                shown = "" if isinstance(value, (bool, tuple)) else f" {value}"
                raise ProbeError(
                    f"--{name}{shown}: {self.name} {OPTIONS[name]}. Leave it out; "
                    f"{', '.join(others)} take it"
                )


PLOTS = Registry(
    "plot",
    Plot(
        "layers",
        "EER by layer",
        "analysis.plots.layers:layer_curve",
        ("compare", "corpus", "split", "relative", "simultaneous"),
        table="analysis.tables.of_plots:of_layers",
    ),
    Plot(
        "corpora",
        "the same on every corpus evaluated on",
        "analysis.plots.layers:corpora_curve",
        table="analysis.tables.of_plots:of_corpora",
    ),
    Plot(
        "depths",
        "EER of heads by depth",
        "analysis.plots.depths:depth_curve",
        ("compare", "corpus", "split", "relative"),
        table="analysis.tables.of_plots:of_depths",
    ),
    Plot(
        "gates",
        "gates of heads by layer",
        "analysis.plots.contributions:gate_curve",
        table="analysis.tables.of_plots:of_gates",
    ),
    Plot(
        "weights",
        "weights of heads by layer",
        "analysis.plots.contributions:weight_curve",
        table="analysis.tables.of_plots:of_weights",
    ),
    Plot(
        "ablation",
        "EER of heads without a layer",
        "analysis.plots.contributions:ablation_curve",
        table="analysis.tables.of_plots:of_ablation",
    ),
    Plot(
        "training",
        "loss and metric on dev by epoch of heads at full depth",
        "analysis.plots.training:head_training_curve",
        table="analysis.plots.training:of_head_training",
    ),
    Plot(
        "conditions",
        "EER by layer and attack, or --by",
        "analysis.plots.conditions:condition_map",
        ("corpus", "by", "split"),
        table="analysis.tables.of_plots:of_conditions",
    ),
    Plot(
        "det",
        "DET curves of the layer chosen on dev, by attack or --by",
        "analysis.plots.det:det_curve",
        ("corpus", "by", "split"),
        table="analysis.tables.of_plots:of_det",
    ),
    Plot(
        "classes",
        "recall by layer and class, of such a target",
        "analysis.plots.classes:class_map",
        ("split",),
        table="analysis.tables.of_plots:of_classes",
    ),
    Plot(
        "confusion",
        "what each class is taken for at the layer chosen on dev",
        "analysis.plots.classes:confusion_picture",
        ("split",),
        table="analysis.tables.of_plots:of_confusion",
    ),
    Plot(
        "localisation",
        "range and segment EER of frames by layer",
        "analysis.plots.localisation:localisation_curve",
        ("split",),
        table="analysis.tables.of_plots:of_localisation",
    ),
    Plot(
        "erasure",
        "what is left at the layer chosen on dev, by dimensions erased",
        "analysis.plots.erasure:erasure_curve",
        ("corpus", "split"),
        table="analysis.tables.of_plots:of_erasure",
    ),
    Plot(
        "exits",
        "early exit: EER against what is computed",
        "analysis.plots.exits:exit_curve",
        ("corpus",),
        table="analysis.tables.of_plots:of_exits",
    ),
    Plot(
        "ranking",
        "of runs to --compare, by EER",
        "analysis.plots.ranking:ranking",
        ("compare", "corpus"),
        table="analysis.tables.of_plots:of_ranking",
    ),
    Plot(
        "pareto",
        "of runs to --compare, EER against multiply-accumulates",
        "analysis.plots.pareto:pareto",
        ("compare", "corpus"),
        table="analysis.tables.of_plots:of_pareto",
    ),
)

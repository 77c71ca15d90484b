"""The kinds of figures that `probe plot` draws, each declared once. To add one, see CONTRIBUTING.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cache.errors import ProbeError
from probing.registry import Registry, own_code

if TYPE_CHECKING:
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

    name: what it is asked for by.
    help: what it shows, in one line.
    draws: the function that draws it, or where that is, as `module:function`; it takes a run, or with `compare` a list
        of runs, the options of `takes` by name, and `ax`, and returns the axes.
    takes: options of `probe plot`, of `OPTIONS`; `corpus` is used in opening the runs.
    in_report: also part of the report of every run, for plots of one's own; those of this package have their place.
    """

    name: str
    help: str
    draws: Any
    takes: tuple[str, ...] = ()
    in_report: bool = False

    def draw(self, runs: Sequence[Any], ax: Axes | None = None, **options: Any) -> Axes:
        """Draw it of opened runs with those options that it takes."""
        taken = {name: value for name, value in options.items() if name in self.takes and name != "corpus"}
        if ax is not None:
            taken["ax"] = ax
        function = self.draws
        if isinstance(function, str):
            module, _, name = function.partition(":")
            function = getattr(import_module(module), name)
        with own_code(f"plot {self.name}", PLOTS.is_own(self)):
            axes: Axes = function(runs if "compare" in self.takes else runs[0], **taken)
        return axes

    def check(self, given: Mapping[str, Any]) -> None:
        """Refuse options that were given and that it does not take.

        Raises:
            ProbeError: names the option, and the plots that take it.
        """
        for name in given:
            if name not in self.takes:
                others = [other.name for other in PLOTS.values() if name in other.takes]
                value = given[name]
                shown = "" if isinstance(value, (bool, list)) else f" {value}"
                raise ProbeError(
                    f"--{name}{shown}: {self.name} {OPTIONS[name]}. Leave it out; {', '.join(others)} take it"
                )


PLOTS = Registry(
    "plot",
    Plot(
        "layers",
        "EER by layer",
        "analysis.plots.layers:layer_curve",
        ("compare", "corpus", "split", "relative", "simultaneous"),
    ),
    Plot("corpora", "the same on every corpus evaluated on", "analysis.plots.layers:corpora_curve"),
    Plot(
        "depths",
        "EER of heads by depth",
        "analysis.plots.depths:depth_curve",
        ("compare", "corpus", "split", "relative"),
    ),
    Plot("gates", "gates of heads by layer", "analysis.plots.depths:gate_curve"),
    Plot("weights", "weights of heads by layer", "analysis.plots.depths:weight_curve"),
    Plot("ablation", "EER of heads without a layer", "analysis.plots.depths:ablation_curve"),
    Plot(
        "conditions",
        "EER by layer and attack, or --by",
        "analysis.plots.conditions:condition_map",
        ("corpus", "by", "split"),
    ),
    Plot(
        "det",
        "DET curves of the layer chosen on dev, by attack or --by",
        "analysis.plots.det:det_curve",
        ("corpus", "by", "split"),
    ),
    Plot("classes", "recall by layer and class, of such a target", "analysis.plots.classes:class_map", ("split",)),
    Plot(
        "confusion",
        "what each class is taken for at the layer chosen on dev",
        "analysis.plots.classes:confusion_picture",
        ("split",),
    ),
    Plot(
        "localisation",
        "range and segment EER of frames by layer",
        "analysis.plots.localisation:localisation_curve",
        ("split",),
    ),
    Plot(
        "erasure",
        "what is left at the layer chosen on dev, by dimensions erased",
        "analysis.plots.erasure:erasure_curve",
        ("corpus", "split"),
    ),
    Plot(
        "exits",
        "early exit: EER against what is computed",
        "analysis.plots.exits:exit_curve",
        ("corpus",),
    ),
    Plot("ranking", "of runs to --compare, by EER", "analysis.plots.ranking:ranking", ("compare", "corpus")),
    Plot(
        "pareto",
        "of runs to --compare, EER against multiply-accumulates",
        "analysis.plots.pareto:pareto",
        ("compare", "corpus"),
    ),
)

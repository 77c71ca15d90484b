"""What looks: curves, comparisons, reports, and the command line that ties everything together.

import analysis
run = analysis.load("results/demo.run")            # tidy frames: run.layers, run.depths, ...
analysis.layer_curve(run)                          # matplotlib axes; every plot takes ax= and returns it
analysis.compare(["a.run", "b.run"])               # paired tests, ranking, compute
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.comparison import compare
    from analysis.conditions import condition_map
    from analysis.curves import layer_curve
    from analysis.depths import ablation_curve, depth_curve, gate_curve, weight_curve
    from analysis.figures import save_figure
    from analysis.loading import load, load_many
    from analysis.report import save_report

_HOME = {
    "ablation_curve": "depths",
    "compare": "comparison",
    "condition_map": "conditions",
    "depth_curve": "depths",
    "gate_curve": "depths",
    "layer_curve": "curves",
    "load": "loading",
    "load_many": "loading",
    "save_figure": "figures",
    "save_report": "report",
    "weight_curve": "depths",
}

__all__ = [
    "ablation_curve",
    "compare",
    "condition_map",
    "depth_curve",
    "gate_curve",
    "layer_curve",
    "load",
    "load_many",
    "save_figure",
    "save_report",
    "weight_curve",
]


def __getattr__(name: str) -> Any:
    """Import what draws only when it is asked for: the command line's help must not wait for it."""
    if name in _HOME:
        return getattr(import_module(f"analysis.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

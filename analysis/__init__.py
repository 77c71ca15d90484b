"""What looks: curves, comparisons, reports, and the command line that ties everything together.

import analysis
run = analysis.load("results/demo.run")            # tidy frames: run.layers, run.depths, ...; run.cache
analysis.layer_curve(run)                          # matplotlib axes; every plot takes ax= and returns it
analysis.compare(["a.run", "b.run"])               # paired tests, ranking, compute
analysis.similarity_map(analysis.cka(run.cache))   # how alike layers are
analysis.transfer_scores(run.cache)                # LogME, H-score, TransRate, GBC: without training
analysis.description_length(run.cache)             # bits that the labels take given a layer
analysis.inspect(run, "clip.wav")                  # which part of an utterance made it spoof
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.controls import description_length, selectivity
    from analysis.inspection import activation_curve, activation_picture, inspect
    from analysis.plots.conditions import condition_map
    from analysis.plots.depths import ablation_curve, depth_curve, gate_curve, gate_spread_curve, weight_curve
    from analysis.plots.det import det_curve, det_curves
    from analysis.plots.layers import corpora_curve, layer_curve
    from analysis.plots.style import save_figure
    from analysis.reports.report import save_report
    from analysis.runs.comparison import compare
    from analysis.runs.gates import gate_agreement, gate_changes
    from analysis.runs.loading import load, load_many
    from analysis.similarity import cca_with, cka, pwcca, similarity_map, target_curves
    from analysis.transferability import predicts, transfer_curve, transfer_scores

_HOME = {
    "ablation_curve": "plots.depths",
    "activation_curve": "inspection",
    "activation_picture": "inspection",
    "cca_with": "similarity",
    "cka": "similarity",
    "compare": "runs.comparison",
    "condition_map": "plots.conditions",
    "corpora_curve": "plots.layers",
    "depth_curve": "plots.depths",
    "description_length": "controls",
    "det_curve": "plots.det",
    "det_curves": "plots.det",
    "gate_agreement": "runs.gates",
    "gate_changes": "runs.gates",
    "gate_curve": "plots.depths",
    "gate_spread_curve": "plots.depths",
    "inspect": "inspection",
    "layer_curve": "plots.layers",
    "load": "runs.loading",
    "load_many": "runs.loading",
    "predicts": "transferability",
    "pwcca": "similarity",
    "save_figure": "plots.style",
    "save_report": "reports.report",
    "selectivity": "controls",
    "similarity_map": "similarity",
    "target_curves": "similarity",
    "transfer_curve": "transferability",
    "transfer_scores": "transferability",
    "weight_curve": "plots.depths",
}

__all__ = [
    "ablation_curve",
    "activation_curve",
    "activation_picture",
    "cca_with",
    "cka",
    "compare",
    "condition_map",
    "corpora_curve",
    "depth_curve",
    "description_length",
    "det_curve",
    "det_curves",
    "gate_agreement",
    "gate_changes",
    "gate_curve",
    "gate_spread_curve",
    "inspect",
    "layer_curve",
    "load",
    "load_many",
    "predicts",
    "pwcca",
    "save_figure",
    "save_report",
    "selectivity",
    "similarity_map",
    "target_curves",
    "transfer_curve",
    "transfer_scores",
    "weight_curve",
]


def __getattr__(name: str) -> Any:
    """Import what draws only when it is asked for: the command line's help must not wait for it."""
    if name in _HOME:
        return getattr(import_module(f"analysis.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

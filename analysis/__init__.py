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
    from analysis.comparison import compare
    from analysis.conditions import condition_map
    from analysis.controls import description_length, selectivity
    from analysis.curves import corpora_curve, layer_curve
    from analysis.depths import ablation_curve, depth_curve, gate_curve, gate_spread_curve, weight_curve
    from analysis.det import det_curve, det_curves
    from analysis.figures import save_figure
    from analysis.gates import gate_agreement, gate_changes
    from analysis.inspection import activation_curve, activation_picture, inspect
    from analysis.loading import load, load_many
    from analysis.report import save_report
    from analysis.similarity import cca_with, cka, pwcca, similarity_map, target_curves
    from analysis.transferability import predicts, transfer_curve, transfer_scores

_HOME = {
    "ablation_curve": "depths",
    "activation_curve": "inspection",
    "activation_picture": "inspection",
    "cca_with": "similarity",
    "cka": "similarity",
    "compare": "comparison",
    "condition_map": "conditions",
    "corpora_curve": "curves",
    "depth_curve": "depths",
    "description_length": "controls",
    "det_curve": "det",
    "det_curves": "det",
    "gate_agreement": "gates",
    "gate_changes": "gates",
    "gate_curve": "depths",
    "gate_spread_curve": "depths",
    "inspect": "inspection",
    "layer_curve": "curves",
    "load": "loading",
    "load_many": "loading",
    "predicts": "transferability",
    "pwcca": "similarity",
    "save_figure": "figures",
    "save_report": "report",
    "selectivity": "controls",
    "similarity_map": "similarity",
    "target_curves": "similarity",
    "transfer_curve": "transferability",
    "transfer_scores": "transferability",
    "weight_curve": "depths",
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

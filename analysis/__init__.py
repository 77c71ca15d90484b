"""What looks: curves, comparisons, reports, and the command line that ties everything together.

import analysis
run = analysis.load("results/demo.run")           # data frames: run.layers, run.depths; run.cache
analysis.layer_curve(run)                         # every plot takes ax= and returns axes
analysis.compare(["a.run", "b.run"])              # paired tests, ranking, compute
analysis.similarity_map(analysis.cka(run.cache))  # how alike layers are
analysis.transfer_scores(run.cache)               # LogME, H-score, TransRate, GBC: no training
analysis.description_length(run.cache)            # bits that the labels take given a layer
analysis.inspect(run, "clip.wav")                 # which part of an utterance made it spoof
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.plots.kinds import PLOTS
from cache.lazy import lazy

if TYPE_CHECKING:
    from analysis.controls import description_length as description_length
    from analysis.controls import selectivity as selectivity
    from analysis.inspection import activation_curve as activation_curve
    from analysis.inspection import activation_picture as activation_picture
    from analysis.inspection import inspect as inspect
    from analysis.plots.classes import class_map as class_map
    from analysis.plots.classes import confusion_picture as confusion_picture
    from analysis.plots.conditions import condition_map as condition_map
    from analysis.plots.contributions import ablation_curve as ablation_curve
    from analysis.plots.contributions import gate_curve as gate_curve
    from analysis.plots.contributions import gate_spread_curve as gate_spread_curve
    from analysis.plots.contributions import weight_curve as weight_curve
    from analysis.plots.depths import depth_curve as depth_curve
    from analysis.plots.det import det_curve as det_curve
    from analysis.plots.det import det_curves as det_curves
    from analysis.plots.erasure import erasure_curve as erasure_curve
    from analysis.plots.explorer import explore as explore
    from analysis.plots.layers import corpora_curve as corpora_curve
    from analysis.plots.layers import layer_curve as layer_curve
    from analysis.plots.localisation import localisation_curve as localisation_curve
    from analysis.plots.localisation import localisation_table as localisation_table
    from analysis.plots.look import style as style
    from analysis.plots.saving import save_figure as save_figure
    from analysis.plots.style import caption as caption
    from analysis.reports.report import save_report as save_report
    from analysis.runs.comparison import compare as compare
    from analysis.runs.gates import gate_agreement as gate_agreement
    from analysis.runs.gates import gate_changes as gate_changes
    from analysis.runs.loading import load as load
    from analysis.runs.loading import load_many as load_many
    from analysis.similarity import cca_with as cca_with
    from analysis.similarity import cka as cka
    from analysis.similarity import pwcca as pwcca
    from analysis.similarity import similarity_map as similarity_map
    from analysis.similarity import target_curves as target_curves
    from analysis.tables import save_table as save_table
    from analysis.transferability import predicts as predicts
    from analysis.transferability import transfer_curve as transfer_curve
    from analysis.transferability import transfer_scores as transfer_scores

_HOME = {
    "activation_curve": "inspection",
    "activation_picture": "inspection",
    "caption": "plots.style",
    "cca_with": "similarity",
    "cka": "similarity",
    "compare": "runs.comparison",
    "description_length": "controls",
    "det_curves": "plots.det",
    "explore": "plots.explorer",
    "gate_agreement": "runs.gates",
    "gate_changes": "runs.gates",
    "gate_spread_curve": "plots.contributions",
    "inspect": "inspection",
    "load": "runs.loading",
    "load_many": "runs.loading",
    "localisation_table": "plots.localisation",
    "predicts": "transferability",
    "pwcca": "similarity",
    "save_figure": "plots.saving",
    "save_report": "reports.report",
    "save_table": "tables",
    "selectivity": "controls",
    "similarity_map": "similarity",
    "style": "plots.look",
    "target_curves": "similarity",
    "transfer_curve": "transferability",
    "transfer_scores": "transferability",
}
_HOME |= {
    name: module.removeprefix("analysis.")
    for module, _, name in (plot.draws.partition(":") for plot in PLOTS.values())
}

__all__ = sorted(_HOME)

__getattr__, __dir__ = lazy(__name__, _HOME)

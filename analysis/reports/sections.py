"""The sections of the report of a run, each a function; None if there is nothing for it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import PurePath

import pandas as pd

from analysis.plots.classes import class_map, confusion_picture
from analysis.plots.conditions import condition_map, n_conditions
from analysis.plots.contributions import (
    ablation_curve,
    contribution_curve,
    gate_spread_curve,
    has_weights,
)
from analysis.plots.depths import depth_curve, depth_table
from analysis.plots.erasure import erased_layers_curve, erasure_curve, erasure_table, has_erasure
from analysis.plots.kinds import PLOTS
from analysis.plots.layers import corpora_curve, layer_curve
from analysis.plots.localisation import has_localisation, localisation_curve, localisation_table
from analysis.plots.style import MOST_DRAWN
from analysis.reports.companions import sections_of_companions
from analysis.reports.figures import figure, note, picture
from analysis.reports.page import Section
from analysis.reports.run_tables import condition_table, corpora_table, layer_table
from analysis.reports.tables import table_of
from analysis.reports.untrained import untrained
from analysis.runs.companions import Companion
from analysis.runs.gates import gate_agreement
from analysis.runs.loaded_run import LoadedRun
from analysis.runs.rerun import commands
from probing.runs import Run
from probing.runs.form import FINDINGS
from probing.targets.metrics import CLASSES


def opening_of_run(run: LoadedRun) -> list[str]:
    """The finding, and what speaks against it.

    >>> from analysis import load
    >>> opening_of_run(load("results/demo.run"))[0][:2]
    '<p'
    """
    return [
        f'<p class="finding">{html.escape(run.sentence)}</p>',
        *(note(f"Warning: {leak['sentence']}.") for leak in run.record.get("leaks", ())),
    ]


def sections_of_run(
    run: LoadedRun,
    measures: bool | None,
    beside: Sequence[Companion] = (),
    left_out: Sequence[str] = (),
) -> list[Section]:
    """Every section that the run has something for, in the order of the page.

    Args:
        run: whose.
        measures: also similarity of layers and transferability; see `save_report`.
        beside: its companions.
        left_out: why folders beside it are none.

    >>> from analysis import load
    >>> sections_of_run(load("results/demo.run"), measures=False)[0].title
    'Equal error rate by layer (%)'
    """
    found = [section for of_run in SECTIONS if (section := of_run(run))]
    found += sections_of_companions(run, beside, left_out)
    return [*found, *untrained(run, measures), _reproduction(run), _configuration(run)]


def _layers(run: LoadedRun) -> Section:
    what = f"{run.metric.called} by layer"
    drawn = figure(what, lambda ax: layer_curve(run, ax=ax))
    return Section(_of_metric(run), [drawn, table_of(layer_table(run).reset_index(), _form(run))])


def _by_class(run: LoadedRun) -> Section | None:
    """The pictures of a target with classes."""
    if run.task.name != CLASSES:
        return None
    n = len(run.task.classes)
    if n > MOST_DRAWN:
        return Section("By class", [note(f"{n:,} classes: too many to draw one by one.")])
    drawn = [
        picture("recall by layer and class", class_map(run)),
        picture("what each class is taken for", confusion_picture(run)),
    ]
    return Section("By class", drawn)


def _localisation(run: LoadedRun) -> Section | None:
    """Where utterances are spoofed, of a run that says it."""
    if not has_localisation(run):
        return None
    return Section(
        "Where utterances are spoofed",
        [
            figure("range and segment EER by layer", lambda ax: localisation_curve(run, ax=ax)),
            note(
                "Per cent on eval. Range EER: every moment counts as much as it lasts. F1, "
                "precision and recall are of spoofed time, at the threshold of the EER on dev."
            ),
            table_of(localisation_table(run).reset_index()),
        ],
    )


def _erasure(run: LoadedRun) -> Section | None:
    """What is left of the layers without what probes read, of a run that says it."""
    if not has_erasure(run):
        return None
    called = run.metric.called
    table = erasure_table(run)
    some = pd.concat([table.groupby("layer").head(2), table.groupby("layer").tail(1)])
    some = some.drop_duplicates().sort_values(["layer", "removed"])[
        ["layer", "removed", "erased", "random"]
    ]
    return Section(
        "What is left without what probes read",
        [
            figure(f"{called} by dimensions erased", lambda ax: erasure_curve(run, ax=ax)),
            figure(
                f"{called} by layer before and after erasure",
                lambda ax: erased_layers_curve(run, ax=ax),
            ),
            note(
                "Iterative null-space projection: the directions that the probe of a layer reads "
                "are removed from it, and what is left is probed again. "
                "Random: as many random directions removed."
            ),
            table_of(some, _form(run)),
        ],
    )


def _corpora(run: LoadedRun) -> Section | None:
    """Every corpus of a run that was evaluated on several."""
    if len(run.corpora) < 2:
        return None
    drawn = figure(f"{run.metric.called} by layer and corpus", lambda ax: corpora_curve(run, ax))
    title = f"On every corpus: {_lower(_of_metric(run))}"
    return Section(title, [drawn, table_of(corpora_table(run).reset_index(), _form(run))])


def _conditions(run: LoadedRun, experiment: str, title: str) -> Section | None:
    """Tables of a sweep that reports by condition, or that leaves attacks out of the training."""
    rows = run.results[run.results["experiment"] == experiment]
    if rows.empty:
        return None
    parts = []
    for split, corpus in rows[["split", "corpus"]].drop_duplicates().itertuples(index=False):
        table = table_of(condition_table(run, experiment, split, corpus).reset_index())
        parts.append(
            Section(f"{title}, {split} of {corpus}: equal error rate by layer (%)", [table])
        )
    return parts[0] if len(parts) == 1 else Section(title, (), parts)


def _depths(run: LoadedRun) -> Section | None:
    if not run.record.depth_finding:
        return None
    about = _of_metric(run).replace(" by layer", " on eval")
    return Section(
        "Heads that see the first k layers",
        [
            figure(f"{run.metric.called} by depth", lambda ax: depth_curve(run, ax=ax)),
            note(f"{about}, mean over seeds; what a backbone of that depth costs."),
            table_of(depth_table(run).reset_index(), ".2f"),
        ],
    )


def _contributions(run: LoadedRun) -> Section | None:
    if not (run.record.depth_finding and has_weights(run)):
        return None
    drawn = figure("gates and weights by layer", lambda ax: contribution_curve(run, ax=ax))
    if not _has_gates(run):
        return Section("What each layer contributes", [drawn])
    text = (
        "Gates start at random and may stay near there: a gate alone does not tell what a layer "
        "is worth; the figure with the layer permuted or left out does."
    )
    agreement = table_of(gate_agreement(run).reset_index(), ".2f")
    return Section("What each layer contributes", [drawn, note(text), agreement])


def _spread(run: LoadedRun) -> Section | None:
    if not _has_gates(run):
        return None
    drawn = figure("spread of gates by layer", lambda ax: gate_spread_curve(run, ax=ax))
    return Section("How far gates depend on the utterance", [drawn])


def _ablation(run: LoadedRun) -> Section | None:
    if not _has_gates(run):
        return None
    drawn = figure(f"{run.metric.called} without a layer", lambda ax: ablation_curve(run, ax=ax))
    return Section("What a layer is worth to a head", [drawn])


def _attacks(run: LoadedRun) -> Section | None:
    n = n_conditions(run, "attack") if run.task.is_spoofing else 0
    if n > MOST_DRAWN:
        return Section("By attack", [note(f"{n:,} attacks: too many to draw one by one.")])
    return (
        Section("By attack", [picture("EER by layer and attack", condition_map(run))])
        if n > 2
        else None
    )


def _own_plots(run: LoadedRun) -> Section | None:
    """Plots of the user's own that are to be part of every report."""
    own = [plot for plot in PLOTS.values() if plot.in_report]
    parts = [Section(plot.help, [figure(plot.help, partial(plot.draw, [run]))]) for plot in own]
    return Section("Further figures", (), parts) if len(parts) > 1 else parts[0] if parts else None


def _reproduction(run: LoadedRun) -> Section:
    return Section("How to reproduce it", [f"<pre>{html.escape(commands(run))}</pre>"])


def _configuration(run: Run) -> Section:
    return Section("Configuration", [f"<pre>{html.escape(_readable(_record(run)))}</pre>"])


SECTIONS: Sequence[Callable[[LoadedRun], Section | None]] = (
    _layers,
    _by_class,
    _localisation,
    _erasure,
    _corpora,
    partial(_conditions, experiment="by-condition", title="By condition"),
    partial(_conditions, experiment="unseen-attack", title="On an attack left out of the training"),
    _depths,
    _contributions,
    _spread,
    _ablation,
    _attacks,
    _own_plots,
)


def _has_gates(run: LoadedRun) -> bool:
    there = run.record.depth_finding and has_weights(run)
    return bool(there) and "gate_sd" in set(run.contributions["metric"])


def _of_metric(run: LoadedRun) -> str:
    """What a table of the metric by layer is called."""
    if run.metric.name == "eer":
        return "Equal error rate by layer (%)"
    axis = run.metric.axis_of(" by layer")
    return f"{axis[0].upper()}{axis[1:]}"


def _lower(title: str) -> str:
    return f"{title[0].lower()}{title[1:]}"


def _form(run: LoadedRun) -> str:
    """How its numbers are written."""
    return ".1f" if run.metric.share else ".3g"


def _readable(record: dict[str, object]) -> str:
    """The record as JSON, lists of numbers and names on one line."""
    text = json.dumps(record, indent=1, ensure_ascii=False)
    return re.sub(r"\[[^][{}]*\]", lambda found: re.sub(r"\s*\n\s*", " ", found.group()), text)


def _record(run: Run) -> dict[str, object]:
    """The record without what is elsewhere on the page, and without local folders."""
    left_out = {*FINDINGS, "cache_folder", "conditions", "utterances", "leaks"}
    record = {name: value for name, value in run.record.items() if name not in left_out}
    about = {
        name: value
        for name, value in record["about"].items()
        if name in ("backbone", "corpus", "random_weights")
    }
    caches = {
        part: {**about, "folder": PurePath(about["folder"]).name}
        for part, about in record["caches"].items()
    }
    unusable = [
        {PurePath(folder).name: reasons} for folder, reasons in record.get("unusable", {}).items()
    ]
    return {**record, "about": about, "caches": caches, "unusable": unusable}

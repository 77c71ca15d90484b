"""The report of a run or several: one page that needs nothing beside it and asks the network for nothing."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path, PurePath

import pandas as pd

from analysis.plots.classes import class_map, confusion_picture
from analysis.plots.conditions import condition_map, n_conditions
from analysis.plots.contributions import (
    ablation_curve,
    contribution_curve,
    gate_spread_curve,
    has_weights,
    save_depth_curve,
)
from analysis.plots.depths import depth_curve, depth_table
from analysis.plots.erasure import (
    erased_layers_curve,
    erasure_curve,
    erasure_table,
    has_erasure,
    save_erasure_curve,
)
from analysis.plots.kinds import PLOTS
from analysis.plots.layers import corpora_curve, layer_curve, save_corpora_curve, save_layer_curve
from analysis.plots.localisation import has_localisation, localisation_curve, localisation_table
from analysis.plots.style import MOST_DRAWN
from analysis.reports.page import PAGE, figure, picture, table_of
from analysis.reports.untrained import alike, untrained
from analysis.runs.comparison import LEGEND, Comparison, compare
from analysis.runs.gates import gate_agreement
from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import load, load_many
from analysis.runs.rerun import commands
from cache.atomic import replaced
from probing.console import visible
from probing.runs import Run
from probing.runs.condition_names import condition_values
from probing.runs.form import FINDINGS
from probing.targets.metrics import CLASSES


def save_all(run: Run, others: Sequence[Run] = ()) -> tuple[list[str], str]:
    """Draw every picture that a run has, and write its report; returns the paths of both."""
    pictures = save_layer_curve(run, others) + save_corpora_curve(run) + save_depth_curve(run) + save_erasure_curve(run)
    return pictures, save_report(run)


def save_report(
    runs: str | Path | Run | Iterable[str | Path | Run],
    path: str | Path | None = None,
    measures: bool | None = None,
) -> str:
    """Write the page: the finding, figures, tables, configuration, and how to reproduce it.

    Args:
        runs: a run, or several on the same trials, which are compared first.
        path: where to; default `report.html` in the folder of the first run.
        measures: also similarity of layers and transferability; default where the caches are there and small.

    Returns:
        The path.

    Raises:
        ProbeError: runs that cannot be compared, or no cache to measure.

    >>> save_report("results/demo.run", "report.html", measures=False)
    'report.html'
    """
    several = load_many(runs)
    if len(several) == 1:
        run = several[0]
        title = f"{run.backbone} on {run.corpus}"
        body = _run(run, 2, measures)
    else:
        title = f"{len(several)} backbones on {several[0].corpus}"
        parts = [_comparison(compare(several), measures)]
        for name, run in zip(several.names, several, strict=True):
            parts.append(f"<h2>{html.escape(name)}</h2>\n{_run(run, 3, measures)}")
        body = "\n".join(parts)
    target = Path(path) if path else several[0].folder / "report.html"
    page = visible(PAGE.substitute(title=html.escape(title), body=body)).encode()
    with replaced(target, "name another file") as partial:
        partial.write_bytes(page)
    return str(target)


def layer_table(run: str | Path | Run) -> pd.DataFrame:
    """The metric (EER, %) by layer: dev, eval with its interval, chosen strength, and the shuffled-label control.

    Eval is that of the corpus the findings are about. The last row is the probe on trivial features. Of a sweep with
    --probe mlp also the eval EER of the MLP probe, and of its control; of units with types that of the control task,
    and selectivity with its interval.
    """
    run = load(run)
    both = pd.concat([run.layers, run._rows("trivial-features").reindex(columns=run.layers.columns)])
    both["layer"] = [("trivial" if pd.isna(layer) else str(layer)) for layer in both["layer"]]
    dev, evaluated = (both[both["split"] == split].set_index("layer") for split in ("dev", "eval"))
    name = run.metric.name
    table = evaluated[[name, "low", "high", "strength", "shuffled"]].rename(columns={name: "eval"})
    table.insert(0, "dev", dev[name])
    for experiment in ("mlp", "mlp-shuffled-labels", "control-task"):
        rows = run._rows(experiment)
        rows = rows[rows["split"] == "eval"]
        if len(rows):
            of_layer = rows.groupby(rows["layer"].astype(str))[name].mean()
            table[experiment.replace("-labels", "").replace("-", " ")] = of_layer
    selective = run.rows("selectivity", "eval", run.corpus)
    if len(selective):  # not in runs of earlier versions
        selective = selective.set_index(selective["layer"].astype(str))[["value", "low", "high"]]
        selective = run.metric.scale * selective
        table["selectivity"] = selective["value"]
        table["selectivity 95 %"] = [
            f"{run.metric.number(row.low)} .. {run.metric.number(row.high)}" if row.Index in selective.index else ""
            for row in selective.reindex(table.index).itertuples()
        ]
    return table


def corpora_table(run: Run) -> pd.DataFrame:
    """The metric on eval by layer (rows) and corpus (columns), shares in %, with the ends of the 95 % intervals."""
    columns = {}
    for corpus in run.corpora:
        of_layer = load(run, corpus).layers.query("split == 'eval'").set_index("layer")
        number = run.metric.number
        columns[corpus] = of_layer[run.metric.name]
        columns[f"{corpus} 95 %"] = of_layer["low"].map(number) + " .. " + of_layer["high"].map(number)
    return pd.DataFrame(columns).rename_axis("layer")


def condition_table(run: Run, experiment: str, split: str, corpus: str) -> pd.DataFrame:
    """EER (%) by condition (rows) and layer (columns), of `by-condition` or `unseen-attack` rows."""
    rows = run.results
    rows = rows[(rows["experiment"] == experiment) & (rows["metric"] == "eer")]
    rows = rows[(rows["split"] == split) & (rows["corpus"] == corpus)]
    table = 100 * rows.pivot(index="condition", columns="layer", values="value")
    table.columns = pd.Index([str(layer) for layer in table.columns], name=None)
    factors = ["attack"] if experiment == "unseen-attack" else list(run.record.options.by)
    values = [condition_values(name, factors) for name in table.index]
    alone = {tuple(of) for of in values}
    if len(alone) == 1 and len(values[0]) == 1:  # say it once, above
        factor = next(iter(values[0]))
        table.index = pd.Index([of[factor] for of in values], name=factor)
    return table


def _corpora_and_conditions(run: LoadedRun, h: str) -> list[str]:
    """The parts of the page that a sweep over several corpora, by condition or without attacks adds."""
    parts = []
    if len(run.corpora) > 1:
        parts.append(f"<{h}>On every corpus: {_of_metric(run)}</{h}>")
        parts.append(figure(f"{run.metric.called} by layer and corpus", lambda ax: corpora_curve(run, ax)))
        parts.append(table_of(corpora_table(run).reset_index(), _form(run)))
    titles = {"by-condition": "By condition", "unseen-attack": "On an attack left out of the training"}
    for experiment, title in titles.items():
        rows = run.results[run.results["experiment"] == experiment]
        for split, corpus in rows[["split", "corpus"]].drop_duplicates().itertuples(index=False):
            heading = html.escape(f"{title}, {split} of {corpus}: equal error rate by layer (%)")
            parts.append(f"<{h}>{heading}</{h}>")
            parts.append(table_of(condition_table(run, experiment, split, corpus).reset_index()))
    return parts


def _of_metric(run: LoadedRun) -> str:
    """What a table of the metric by layer is called."""
    if run.metric.name == "eer":
        return "equal error rate by layer (%)"
    return html.escape(run.metric.axis_of(" by layer"))


def _form(run: LoadedRun) -> str:
    """How its numbers are written."""
    return ".1f" if run.metric.share else ".3g"


def _by_class(run: LoadedRun, h: str) -> list[str]:
    """The pictures of a target with classes."""
    if run.task.name != CLASSES:
        return []
    parts = [f"<{h}>By class</{h}>"]
    if len(run.task.classes) > MOST_DRAWN:
        parts.append(f'<p class="note">{len(run.task.classes):,} classes: too many to draw one by one.</p>')
        return parts
    parts.append(picture("recall by layer and class", class_map(run)))
    parts.append(picture("what each class is taken for", confusion_picture(run)))
    return parts


def _localisation(run: LoadedRun, h: str) -> list[str]:
    """Where utterances are spoofed, of a run that says it."""
    if not has_localisation(run):
        return []
    return [
        f"<{h}>Where utterances are spoofed</{h}>",
        figure("range and segment EER by layer", lambda ax: localisation_curve(run, ax=ax)),
        '<p class="note">Per cent on eval. Range EER: every moment counts as much as it lasts. F1, precision and '
        "recall are of spoofed time, at the threshold of the EER on dev.</p>",
        table_of(localisation_table(run).reset_index()),
    ]


def _erasure(run: LoadedRun, h: str) -> list[str]:
    """What is left of the layers without what probes read, of a run that says it."""
    if not has_erasure(run):
        return []
    metric = run.metric
    table = erasure_table(run)
    some = pd.concat([table.groupby("layer").head(2), table.groupby("layer").tail(1)])
    some = some.drop_duplicates().sort_values(["layer", "removed"])[["layer", "removed", "erased", "random"]]
    return [
        f"<{h}>What is left without what probes read</{h}>",
        figure(f"{metric.called} by dimensions erased", lambda ax: erasure_curve(run, ax=ax)),
        figure(f"{metric.called} by layer before and after erasure", lambda ax: erased_layers_curve(run, ax=ax)),
        '<p class="note">Iterative null-space projection: the directions that the probe of a layer reads are removed '
        "from it, and what is left is probed again. Random: as many random directions removed.</p>",
        table_of(some, _form(run)),
    ]


def _run(run: LoadedRun, level: int, measures: bool | None) -> str:
    h = f"h{level}"
    parts = [
        f'<p class="finding">{html.escape(run.sentence)}</p>',
        *(f'<p class="note">Warning: {html.escape(leak["sentence"])}.</p>' for leak in run.record.get("leaks", ())),
        figure(f"{run.metric.called} by layer", lambda ax: layer_curve(run, ax=ax)),
        f"<{h}>{_of_metric(run)[0].upper()}{_of_metric(run)[1:]}</{h}>",
        table_of(layer_table(run).reset_index(), _form(run)),
        *_by_class(run, h),
        *_localisation(run, h),
        *_erasure(run, h),
        *_corpora_and_conditions(run, h),
    ]
    if run.record.depth_finding:
        parts += [
            f"<{h}>Heads that see the first k layers</{h}>",
            figure(f"{run.metric.called} by depth", lambda ax: depth_curve(run, ax=ax)),
            f'<p class="note">{_of_metric(run).replace(" by layer", " on eval")}, mean over seeds; what a backbone of '
            "that depth costs.</p>",
            table_of(depth_table(run).reset_index(), ".2f"),
        ]
        if has_weights(run):
            parts += [
                f"<{h}>What each layer contributes</{h}>",
                figure("gates and weights by layer", lambda ax: contribution_curve(run, ax=ax)),
            ]
            if "gate_sd" in set(run.contributions["metric"]):
                parts += [
                    '<p class="note">Gates start at random and may stay near there: a gate alone does not tell what a '
                    "layer is worth; the figure with the layer permuted or left out does.</p>",
                    table_of(gate_agreement(run).reset_index(), ".2f"),
                    f"<{h}>How far gates depend on the utterance</{h}>",
                    figure("spread of gates by layer", lambda ax: gate_spread_curve(run, ax=ax)),
                    f"<{h}>What a layer is worth to a head</{h}>",
                    figure(f"{run.metric.called} without a layer", lambda ax: ablation_curve(run, ax=ax)),
                ]
    n_attacks = n_conditions(run, "attack") if run.task.is_spoofing else 0
    if n_attacks > MOST_DRAWN:
        parts.append(f'<p class="note">{n_attacks:,} attacks: too many to draw one by one.</p>')
    elif n_attacks > 2:
        parts += [f"<{h}>By attack</{h}>", picture("EER by layer and attack", condition_map(run))]
    for plot in (plot for plot in PLOTS.values() if plot.in_report):
        parts += [f"<{h}>{html.escape(plot.help)}</{h}>", figure(plot.help, partial(plot.draw, [run]))]
    parts += untrained(run, h, measures)
    parts += [
        f"<{h}>How to reproduce it</{h}>",
        f"<pre>{html.escape(commands(run))}</pre>",
        f"<{h}>Configuration</{h}>",
        f"<pre>{html.escape(_readable(_configuration(run)))}</pre>",
    ]
    return "\n".join(parts)


def _comparison(found: Comparison, measures: bool | None) -> str:
    parts = [
        f'<p class="finding">{html.escape(found.sentence)}</p>',
        figure(f"{found.metric.called} with interval and rank", lambda ax: found.ranking(ax)),
        figure(f"{found.metric.called} by layer", lambda ax: layer_curve(found.runs, ax=ax)),
    ]
    if found.table["gmacs"].notna().any():
        parts.append(figure(f"{found.metric.called} against multiply-accumulates", lambda ax: found.pareto(ax)))
    parts += [
        "<h2>Ranking</h2>",
        table_of(found.ranked.reset_index()),
        f'<p class="note">{html.escape(LEGEND)}.</p>',
        f"<h2>Paired differences of {html.escape(found.metric.called)}</h2>",
        table_of(found.differences),
        f'<p class="note">Paired bootstrap, {found.resamples} resamples; p adjusted by Holm\'s procedure.</p>',
        *alike(found, measures),
    ]
    return "\n".join(parts)


def _readable(record: dict[str, object]) -> str:
    """The record as JSON, lists of numbers and names on one line."""
    text = json.dumps(record, indent=1, ensure_ascii=False)
    return re.sub(r"\[[^][{}]*\]", lambda found: re.sub(r"\s*\n\s*", " ", found.group()), text)


def _configuration(run: Run) -> dict[str, object]:
    """The record without what is said elsewhere on the page, and without folders of this machine."""
    left_out = {*FINDINGS, "cache_folder", "conditions", "utterances", "leaks"}
    record = {name: value for name, value in run.record.items() if name not in left_out}
    about = {name: value for name, value in record["about"].items() if name in ("backbone", "corpus", "random_weights")}
    caches = {part: {**one, "folder": PurePath(one["folder"]).name} for part, one in record["caches"].items()}
    return {**record, "about": about, "caches": caches}

"""The report of a run or several: one page that needs nothing beside it and asks the network for nothing."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from pathlib import Path, PurePath
from string import Template

import matplotlib
import pandas as pd
from matplotlib.axes import Axes

from analysis.comparison import LEGEND, Comparison, compare
from analysis.conditions import condition_map
from analysis.curves import corpora_curve, layer_curve, save_corpora_curve, save_layer_curve
from analysis.depths import contribution_curve, depth_curve, depth_table, save_depth_curve
from analysis.figures import figure_of, new_axes
from analysis.loading import LoadedRun, load, load_many
from analysis.reproduction import commands
from cache.atomic import replace_file
from probing.runs import FINDINGS, Run

WIDE, NARROW = (8.4, 4.8), (4.4, 5.4)  # inches: a desk and paper, and a telephone
NARROW_SCREEN = "(max-width: 600px)"
PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light }
* { box-sizing: border-box }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; color: #222 }
h1 { font-size: 1.6rem; line-height: 1.25 } h2 { font-size: 1.25rem; margin-top: 2.5rem } h3 { font-size: 1.05rem }
h1, h2, h3, p, summary { overflow-wrap: anywhere }
.finding { font-size: 1.12rem; border-left: 4px solid #0173b2; padding: .2rem 0 .2rem 1rem }
.note, figcaption { color: #555; font-size: .875rem }
figure { margin: 1.2rem 0 } img { max-width: 100%; height: auto; display: block }
.scroll { overflow-x: auto; max-width: 100% }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem }
th, td { padding: .2em .7em; text-align: right; white-space: nowrap }
th { white-space: normal; vertical-align: bottom }
th:first-child, td:first-child { text-align: left; padding-left: .2em; white-space: normal; min-width: 4em }
thead th { border-bottom: 1px solid #888 } tbody tr:nth-child(even) { background: #f6f7f9 }
pre { background: #f6f7f9; padding: .8rem; overflow-x: auto; font-size: .8rem; line-height: 1.45 }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt } .scroll, pre { overflow: visible }
  pre { white-space: pre-wrap; overflow-wrap: anywhere } figure, tr { break-inside: avoid }
  h2, h3 { break-after: avoid } table { font-size: 7.5pt } th, td { padding: .1em .4em; white-space: normal }
}
</style>
</head>
<body>
<h1>$title</h1>
$body
</body>
</html>
""")


def save_all(run: Run, others: Sequence[Run] = ()) -> tuple[list[str], str]:
    """Draw every picture that a run has, and write its report; returns the paths of both."""
    pictures = save_layer_curve(run, others) + save_corpora_curve(run) + save_depth_curve(run)
    return pictures, save_report(run)


def save_report(runs: str | Path | Run | Iterable[str | Path | Run], path: str | Path | None = None) -> str:
    """Write the page: the finding, figures, tables, configuration, and how to reproduce it.

    Args:
        runs: a run, or several on the same trials, which are compared first.
        path: where to; default `report.html` in the folder of the first run.

    Returns:
        The path.

    Raises:
        ProbeError: runs that cannot be compared.
    """
    several = load_many(runs)
    if len(several) == 1:
        run = several[0]
        title, body = f"{run.backbone} on {run.corpus}", _run(run, level=2)
    else:
        title = f"{len(several)} backbones on {several[0].corpus}"
        parts = [_comparison(compare(several))]
        for name, run in zip(several.names, several, strict=True):
            parts.append(f"<h2>{html.escape(name)}</h2>\n{_run(run, level=3)}")
        body = "\n".join(parts)
    target = Path(path) if path else several[0].folder / "report.html"
    replace_file(target, PAGE.substitute(title=html.escape(title), body=body).encode())
    return str(target)


def layer_table(run: str | Path | Run) -> pd.DataFrame:
    """EER (%) by layer: dev, eval with its interval, chosen strength, and the shuffled-label control.

    Eval is that of the corpus the findings are about. The last row is the probe on trivial features.
    """
    run = load(run)
    both = pd.concat([run.layers, run._rows("trivial-features").reindex(columns=run.layers.columns)])
    both["layer"] = [("trivial" if pd.isna(layer) else str(layer)) for layer in both["layer"]]
    dev, evaluated = (both[both["split"] == split].set_index("layer") for split in ("dev", "eval"))
    table = evaluated[["eer", "low", "high", "strength", "shuffled"]].rename(columns={"eer": "eval"})
    table.insert(0, "dev", dev["eer"])
    return table


def corpora_table(run: Run) -> pd.DataFrame:
    """EER (%) on eval by layer (rows) and corpus (columns), with the ends of the 95 % intervals."""
    columns = {}
    for corpus in run.corpora:
        of_layer = load(run, corpus).layers.query("split == 'eval'").set_index("layer")
        columns[corpus] = of_layer["eer"]
        columns[f"{corpus} 95 %"] = of_layer["low"].map("{:.1f} .. ".format) + of_layer["high"].map("{:.1f}".format)
    return pd.DataFrame(columns).rename_axis("layer")


def condition_table(run: Run, experiment: str, split: str, corpus: str) -> pd.DataFrame:
    """EER (%) by condition (rows) and layer (columns), of `by-condition` or `unseen-attack` rows."""
    rows = run.results
    rows = rows[(rows["experiment"] == experiment) & (rows["metric"] == "eer")]
    rows = rows[(rows["split"] == split) & (rows["corpus"] == corpus)]
    table = 100 * rows.pivot(index="condition", columns="layer", values="value")
    table.columns = pd.Index([str(layer) for layer in table.columns], name=None)
    return table


def _corpora_and_conditions(run: LoadedRun, h: str) -> list[str]:
    """The parts of the page that a sweep over several corpora, by condition or without attacks adds."""
    parts = []
    if len(run.corpora) > 1:
        parts.append(f"<{h}>On every corpus: equal error rate by layer (%)</{h}>")
        parts.append(_figure("EER by layer and corpus", lambda ax: corpora_curve(run, ax)))
        parts.append(_table(corpora_table(run).reset_index(), 1))
    titles = {"by-condition": "By condition", "unseen-attack": "On an attack left out of the training"}
    for experiment, title in titles.items():
        rows = run.results[run.results["experiment"] == experiment]
        for split, corpus in rows[["split", "corpus"]].drop_duplicates().itertuples(index=False):
            heading = html.escape(f"{title}, {split} of {corpus}: equal error rate by layer (%)")
            parts.append(f"<{h}>{heading}</{h}>")
            parts.append(_table(condition_table(run, experiment, split, corpus).reset_index(), 1))
    return parts


def _run(run: LoadedRun, level: int) -> str:
    h = f"h{level}"
    parts = [
        f'<p class="finding">{html.escape(run.sentence)}</p>',
        _figure("EER by layer", lambda ax: layer_curve(run, ax=ax)),
        f"<{h}>Equal error rate by layer (%)</{h}>",
        _table(layer_table(run).reset_index(), 1),
        *_corpora_and_conditions(run, h),
    ]
    if run.record.get("depth_finding"):
        parts += [
            f"<{h}>Heads that see the first k layers</{h}>",
            _figure("EER by depth", lambda ax: depth_curve(run, ax=ax)),
            '<p class="note">EER on eval (%), mean over seeds; what a backbone of that depth costs.</p>',
            _table(depth_table(run).reset_index(), 2),
        ]
        if any(not name.startswith(("mean", "single")) for name in run.contributions["head"]):
            parts += [
                f"<{h}>What each layer contributes</{h}>",
                _figure("gates and weights by layer", lambda ax: contribution_curve(run, ax=ax)),
            ]
    if run.trials(f"linear-layer-{run.record['finding']['layer']:02d}")["attack"].nunique() > 2:
        parts += [f"<{h}>By attack</{h}>", _picture("EER by layer and attack", condition_map(run))]
    parts += [
        f"<{h}>How to reproduce it</{h}>",
        f"<pre>{html.escape(commands(run))}</pre>",
        f"<{h}>Configuration</{h}>",
        f"<pre>{html.escape(json.dumps(_configuration(run), indent=1, ensure_ascii=False))}</pre>",
    ]
    return "\n".join(parts)


def _comparison(found: Comparison) -> str:
    parts = [
        f'<p class="finding">{html.escape(found.sentence)}</p>',
        _figure("EER with interval and rank", lambda ax: found.ranking(ax)),
        _figure("EER by layer", lambda ax: layer_curve(found.runs, ax=ax)),
    ]
    if found.table["gmacs"].notna().any():
        parts.append(_figure("EER against multiply-accumulates", lambda ax: found.pareto(ax)))
    parts += [
        "<h2>Ranking</h2>",
        _table(found.ranked.reset_index(), 1),
        f'<p class="note">{html.escape(LEGEND)}.</p>',
        "<h2>Paired differences of EER</h2>",
        _table(found.differences, 1),
        f'<p class="note">Paired bootstrap, {found.resamples} resamples; p adjusted by Holm\'s procedure.</p>',
    ]
    return "\n".join(parts)


def _figure(what: str, drawn: Callable[[Axes], Axes]) -> str:
    """A figure drawn twice, so that its text can be read on a desk, on paper and on a telephone."""
    wide, narrow = (_svg(drawn(new_axes(height, width))) for width, height in (WIDE, NARROW))
    return (
        f'<figure><picture><source media="{NARROW_SCREEN}" srcset="{narrow}">'
        f'<img alt="{html.escape(what)}" src="{wide}"></picture></figure>'
    )


def _picture(what: str, ax: Axes) -> str:
    """A figure that cannot be drawn narrower: it scrolls in its own box."""
    inches = figure_of(ax).get_size_inches()[0]
    width = f"min-width: min({inches * 72:.0f}px, 44rem)"
    return f'<figure class="scroll"><img style="{width}" alt="{html.escape(what)}" src="{_svg(ax)}"></figure>'


def _svg(ax: Axes) -> str:
    file = BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "report"}):
        figure_of(ax).savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode()}"


def _table(table: pd.DataFrame, digits: int) -> str:
    exact = {"strength": "{:g}".format} if "strength" in table else None
    form = f"{{:.{digits}f}}".format
    text = table.to_html(float_format=form, formatters=exact, na_rep="", border=0, index=False)
    return f'<div class="scroll">{text}</div>'


def _configuration(run: Run) -> dict[str, object]:
    """The record without what is said elsewhere on the page, and without folders of this machine."""
    left_out = {*FINDINGS, "cache_folder"}
    record = {name: value for name, value in run.record.items() if name not in left_out}
    about = {name: value for name, value in record["about"].items() if name in ("backbone", "corpus", "random_weights")}
    caches = {part: {**one, "folder": PurePath(one["folder"]).name} for part, one in record["caches"].items()}
    return {**record, "about": about, "caches": caches}

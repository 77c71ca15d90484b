"""The report of a run: one page that needs nothing beside it."""

import base64
import html
import json
from collections.abc import Sequence
from string import Template

import pandas as pd

from analysis.curves import save_corpora_curve, save_layer_curve
from analysis.depths import depth_table, save_depth_curve
from cache.atomic import replace_file
from probing.runs import Run

PAGE = Template("""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>$title</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222 }
img { max-width: 100% } table { border-collapse: collapse } th, td { padding: .15em .8em; text-align: right }
th { border-bottom: 1px solid #888 } .finding { font-size: 1.15em }
pre { background: #f6f6f6; padding: 1em; overflow: auto }
</style>
<h1>$title</h1>
<p class="finding">$sentence</p>
<img alt="EER by layer" src="data:image/png;base64,$picture">
<h2>Equal error rate by layer (%)</h2>
$table
$corpora
$depths
<h2>How it was made</h2>
<pre>$record</pre>
</html>
""")


def layer_table(run: Run) -> pd.DataFrame:
    """EER (%) by layer: dev, eval with its interval, chosen strength, and the shuffled-label control.

    Eval is that of the corpus the findings are about. The last row is the probe on trivial features.
    """
    parts = []
    for experiment in ("layer", "trivial-features"):
        table = _percent(run.rows(experiment)).rename(columns={"value": "eval"})
        dev = _percent(run.rows(experiment, "dev"))
        table.insert(0, "dev", dev["value"])
        parts.append(table)
    table = pd.concat(parts)
    table["shuffled"] = _percent(run.rows("shuffled-labels"))["value"].reindex(table.index)
    table.index = pd.Index(["trivial" if pd.isna(layer) else str(layer) for layer in table.index], name="layer")
    return table


def corpora_table(run: Run) -> pd.DataFrame:
    """EER (%) on eval by layer (rows) and corpus (columns), with the ends of the 95 % intervals."""
    columns = {}
    for corpus in run.corpora:
        of_layer = _percent(run.rows("layer", corpus=corpus))
        columns[corpus] = of_layer["value"]
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


def _percent(rows: pd.DataFrame) -> pd.DataFrame:
    """Means by layer of a table's figures, in per cent."""
    means = rows.groupby("layer", dropna=False)[["value", "low", "high", "strength"]].mean()
    return means.assign(**{name: 100 * means[name] for name in ("value", "low", "high")})


def _corpora_and_conditions(run: Run) -> str:
    """The parts of the page that a sweep over several corpora, by condition or without attacks adds."""

    def html_of(table: pd.DataFrame) -> str:
        return table.to_html(float_format=lambda value: f"{value:.1f}", na_rep="", border=0)

    parts = []
    if len(run.corpora) > 1:
        picture = f'<img alt="EER by layer and corpus" src="data:image/png;base64,{_encoded(run, "corpora-curve")}">'
        parts += ["<h2>On every corpus: equal error rate by layer (%)</h2>", picture, html_of(corpora_table(run))]
    titles = {"by-condition": "By condition", "unseen-attack": "On an attack left out of the training"}
    for experiment, title in titles.items():
        rows = run.results[run.results["experiment"] == experiment]
        for split, corpus in rows[["split", "corpus"]].drop_duplicates().itertuples(index=False):
            heading = html.escape(f"{title}, {split} of {corpus}: equal error rate by layer (%)")
            parts += [f"<h2>{heading}</h2>", html_of(condition_table(run, experiment, split, corpus))]
    return "\n".join(parts)


def save_all(run: Run, others: Sequence[Run] = ()) -> tuple[list[str], str]:
    """Draw every picture that a run has, and write its report; returns the paths of both."""
    pictures = save_layer_curve(run, others) + save_corpora_curve(run) + save_depth_curve(run)
    return pictures, save_report(run)


def save_report(run: Run) -> str:
    """Write `report.html` with the finding, the picture, the table and the record; returns its path."""
    depths = ""
    if run.record.get("depth_finding"):
        curve = _encoded(run, "depth-curve")
        depths = (
            "<h2>Heads that see the first k layers</h2>\n"
            f'<img alt="EER by depth" src="data:image/png;base64,{curve}">\n'
            "<p>Equal error rate on eval (%), mean over seeds; what a backbone of that depth costs.</p>\n"
            + depth_table(run).to_html(float_format=lambda value: f"{value:.4g}", na_rep="", border=0)
        )
    title = f"{run.record['about']['backbone']} on {run.record['about']['corpus']}"
    page = PAGE.substitute(
        title=html.escape(title),
        sentence=html.escape(run.sentence),
        picture=_encoded(run, "layer-curve"),
        corpora=_corpora_and_conditions(run),
        depths=depths,
        table=layer_table(run).to_html(float_format=lambda value: f"{value:.4g}", na_rep="", border=0),
        record=html.escape(json.dumps(run.record, indent=1, ensure_ascii=False)),
    )
    path = run.folder / "report.html"
    replace_file(path, page.encode())
    return str(path)


def _encoded(run: Run, name: str) -> str:
    return base64.b64encode((run.folder / "figures" / f"{name}.png").read_bytes()).decode()

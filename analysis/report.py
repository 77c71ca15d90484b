"""The report of a run: one page that needs nothing beside it."""

import base64
import html
import json
from string import Template

import pandas as pd

from analysis.depths import depth_table
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
$depths
<h2>How it was made</h2>
<pre>$record</pre>
</html>
""")


def layer_table(run: Run) -> pd.DataFrame:
    """EER (%) by layer: dev, eval with its interval, chosen strength, and the shuffled-label control.

    The last row is the probe on trivial features.
    """
    results = run.results.assign(**{name: 100 * run.results[name] for name in ("value", "low", "high")})
    part = {
        (experiment, split): rows.groupby("layer", dropna=False)[["value", "low", "high", "strength"]].mean()
        for (experiment, split), rows in results.groupby(["experiment", "split"])
    }
    rows = []
    for experiment in ("layer", "trivial-features"):
        table = part[experiment, "eval"].rename(columns={"value": "eval"})
        table.insert(0, "dev", part[experiment, "dev"]["value"])
        rows.append(table)
    table = pd.concat(rows)
    control = part.get(("shuffled-labels", "eval"))
    table["shuffled"] = float("nan") if control is None else control["value"].reindex(table.index)
    table.index = pd.Index(["trivial" if pd.isna(layer) else str(layer) for layer in table.index], name="layer")
    return table


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
        depths=depths,
        table=layer_table(run).to_html(float_format=lambda value: f"{value:.4g}", na_rep="", border=0),
        record=html.escape(json.dumps(run.record, indent=1, ensure_ascii=False)),
    )
    path = run.folder / "report.html"
    replace_file(path, page.encode())
    return str(path)


def _encoded(run: Run, name: str) -> str:
    return base64.b64encode((run.folder / "figures" / f"{name}.png").read_bytes()).decode()

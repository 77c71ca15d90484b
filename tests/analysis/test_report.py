"""The report stands alone, and a browser shows it on a desk and on a telephone."""

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from resealed import reseal
from typer.testing import CliRunner

import analysis
from analysis import save_report
from analysis.commands.app import app
from analysis.reports.figures import figure
from analysis.reports.report import layer_table
from analysis.reports.tables import table_of
from analysis.reports.untrained import untrained
from analysis.runs.rerun import commands
from cache import ProbeError
from probing.runs import Run

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync --hide-scrollbars"
)
WIDTHS = (1400, 390)
MEASURE = """window.onload = () => {
  const figures = [...document.querySelectorAll("figure svg")].filter(it => it.getBoundingClientRect().width > 0)
  const values = figures.filter(it => it.tabIndex === 0)
  const press = (svg, ...keys) => keys.forEach(key => svg.dispatchEvent(new KeyboardEvent("keydown", {key})))
  const told = svg => [...svg.closest("figure").querySelectorAll(".tip span")].map(it => it.textContent)
  const svg = values.filter(it => it.getAttribute("aria-label").startsWith("EER by layer."))[1]
  press(svg, "ArrowRight", "ArrowDown", "End", "ArrowLeft")
  const byKeys = told(svg)
  press(svg, "Escape")
  const gone = told(svg).length
  const [x, y] = JSON.parse(svg.nextElementSibling.textContent)[1][2][1]
  const place = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM())
  const at = {clientX: place.x + 3, clientY: place.y - 3, pointerType: "touch"}
  svg.dispatchEvent(new PointerEvent("pointerdown", at))
  const byTouch = told(svg)
  const cells = () => [...document.querySelectorAll("table")].find(it => it.tHead.textContent.startsWith("layerdev"))
  const button = cells().querySelectorAll("th button")[2]
  const column = () => [...cells().tBodies[0].rows].map(row => row.cells[2].textContent)
  button.click()
  const up = column()
  button.click()
  const sorts = button.parentElement.getAttribute("aria-sort")
  const resources = performance.getEntriesByType("resource").map(entry => entry.name)
  parent.postMessage({width: innerWidth, scroll: document.documentElement.scrollWidth, figures: figures.length,
    values: values.length, requests: resources.filter(name => !name.startsWith("data:")).length, byKeys, gone, byTouch,
    up, down: column(), sorts, strange: document.querySelectorAll("b").length,
    size: svg.viewBox.baseVal.width}, "*")
}"""  # noqa: E501
HOST = """<!doctype html><title></title><script>const found = []
window.onmessage = event => { found.push(event.data); document.title = JSON.stringify(found) }</script>"""  # noqa: E501


@pytest.fixture(scope="module")
def page(made: tuple[Run, Run], tmp_path_factory: pytest.TempPathFactory) -> str:
    return Path(save_report(made, tmp_path_factory.mktemp("page") / "both.html")).read_text()


def test_the_report_of_a_run_is_in_its_folder_and_says_the_finding(run: Run) -> None:
    page = Path(save_report(run)).read_text()
    assert (run.folder / "report.html").exists()
    assert run.sentence in page
    assert page.count("<figure") == 8
    assert run.record["cache"] in page
    assert str(run.folder.parent) not in page


def test_the_cache_of_a_run_adds_similarity_and_transferability(run: Run, tmp_path: Path) -> None:
    alike, told = untrained(analysis.load(run.folder), None)
    assert [alike.title, told.title] == [
        "How alike layers are",
        "What could be told without training",
    ]
    assert "kendall" in "".join(told.body)
    assert untrained(analysis.load(run.folder), measures=False) == []


def test_a_cache_is_found_where_it_was_or_beside_the_run(run: Run, tmp_path: Path) -> None:
    moved = shutil.copytree(run.folder, tmp_path / "hand.run")
    assert analysis.load(moved).cache is not None
    record = json.loads((moved / "run.json").read_text())
    record["caches"]["train"]["folder"] = "gone/hand.cache"
    (moved / "run.json").write_text(json.dumps(record))
    reseal(moved)
    assert (
        untrained(analysis.load(moved), None)[0]
        .body[0]
        .startswith('<p class="note">Its cache is not there')
    )
    with pytest.raises(ProbeError, match=r"its cache gone/hand\.cache is not there"):
        untrained(analysis.load(moved), measures=True)
    shutil.copytree(run.record["cache_folder"], tmp_path / "hand.cache")
    assert analysis.load(moved).cache is not None


def test_nothing_is_asked_of_the_network_and_no_script_runs_but_the_pages_own(page: str) -> None:
    assert not re.search(r'(src|srcset|href)="(?!data:image/|#)', page)
    assert set(re.findall(r"url\((.)", page)) <= {"#"}
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src "
        "data:; base-uri 'none'; form-action 'none'"
    )
    assert page.index(policy) < page.index("<title>") < page.index("<style>")
    assert not re.search(r"\son\w+=", page)


def test_contents_lead_to_every_section_and_no_name_is_there_twice(page: str) -> None:
    links = re.findall(r'<a href="#([^"]+)">', page)
    headings = re.findall(r'<h[2-4] id="([^"]+)">', page)
    assert links == headings
    assert {"ranking", "equal-error-rate-by-layer-2", "configuration"} <= set(links)
    names = re.findall(r'\sid="([^"]+)"', page)
    assert len(names) == len(set(names))
    used = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', page)
    assert {one or other for one, other in used} <= set(names)


def test_the_report_of_several_begins_with_their_comparison(
    page: str, made: tuple[Run, Run]
) -> None:
    assert "2 backbones on hand" in page
    assert page.index("Paired differences") < page.index("How to reproduce it")
    assert "How alike the layers of two backbones are" in page
    assert "another &lt;b&gt;" in page
    assert "another <b>" not in page
    assert all(run.record["cache"] in page for run in made)


def test_the_commands_to_reproduce_it_exist(run: Run) -> None:
    run.record["about"] |= {
        "corpus_spec": "asvspoof2019-la:/data/of/mine",
        "options": {"backbone": "/my/model", "seconds": None, "frames": True, "max_seconds": 30.0},
    }
    text = commands(run)
    assert "--corpus asvspoof2019-la:mine" in text
    assert "--backbone model" in text
    assert "--strengths 0.1" in text
    assert "/my" not in text + "/data"[:0]
    for command, of_command in zip(
        ("extract", "sweep"), re.split(r"\n(?=probe)", text), strict=True
    ):
        shown = CliRunner().invoke(app, [command, "--help"]).stdout
        for option in re.findall(r"--[a-z-]+", of_command):
            assert option in shown, f"probe {command} {option}"


def test_the_layer_table_ends_with_the_trivial_features(run: Run) -> None:
    table = layer_table(run)
    assert list(table.index) == ["0", "1", "2", "3", "trivial"]
    assert (table["low"] <= table["eval"]).all()


def test_numbers_with_intervals_stand_under_each_other_on_one_line() -> None:
    page = table_of(
        pd.DataFrame({"backbone": ["a", "b"], "rank": ["1.1 [1, 2]", "12.1 [10, 1,203]"]})
    )
    assert page.count('class="n"') == 3
    cells = re.findall(r'<td class="n">([^<]*)</td>', page)
    assert cells == ["1.1 [\u20071, \u2007\u2007\u2007\u20072]", "12.1 [10, 1,203]"]


def test_the_same_run_gives_the_same_figure_and_a_page_of_moderate_size(
    run: Run, page: str
) -> None:
    first, second = (figure("EER", lambda ax: analysis.layer_curve(run, ax=ax)) for _ in range(2))
    assert first == second
    assert len(first) < 60_000
    assert len(page) < 1_000_000


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
def test_in_a_browser_figures_tell_their_values_and_tables_sort_on_a_wide_and_a_narrow_screen(
    page: str, made: tuple[Run, Run], tmp_path: Path
) -> None:
    allowed = base64.b64encode(hashlib.sha256(MEASURE.encode()).digest()).decode()
    measured_page = page.replace("script-src ", f"script-src 'sha256-{allowed}' ")
    (tmp_path / "page.html").write_text(
        measured_page.replace("</body>", f"<script>{MEASURE}</script></body>")
    )
    frames = "".join(
        f'<iframe src="page.html" width="{width}" height="800"></iframe>' for width in WIDTHS
    )
    (tmp_path / "host.html").write_text(
        HOST + frames.replace("<iframe", '<iframe style="border: 0"')
    )
    command = [
        str(CHROMIUM),
        *FLAGS.split(),
        f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1600,1200",
    ]
    command += ["--virtual-time-budget=20000", "--dump-dom", (tmp_path / "host.html").as_uri()]
    result = subprocess.run(command, capture_output=True, text=True, timeout=180)
    found = re.search(r"<title>(\[\{.*\}\])</title>", result.stdout)
    assert found is not None, result.stderr
    measured = {row["width"]: row for row in json.loads(html.unescape(found.group(1)))}
    assert set(measured) == set(WIDTHS)
    layers = analysis.load(made[0]).layers.query("split == 'eval'")
    told = [
        f"EER on eval (%): {row.eer:.2f} [{row.low:.2f}, {row.high:.2f}]"
        for row in layers.itertuples()
    ]
    evals = sorted(layer_table(made[0])["eval"])
    for width, row in measured.items():
        assert row["scroll"] <= width
        assert row["values"] == row["figures"] == page.count("<figure")
        assert row["requests"] == 0
        assert row["size"] == pytest.approx(72 * (8.4 if width > 600 else 4.4))
        assert row["byKeys"][:3] == ["linear probe", "layer 2", told[2]]
        assert row["gone"] == 0
        assert row["byTouch"][:3] == ["linear probe", "layer 1", told[1]]
        assert row["up"] == [f"{value:.1f}" for value in evals]
        assert row["down"] == row["up"][::-1]
        assert row["sorts"] == "descending"
        assert row["strange"] == 0

"""The report stands alone, and a browser shows it on a desk and on a telephone."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from resealed import reseal
from typer.testing import CliRunner

import analysis
from analysis import save_report
from analysis.commands.app import app
from analysis.reports.report import layer_table
from analysis.reports.untrained import untrained
from analysis.runs.rerun import commands
from cache import ProbeError
from probing.runs import Run

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars"
)
WIDTHS = (1400, 390)
MEASURE = """<script>window.onload = () => {
  const images = [...document.images].filter(it => it.offsetParent !== null)
  const resources = performance.getEntriesByType("resource").map(entry => entry.name)
  parent.postMessage([
    innerWidth, document.documentElement.scrollWidth, images.length, images.filter(it => it.naturalWidth > 0).length,
    resources.filter(name => !name.startsWith("data:")).length, images[0].src.length], "*")
}</script></body>"""
HOST = """<!doctype html><title></title><script>const found = []
window.onmessage = event => { found.push(event.data); document.title = JSON.stringify(found) }</script>"""


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
    parts = "".join(untrained(analysis.load(run.folder), "h2", None))
    assert all(title in parts for title in ("How alike layers are", "What could be told without training", "kendall"))
    assert untrained(analysis.load(run.folder), "h2", measures=False) == []


def test_a_cache_is_found_where_it_was_or_beside_the_run(run: Run, tmp_path: Path) -> None:
    moved = shutil.copytree(run.folder, tmp_path / "hand.run")
    assert analysis.load(moved).cache is not None
    record = json.loads((moved / "run.json").read_text())
    record["caches"]["train"]["folder"] = "gone/hand.cache"
    (moved / "run.json").write_text(json.dumps(record))
    reseal(moved)
    assert untrained(analysis.load(moved), "h2", None)[0].startswith('<p class="note">Its cache is not there')
    with pytest.raises(ProbeError, match=r"its cache gone/hand\.cache is not there"):
        untrained(analysis.load(moved), "h2", measures=True)
    shutil.copytree(run.record["cache_folder"], tmp_path / "hand.cache")
    assert analysis.load(moved).cache is not None


def test_nothing_is_asked_of_the_network(page: str) -> None:
    assert not re.search(r'(src|srcset|href)="(?!data:)', page)
    assert "url(" not in page
    assert "<script" not in page


def test_the_report_of_several_begins_with_their_comparison(page: str, made: tuple[Run, Run]) -> None:
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
    for command, of_command in zip(("extract", "sweep"), re.split(r"\n(?=probe)", text), strict=True):
        shown = CliRunner().invoke(app, [command, "--help"]).stdout
        for option in re.findall(r"--[a-z-]+", of_command):
            assert option in shown, f"probe {command} {option}"


def test_the_layer_table_ends_with_the_trivial_features(run: Run) -> None:
    table = layer_table(run)
    assert list(table.index) == ["0", "1", "2", "3", "trivial"]
    assert (table["low"] <= table["eval"]).all()


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
def test_a_browser_shows_every_picture_on_a_wide_and_a_narrow_screen_without_scrolling_sideways(
    page: str, tmp_path: Path
) -> None:
    (tmp_path / "page.html").write_text(page.replace("</body>", MEASURE))
    frames = "".join(f'<iframe src="page.html" width="{width}" height="800"></iframe>' for width in WIDTHS)
    (tmp_path / "host.html").write_text(HOST + frames.replace("<iframe", '<iframe style="border: 0"'))
    command = [str(CHROMIUM), *FLAGS.split(), f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1600,1200"]
    command += ["--virtual-time-budget=20000", "--dump-dom", (tmp_path / "host.html").as_uri()]
    result = subprocess.run(command, capture_output=True, text=True, timeout=180)
    found = re.search(r"<title>(\[\[.*\]\])</title>", result.stdout)
    assert found is not None, result.stderr
    pictures = re.search(
        r'<img class="wide" alt="[^"]+" src="([^"]+)"><img class="narrow" alt="[^"]+" src="([^"]+)"', page
    )
    assert pictures is not None
    measured = {row[0]: row[1:] for row in json.loads(found.group(1))}
    assert set(measured) == set(WIDTHS)
    for width, (scroll_width, images, shown, requests, source) in measured.items():
        assert scroll_width <= width
        assert shown == images >= 8
        assert requests == 0
        assert source == len(pictures.group(2 if width < 600 else 1))

"""What is drawn is what was measured."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from hand_made import write_cache

from analysis.curves import layer_curve, save_layer_curve
from analysis.depths import contribution_curve, depth_curve, depth_table, save_depth_curve
from analysis.report import layer_table, save_report
from cache import ProbeError
from probing.runs import Run
from probing.sweep import SweepOptions, sweep


@pytest.fixture
def run(cache_folder: Path, tmp_path: Path) -> Run:
    options = SweepOptions(resamples=100, strengths=(0.1,), control_seeds=(0,))
    return sweep(cache_folder, tmp_path / "hand.run", options, say=lambda text: None)


def test_the_curve_shows_the_figures_of_the_table(run: Run) -> None:
    axes = layer_curve(run)
    lines = {line.get_label(): line for line in axes.get_lines()}
    rows = run.results[(run.results["experiment"] == "layer") & (run.results["split"] == "eval")]
    assert np.allclose(np.asarray(lines["linear probe"].get_ydata(), float), 100 * rows["value"])
    assert list(lines["linear probe"].get_xdata()) == [0, 1, 2, 3]
    assert list(lines["chosen on dev"].get_xdata()) == [run.record["finding"]["layer"]]
    assert {"shuffled labels (control)", "trivial features (duration, level, bandwidth, floor)"} <= set(lines)
    assert run.record["cache"] in "".join(text.get_text() for text in axes.texts)


def test_pictures_are_written_and_are_pictures(run: Run) -> None:
    png, svg = map(Path, save_layer_curve(run))
    pixels = matplotlib.image.imread(png)
    assert pixels.shape[0] > 500
    assert pixels.std() > 0.05
    assert "<svg" in svg.read_text()


def test_the_depth_curve_shows_the_figures_of_the_table(run: Run) -> None:
    axes = depth_curve(run)
    lines = {str(line.get_label()): line for line in axes.get_lines()}
    for name in run.record["options"]["depths"]["heads"]:
        rows = run.results.query("experiment == 'depth' and split == 'eval' and head == @name and seed.isna()")
        assert np.allclose(np.asarray(lines[name].get_ydata(), float), 100 * rows.sort_values("depth")["value"])
        assert np.allclose(depth_table(run)[name], 100 * rows.sort_values("depth")["value"])
    shares = [line.get_ydata() for line in contribution_curve(run).get_lines() if "gate" in str(line.get_label())]
    assert np.isclose(np.sum(np.asarray(shares, float)), 100)
    assert [Path(path).suffix for path in save_depth_curve(run)] == [".png", ".svg"]


def test_the_report_stands_alone(run: Run) -> None:
    save_layer_curve(run)
    save_depth_curve(run)
    page = Path(save_report(run)).read_text()
    assert run.sentence in page
    assert "data:image/png;base64," in page
    assert "http" not in page.split("<pre>")[0].replace("http-equiv", "")


def test_the_layer_table_ends_with_the_trivial_features(run: Run) -> None:
    table = layer_table(run)
    assert list(table.index) == ["0", "1", "2", "3", "trivial"]
    assert (table["low"] <= table["eval"]).all()


def test_a_sweep_without_a_control_is_drawn_too(cache_folder: Path, tmp_path: Path) -> None:
    options = SweepOptions(resamples=100, strengths=(0.1,), control_seeds=())
    run = sweep(cache_folder, tmp_path / "r", options, say=lambda text: None)
    assert len(layer_curve(run, "dev").get_lines()) == 3
    assert layer_table(run)["shuffled"].isna().all()


def test_another_run_is_drawn_beside_it_where_the_utterances_are_the_same(run: Run, tmp_path: Path) -> None:
    options = SweepOptions(resamples=100, strengths=(0.1,), control_seeds=(0,))
    other = sweep(write_cache(tmp_path / "c", seed=1), tmp_path / "other", options, say=lambda text: None)
    lines = {line.get_label(): line for line in layer_curve(run, others=[other]).get_lines()}
    rows = other.results[(other.results["experiment"] == "layer") & (other.results["split"] == "eval")]
    assert np.allclose(np.asarray(lines["hand made"].get_ydata(), float), 100 * rows["value"])
    fewer = write_cache(tmp_path / "f", change=lambda table: table[table["utterance_id"] != "eval-00-é"])
    foreign = sweep(fewer, tmp_path / "foreign", options, say=lambda text: None)
    with pytest.raises(ProbeError, match="made on other utterances"):
        layer_curve(run, others=[foreign])

"""Intervals of all layers at once: wider than of one, and drawn where asked for."""

from pathlib import Path

import numpy as np
import pytest
from hand_made import write_cache
from small_extraction import run_cli

import analysis
from cache import ProbeError
from probing.metrics import compare, draw
from probing.runs import Run
from probing.runs.simultaneous import layer_bands, layer_gains
from probing.sweep import SweepOptions, sweep
from probing.sweep.options import DepthOptions


def swept(folder: Path, name: str, **how: object) -> Run:
    options = SweepOptions(
        strengths=(0.1,), resamples=100, control_seeds=(), depths=DepthOptions(heads=())
    )
    cache = write_cache(folder / f"{name}.cache", **how)  # type: ignore[arg-type]
    return sweep(cache, folder / f"{name}.run", options, say=lambda text: None)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    folder = tmp_path_factory.mktemp("simultaneous")
    return swept(folder, "a"), swept(folder, "b", seed=1, random_weights=True)


@pytest.mark.parametrize("part", ["eval", "dev"])
def test_bands_of_all_layers_hold_those_of_each(runs: tuple[Run, Run], part: str) -> None:
    bands = layer_bands(runs[0], part)
    alone = runs[0].rows("layer", part).astype({"layer": int}).set_index("layer")
    assert list(bands.index) == list(alone.index)
    assert np.allclose(bands["eer"], alone["value"])
    assert (bands["low"] <= alone["low"]).all()
    assert (bands["high"] >= alone["high"]).all()
    assert (bands["high"] - bands["low"]).sum() > 1.1 * (alone["high"] - alone["low"]).sum()


def test_gains_are_paired_and_wider_than_of_one_layer(runs: tuple[Run, Run]) -> None:
    gains = layer_gains(*runs)
    assert list(gains.index) == [0, 1, 2, 3]
    mine, theirs = (run.trials("linear-layer-02") for run in runs)
    bonafide = mine["label"].eq("bonafide")
    drawn = draw(bonafide, runs[0].clusters(mine), n=100)
    one = compare(bonafide, theirs["score"], mine["score"], drawn).difference
    assert gains.loc[2, "gain"] == pytest.approx(one.value)
    assert gains.loc[2, "low"] < one.low < one.high < gains.loc[2, "high"]
    swapped = layer_gains(runs[1], runs[0])
    assert np.allclose(swapped["gain"], -gains["gain"])
    assert np.allclose(swapped["low"], -gains["high"])


def test_runs_on_other_utterances_have_no_gain(runs: tuple[Run, Run], tmp_path: Path) -> None:
    fewer = swept(tmp_path, "c", change=lambda table: table[table["utterance_id"] != "eval-00-é"])
    with pytest.raises(ProbeError, match="other utterances"):
        layer_gains(runs[0], fewer)


def test_the_curve_draws_them_where_asked_for(
    runs: tuple[Run, Run],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bands = layer_bands(runs[0])
    drawn = analysis.layer_curve(runs[0], simultaneous=True)
    tops = [path.vertices[:, 1].max() for shape in drawn.collections for path in shape.get_paths()]
    assert any(top == pytest.approx(100 * bands["high"].max()) for top in tops)
    assert "95 % interval, all layers at once" in [
        text.get_text() for text in drawn.get_legend().get_texts()
    ]
    command = [
        "plot",
        str(runs[0].folder),
        "layers",
        "--simultaneous",
        "--out",
        str(tmp_path / "x.png"),
    ]
    assert run_cli(command, monkeypatch) == 0
    command[2] = "det"
    assert run_cli(command, monkeypatch) == 2
    assert "--simultaneous: det has no such bands" in capsys.readouterr().err


def test_a_sweep_by_speaker_and_attack_says_what_it_drew_and_compares_likewise(
    tmp_path: Path,
) -> None:
    depths = DepthOptions(heads=())
    options = SweepOptions(
        strengths=(0.1,),
        resamples=100,
        control_seeds=(),
        depths=depths,
        interval_by="speaker,attack",
        by=("attack",),
    )
    said: list[str] = []
    cache = write_cache(tmp_path / "a.cache")
    both = sweep(cache, tmp_path / "a.run", options, say=said.append)
    plain = swept(tmp_path, "b")
    assert "attacks; of attacks like these" in both.sentence
    assert "attacks only" in plain.sentence
    assert "speaker and attack" in both.record["intervals_by_part"]["dev"]
    assert any("conditions of one cluster are by another unit: attack=A00" in text for text in said)
    found = analysis.load(both).by("attack")
    pooled = both.rows("layer").set_index("layer")
    assert np.allclose(
        found.query("condition == 'pooled'").set_index("layer")["low"], 100 * pooled["low"]
    )
    widths = [
        (run.rows("layer")["high"] - run.rows("layer")["low"]).mean() for run in (both, plain)
    ]
    assert widths[0] > widths[1]

"""An MLP probe finds what a linear probe cannot, and nothing where there is nothing."""

from dataclasses import replace
from pathlib import Path

import pytest
from planted import plant

from analysis.controls import selectivity
from analysis.reports.report import layer_table
from cache import ProbeError
from probing.runs import Run
from probing.sweep import DepthOptions, SweepOptions, sweep

OPTIONS = SweepOptions(
    strengths=(1e-3, 1e-1),
    control_seeds=(0,),
    resamples=200,
    depths=DepthOptions(heads=()),
    probe="mlp",
)
COUNTS = (400, 200, 400)


def swept(folder: Path, xor: dict[int, float], seed: int = 0) -> Run:
    plant(folder / "c", {}, n_layers=3, n=COUNTS, seed=seed, xor=xor)
    return sweep(folder / "c", folder / "r", OPTIONS, say=lambda text: None)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
def test_a_planted_xor_is_found_by_the_mlp_and_not_by_the_linear_probe(
    seed: int, tmp_path: Path
) -> None:
    run = swept(tmp_path, {2: 4.0}, seed)
    found = run.record["mlp_finding"]
    assert found["layer"] == 2
    assert found["rate"]["value"] < 0.15 < 0.35 < found["linear"]["value"]
    assert found["difference"]["low"] > 0.2
    table = selectivity(run)
    assert table["mlp_selectivity"].idxmax() == 2
    assert table.loc[2, "mlp_selectivity"] > 0.25
    assert table.loc[[0, 1, 3], "mlp"].min() > 0.35
    assert table.loc[2, "selectivity"] < 0.15
    assert "An MLP probe, chosen on dev: layer 2, with an eval EER of" in run.sentence
    assert "points more [" in run.sentence
    if run.record["finding"]["best"]["high"] >= 0.5:
        assert (
            "not shown to be better than chance; a linear probe of mean and deviation can miss"
            in run.sentence
        )
    shown = layer_table(run)
    assert list(shown.columns)[-2:] == ["mlp", "mlp shuffled"]
    assert shown.loc["2", "mlp"] == pytest.approx(100 * found["rate"]["value"])


def test_an_mlp_finds_nothing_in_noise_and_is_the_same_again(tmp_path: Path) -> None:
    plant(tmp_path / "c", {}, n_layers=1, n=(200, 100, 400))
    run = sweep(tmp_path / "c", tmp_path / "r", OPTIONS, say=lambda text: None)
    found = run.record["mlp_finding"]
    assert found["rate"]["value"] > 0.4
    assert "not shown to be better than chance" in run.sentence.partition("An MLP probe")[2]
    again = sweep(tmp_path / "c", tmp_path / "again", OPTIONS, say=lambda text: None)
    assert again.results.equals(run.results)
    plain = sweep(
        tmp_path / "c", tmp_path / "plain", replace(OPTIONS, probe="linear"), say=lambda text: None
    )
    assert plain.record["mlp_finding"] is None
    linear = run.results[~run.results["experiment"].str.startswith("mlp")].reset_index(drop=True)
    assert plain.results.equals(linear)
    assert "probe" not in plain.record["options"]


def test_an_unknown_probe_is_refused() -> None:
    with pytest.raises(ProbeError, match="probe=svm: expected linear or mlp"):
        SweepOptions(probe="svm")

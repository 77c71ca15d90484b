"""Probes beside their controls."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hand_made import write_cache

from analysis.controls import selectivity
from cache import ProbeError
from probing.runs import Run
from probing.sweep import SweepOptions, sweep
from probing.sweep.options import DepthOptions
from probing.targets.options import TargetOptions


def swept(folder: Path, name: str, control_seeds: tuple[int, ...] = (0, 1), **how: object) -> Run:
    options = SweepOptions(
        strengths=(0.1,), resamples=100, control_seeds=control_seeds, depths=DepthOptions(heads=())
    )
    cache = write_cache(folder / f"{name}.cache", **how)  # type: ignore[arg-type]
    return sweep(cache, folder / f"{name}.run", options, say=lambda text: None)


def test_selectivity_is_highest_where_the_classes_are_apart(tmp_path: Path) -> None:
    run, random = swept(tmp_path, "a"), swept(tmp_path, "b", seed=1, random_weights=True)
    table = selectivity(run, random)
    assert list(table.index) == [0, 1, 2, 3]
    assert table["selectivity"].idxmax() == 2
    rows = run.results[run.results["split"] == "eval"]
    control = rows[(rows["experiment"] == "shuffled-labels") & (rows["layer"] == 2)]["value"]
    own = rows[(rows["experiment"] == "layer") & (rows["layer"] == 2)].iloc[0]
    assert table.loc[2, "selectivity"] == pytest.approx(control.mean() - own["value"])
    assert table.loc[2, "selectivity_low"] < control.mean() - own["high"]  # of all layers at once
    assert (table["over_random_low"] < table["over_random"]).all()
    assert (table["over_random_high"] > table["over_random"]).all()
    assert np.allclose(table["over_random"], table["random"] - table["eer"])
    assert table["trivial"].nunique() == 1
    assert "random" not in selectivity(run, split="dev")
    pd.testing.assert_frame_equal(selectivity(run.folder, str(random.folder)), table)


def test_controls_that_are_missing_are_told(tmp_path: Path) -> None:
    bare = swept(tmp_path, "bare", control_seeds=())
    with pytest.raises(ProbeError, match="control_seeds=3"):
        selectivity(bare)
    run = swept(tmp_path, "a")
    with pytest.raises(ProbeError, match="Expected eval or dev"):
        selectivity(run, split="test")
    fewer = swept(
        tmp_path, "fewer", change=lambda table: table[table["utterance_id"] != "eval-00-é"]
    )
    with pytest.raises(ProbeError, match="other utterances"):
        selectivity(run, fewer)


def test_selectivity_of_a_number_is_of_its_own_metric_and_above_0_where_the_layer_knows_it(
    tmp_path: Path,
) -> None:
    def ages(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(
            age=[f"{age:.2f}" for age in np.random.default_rng(3).uniform(20, 80, len(table))]
        )

    def planted(table: pd.DataFrame) -> np.ndarray:
        return np.outer((table["age"].astype(float) - 50) / 17, np.ones(6))

    options = SweepOptions(
        strengths=(0.1,),
        resamples=100,
        control_seeds=(0, 1),
        depths=DepthOptions(heads=()),
        target=TargetOptions(target="age"),
    )
    caches = [
        write_cache(
            tmp_path / name,
            change=ages,
            planted=planted,
            separation=apart,
            random_weights=name == "random",
        )
        for name, apart in (("trained", (0.0, 1.0, 3.0, 0.5)), ("random", (0.0, 0.0, 0.0, 0.0)))
    ]
    run, random = (
        sweep(cache, tmp_path / f"{cache.name}.run", options, say=lambda text: None)
        for cache in caches
    )
    table = selectivity(run, random)
    assert "eer" not in table
    assert table["selectivity"].idxmax() == table["r2"].idxmax() == 2
    assert np.allclose(table["selectivity"], table["r2"] - table["shuffled"])
    assert (table["selectivity_low"] < table["selectivity"]).all()
    assert (table["selectivity_high"] > table["selectivity"]).all()
    assert table.loc[2, ["selectivity_low", "over_trivial", "over_random_low"]].min() > 0.3

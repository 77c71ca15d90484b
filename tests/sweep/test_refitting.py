"""Intervals that include the training say what another training set gives."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planted import plant
from scipy.stats import norm

from cache import Cache, ProbeError
from probing.metrics import eer
from probing.sweep import DepthOptions, SweepOptions, sweep
from probing.sweep.fitting import fit_probes
from probing.sweep.linear import add_scores, features_of
from probing.sweep.refitting import Refits, with_training

OPTIONS = SweepOptions(
    strengths=(1e-2,), control_seeds=(), resamples=400, depths=DepthOptions(heads=())
)
N_TRAIN = 60


def test_refits_vary_as_training_sets_do(tmp_path: Path) -> None:
    """Truth: many training sets of the same kind, and an eval set so large that only they make the
    EERs differ.
    """
    n_sets = 30
    folder = plant(
        tmp_path / "c", {1: 2.0}, n_layers=1, n=(n_sets * N_TRAIN, 40, 2000), correlation=0
    )
    splits = OPTIONS.splits(Cache(folder))
    train, dev = splits["train"], splits["dev"]
    rates, estimates = [], []
    for i in range(n_sets):
        some = slice(i * N_TRAIN, (i + 1) * N_TRAIN)
        part = replace(train, table=train.table.iloc[some], target=train.bonafide[some])
        refits = Refits({**splits, "train": part}, "auto", OPTIONS.strengths, 0)
        if i < 5:
            shifts = refits.shifts(1)["eval"]
            assert abs(shifts.mean()) < 1e-12
            estimates.append(shifts.std())
        features = {
            name: features_of(split, 1, split.table)
            for name, split in (("train", part), ("dev", dev))
        }
        (probe,) = fit_probes(
            features, [{"train": part.bonafide, "dev": dev.bonafide}], OPTIONS.strengths
        )
        add_scores(1, [probe], "eval", splits["eval"])
        rates.append(norm.ppf(eer(splits["eval"].bonafide, probe.scores["eval"])))
    assert 0.6 < np.mean(estimates) / np.std(rates, ddof=1) < 1.6


def test_an_interval_with_the_training_is_wider_and_the_figure_is_the_same(tmp_path: Path) -> None:
    plant(tmp_path / "c", {1: 2.0}, n_layers=2, n=(N_TRAIN, 40, 400))
    plain = sweep(tmp_path / "c", tmp_path / "a", OPTIONS, say=lambda text: None)
    options = replace(OPTIONS, interval_includes=("training",))
    wide = sweep(tmp_path / "c", tmp_path / "b", options, say=lambda text: None)
    one, other = (
        run.results[run.results["experiment"] == "layer"].reset_index(drop=True)
        for run in (plain, wide)
    )
    pd.testing.assert_series_equal(one["value"], other["value"])
    pd.testing.assert_series_equal(one["strength"], other["strength"])
    assert ((other["low"] <= other["value"]) & (other["value"] <= other["high"])).all()
    assert (other["high"] - other["low"]).mean() > 1.03 * (one["high"] - one["low"]).mean()
    assert "over training sets (50 refits)" in wide.record["intervals"]
    assert "and over 50 training sets." in wide.sentence
    assert "training sets" not in plain.sentence
    assert "other training speakers or first weights are not in it" in plain.record["intervals"]
    assert "interval_includes" not in plain.record["options"]
    again = sweep(tmp_path / "c", tmp_path / "d", options, say=lambda text: None)
    assert again.results.equals(wide.results)


def test_rates_stay_within_0_and_1(tmp_path: Path) -> None:
    split = OPTIONS.splits(Cache(plant(tmp_path / "c", {1: 2.0}, n_layers=1)))["eval"]
    moved = with_training(np.array([0.0, 0.0, 1.0, 0.5]), np.array([-3.0, 3.0]), split)
    assert ((moved > 0) & (moved < 1)).all()
    assert moved[1] > moved[0]


def test_what_intervals_cannot_include_is_refused() -> None:
    with pytest.raises(ProbeError, match="interval_includes=seeds: expected training"):
        SweepOptions(interval_includes=("seeds",))

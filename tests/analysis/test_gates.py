"""Gates against their start, and how far seeds agree."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.runs.gates import gate_agreement, gate_changes, kendall_w
from analysis.runs.loading import load
from cache import ProbeError
from probing.runs import Run


def test_concordance_is_that_of_its_definition() -> None:
    assert kendall_w(np.tile([1.0, 2, 3, 4], (3, 1))) == 1
    assert kendall_w(np.array([[1.0, 2, 3], [3, 2, 1]])) == 0
    # Siegel and Castellan 1988, three judges of six: ranks 1 6 3 2 5 4, 1 5 6 4 2 3, 6 3 2 5 4 1; R
    # = 8 14 11 11 11 8
    judged = np.array([[1, 6, 3, 2, 5, 4], [1, 5, 6, 4, 2, 3], [6, 3, 2, 5, 4, 1]], float)
    assert kendall_w(judged) == pytest.approx(12 * 25.5 / (9 * (216 - 6)))
    tied = np.array([[1.0, 1, 2], [5.0, 5, 9]])
    assert kendall_w(tied) == pytest.approx(1)
    generator = np.random.default_rng(0)
    by_chance = [kendall_w(generator.normal(size=(4, 12))) for _ in range(300)]
    assert np.mean(by_chance) == pytest.approx(1 / 4, abs=0.02)
    for nothing in (
        np.ones((1, 3)),
        np.ones((3, 1)),
        np.ones((3, 4)),
        np.array([[1, np.nan], [1, 2]]),
    ):
        assert np.isnan(kendall_w(nothing))


def test_what_starts_even_changes_from_even_and_gates_from_their_own_start(run: Run) -> None:
    table = gate_changes(run)
    sums = table.groupby(["head", "metric", "seed"])[["share", "start", "change"]].sum()
    assert np.allclose(sums, [100, 100, 0])
    weights = table[(table["head"] == "weighted-sum+linear") & (table["metric"] == "weight")]
    assert np.allclose(weights["start"], 100 / 3)
    gates = table[table["metric"] == "gate"]
    assert set(gates["head"]) == {"attentive-compact+linear"}
    assert gates.groupby("seed")["start"].std().min() > 0
    found = gate_agreement(run)
    gate = found.loc[("attentive-compact+linear", "gate")]
    assert gate["seeds"] == 2
    assert 0 <= gate["kendall_w"] <= 1
    assert -1 <= gate["start_low"] <= gate["start_high"] <= 1
    assert found.loc[("weighted-sum+linear", "weight")][["start_low", "start_high"]].isna().all()


def test_gates_that_no_head_has_are_told_with_what_has_them(run: Run) -> None:
    fixed = load(run.folder)
    fixed.results = fixed.results[fixed.results["head"] != "attentive-compact+linear"]
    with pytest.raises(
        ProbeError,
        match=r"its heads \(.*\) have no gates\. Sweep such as have: probe sweep .*--heads sls",
    ):
        analysis.gate_curve(fixed)
    with pytest.raises(ProbeError, match=r"nothing is known of 'label=odd'\. Expected one of all"):
        analysis.gate_curve(run, condition="label=odd")


def test_a_run_without_the_start_of_gates_is_drawn_as_shares_with_a_warning(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = load(run.folder)
    old.results = old.results[old.results["metric"] != "gate_start"]
    ax = analysis.gate_curve(old)
    shown = {str(line.get_label()): np.asarray(line.get_ydata(), float) for line in ax.get_lines()}
    gates = shown["attentive-compact+linear: gate"]
    assert gates.sum() == pytest.approx(0)
    assert np.abs(gates).max() > 0
    caption = " ".join(" ".join(text.get_text() for text in ax.texts).split())
    assert "gates may show their random start" in caption
    assert gate_changes(old).query("metric == 'gate'")["change"].isna().all()
    assert isinstance(gate_agreement(old), pd.DataFrame)

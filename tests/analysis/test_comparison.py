"""A comparison says what paired tests show, and refuses what cannot be compared."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hand_made import SEPARATION, write_cache
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import analysis
from analysis.plots.pareto import pareto_frontier
from analysis.runs.paired import holm
from cache import ProbeError
from probing.metrics import compare as paired
from probing.metrics import difference_p, draw, eer_resamples
from probing.runs import Run
from probing.sweep import DepthOptions, SweepOptions, sweep

OPTIONS = SweepOptions(resamples=100, strengths=(0.1,), control_seeds=())
QUICK = replace(OPTIONS, control_seeds=(0,), depths=DepthOptions(heads=()))


def test_pairs_are_tested_on_the_same_resamples_of_the_same_trials(made: tuple[Run, Run]) -> None:
    found = analysis.compare(made, resamples=300, seed=3)
    trials = [
        run.trials(f"linear-layer-{run.record['finding']['layer']:02d}")
        .set_index("utterance_id")
        .sort_index()
        for run in made
    ]
    bonafide = (trials[0]["label"] == "bonafide").to_numpy()
    drawn = draw(bonafide, trials[0]["speaker"], n=300, seed=3)
    expected = paired(bonafide, trials[0]["score"], trials[1]["score"].loc[trials[0].index], drawn)
    row = found.pairs.iloc[0]
    sign = 1 if row["first"] == "hand made" else -1
    assert sign * row["difference"] == pytest.approx(100 * expected.difference.value)
    ends = sorted(100 * sign * np.array([expected.difference.low, expected.difference.high]))
    assert [row["low"], row["high"]] == pytest.approx(ends)
    resampled = [
        eer_resamples(bonafide, table["score"].loc[trials[0].index], drawn) for table in trials
    ]
    p = difference_p(expected.difference.value, resampled[0] - resampled[1], drawn)
    assert row["p"] == pytest.approx(p)
    assert (row["p"] < 0.05) == (row["low"] > 0 or row["high"] < 0)
    assert list(found.table["eer"]) == sorted(found.table["eer"])
    assert found.table["best"].sum() == pytest.approx(100)
    assert found.table["rank"].sum() == pytest.approx(3)
    assert (found.table["rank_low"] <= found.table["rank"]).all()


@pytest.mark.parametrize("drawing", [{"resamples": 5}, {"seed": -1}])
def test_a_bootstrap_that_cannot_be_drawn_is_refused_by_name(made, drawing: dict[str, int]) -> None:
    with pytest.raises(ProbeError, match=f"{next(iter(drawing))}=.*: expected"):
        analysis.compare(made, **drawing)


def test_a_backbone_that_is_better_is_shown_to_be(run: Run, tmp_path: Path) -> None:
    poor = sweep(
        write_cache(tmp_path / "c", separation=SEPARATION[:1], name="poor", made="poorly"),
        tmp_path / "r",
        QUICK,
        say=lambda text: None,
    )
    good = sweep(
        write_cache(tmp_path / "d", name="good"), tmp_path / "q", QUICK, say=lambda text: None
    )
    found = analysis.compare([poor, good])
    assert found.pairs["shown"].all()
    assert found.sentence.startswith("good has the lowest EER of 2 on hand: ")
    assert "Shown: good below poor by" in found.sentence
    assert list(found.ranked.index) == ["good", "poor"]
    assert found.ranked["layer"].tolist() == ["2 of 3", "0 of 0"]
    assert "good" in found._repr_html_()


def test_a_backbone_is_not_shown_to_be_better_than_itself(run: Run) -> None:
    found = analysis.compare([run, run])
    assert found.pairs["p_adjusted"].tolist() == [1.0]
    assert "No difference is shown" in found.sentence
    assert found.table["rank"].tolist() == [1.5, 1.5]


def test_heads_are_compared_at_full_depth(made: tuple[Run, Run]) -> None:
    found = analysis.compare(made, head="mean+linear", resamples=100)
    assert "full depth (mean+linear)" in found.sentence
    shared = r"All of these runs have: linear, .*mean\+linear"
    refused = rf"head=man\+linear: .* has no such head at full depth\. Did you mean .*{shared}"
    with pytest.raises(ProbeError, match=refused):
        analysis.compare(made, head="man+linear")


@pytest.mark.parametrize(
    ("cache", "options", "message"),
    [
        (
            {"change": lambda table: table[table["utterance_id"] != "eval-01-é"]},
            {},
            r"of eval: train 30 \+ 30",
        ),
        (
            {"change": lambda table: table.assign(speaker="one")},
            {},
            "labels or speakers of train, dev, eval",
        ),
        ({"crop": "first 4 s"}, {}, "cropping: None and first 4 s"),
        ({"resampler": "soxr 9"}, {}, "resampler: None and soxr 9"),
        ({}, {"strengths": (0.2,)}, r"strengths: \[0.1\] and \[0.2\]"),
        ({}, {"interval_by": "utterance"}, "interval_by: auto and utterance"),
        ({}, {"dev": "eval", "eval": "dev"}, "splits: dev: dev and eval, eval: "),
    ],
)
def test_runs_of_another_protocol_are_refused_with_the_reason(
    run: Run, tmp_path: Path, cache: dict, options: dict, message: str
) -> None:
    made = write_cache(tmp_path / "c", **cache)
    other = sweep(made, tmp_path / "r", replace(QUICK, **options), say=lambda text: None)
    with pytest.raises(
        ProbeError, match=r"cannot be compared: their protocols differ in"
    ) as refusal:
        analysis.compare([run, other])
    assert re.search(message, str(refusal.value)), refusal.value


def test_one_run_is_nothing_to_compare(run: Run) -> None:
    with pytest.raises(ProbeError, match="1 run: expected two or more"):
        analysis.compare([run])


def test_the_pareto_picture_needs_costs_and_shows_them(made: tuple[Run, Run]) -> None:
    with pytest.raises(ProbeError, match="no run has measured costs"):
        analysis.compare(made).pareto()
    loaded = analysis.load_many(made)
    for factor, run in enumerate(loaded, 1):
        figures = {"parameters": 5e6, "macs": 1e9 * factor, "latency_ms": 1.0}
        rows = [
            {
                "experiment": "cost",
                "split": "",
                "metric": metric,
                "depth": depth,
                "value": value * (1 + depth),
            }
            for depth in range(4)
            for metric, value in figures.items()
        ]
        run.results = pd.concat([run.results, pd.DataFrame(rows)], ignore_index=True)
    found = analysis.compare(loaded)
    layers = found.table["best_layer"].to_numpy()
    factors = [1 + found.runs.names.index(name) for name in found.table.index]
    assert found.table["gmacs"].tolist() == pytest.approx(list(factors * (1 + layers)))
    ax = found.pareto()
    assert "multiply-accumulates" in ax.get_xlabel()
    assert {"hand made", "another <b>"} <= {text.get_text() for text in ax.get_legend().get_texts()}


@given(arrays(float, st.integers(1, 12), elements=st.floats(0, 1)))
def test_holm_never_lowers_a_p_value_and_rejects_as_the_step_down_procedure(p: np.ndarray) -> None:
    adjusted = holm(p)
    assert (adjusted >= p - 1e-12).all()
    assert (adjusted <= 1).all()
    rejected = []
    for place, i in enumerate(np.argsort(p, kind="stable")):
        if p[i] * (len(p) - place) >= 0.05:
            break
        rejected.append(i)
    assert set(np.flatnonzero(adjusted < 0.05)) == set(rejected)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=12))
def test_nothing_on_the_frontier_is_beaten(points: list[tuple[int, int]]) -> None:
    table = pd.DataFrame(points, columns=["gmacs", "eer"]).astype(float)
    kept = {(row.gmacs, row.eer) for row in pareto_frontier(table).itertuples()}
    expected = {
        (x, y)
        for x, y in points
        if not any((a <= x and b <= y) and (a < x or b < y) for a, b in points)
    }
    assert kept == expected


def test_a_run_evaluated_elsewhere_too_is_compared_on_any_corpus_that_both_have(
    run: Run, cache_folder: Path, tmp_path: Path
) -> None:
    elsewhere = write_cache(tmp_path / "elsewhere.cache", seed=5, corpus_name="elsewhere")
    options = replace(QUICK, eval=("eval", str(elsewhere)))
    wide = [
        sweep(cache_folder, tmp_path / name, options, say=lambda text: None)
        for name in ("one", "two")
    ]
    assert analysis.compare([wide[0], run]).pairs["difference"].item() == 0, (
        "the same probes on the first corpus"
    )
    found = analysis.compare(wide, corpus="elsewhere")
    assert "on elsewhere" in found.sentence
    expected = (
        analysis.load(wide[0], "elsewhere")
        .layers.query("split == 'eval' and layer == 2")["eer"]
        .item()
    )
    assert found.table["eer"].iloc[0] == pytest.approx(expected)
    for kind, ax in (
        ("det", analysis.det_curve(analysis.load(wide[0], "elsewhere"))),
        ("rank", found.ranking()),
    ):
        assert "elsewhere" in ax.get_title(loc="left"), kind
        assert wide[0].record["cache"] in "".join(text.get_text() for text in ax.texts), kind
    told = analysis.selectivity(wide[0], random=wide[1])
    assert told.index.is_unique
    scores = pd.DataFrame({"good": -told["eer"]})
    assert analysis.predicts(wide[0], scores)["kendall"].item() == pytest.approx(1)
    with pytest.raises(ProbeError, match=r"not evaluated on 'elsewhere', only on hand"):
        analysis.compare([wide[0], run], corpus="elsewhere")

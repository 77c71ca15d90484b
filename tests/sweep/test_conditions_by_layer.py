"""Results by condition and on attacks left out of the training, per layer: the rows are those
recomputed by hand.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hand_made import write_cache
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from analysis.plots.layers import save_corpora_curve, save_layer_curve
from analysis.reports.report import condition_table, save_report
from cache import Cache, ProbeError
from probing.metrics import draw, eer, eer_resamples, rate_interval
from probing.metrics.decomposition import decompose
from probing.runs import Run
from probing.scores.files import read_scores
from probing.sweep import DepthOptions, SweepOptions, sweep

OPTIONS = SweepOptions(
    resamples=100,
    strengths=(1e-3, 1e-1),
    control_seeds=(),
    depths=DepthOptions(heads=()),
    by=("attack", "codec"),
    unseen_attacks=True,
)


def with_codecs(table: pd.DataFrame) -> pd.DataFrame:
    codec = np.array(["none", "opus", "gsm"])[np.arange(len(table)) // 2 % 3]
    return table.assign(codec=np.where(table["label"] == "bonafide", codec, np.roll(codec, 2)))


def elsewhere(table: pd.DataFrame) -> pd.DataFrame:
    table = table.assign(utterance_id="x" + table["utterance_id"])
    return table.assign(attack=table["attack"].replace({"A01": "A09"}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("conditions") / "c.cache", change=with_codecs)


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    other = write_cache(
        folder.with_name("other.cache"), seed=1, change=elsewhere, corpus_name="other"
    )
    options = replace(OPTIONS, eval=("eval", f"{other}:eval"))
    return sweep(folder, folder.with_name("c.run"), options, say=lambda text: None)


def test_by_condition_rows_are_those_of_the_official_decomposition(run: Run) -> None:
    rows = run.rows("by-condition")
    for layer in (0, 2):
        scores = read_scores(run.folder / "scores" / f"linear-layer-{layer:02d}.eval.txt")
        table = Cache(run.record["cache_folder"]).utterances.merge(
            scores[["utterance_id", "score"]]
        )
        expected = (
            decompose(table, ["attack", "codec"]).set_index(["attack", "codec"])["eer"].dropna()
        )
        of_layer = rows[rows["layer"] == layer].set_index("condition")["value"]
        assert len(of_layer) == len(expected) - 1
        for (attack, codec), value in expected.items():
            named = {"attack": attack, "codec": codec}
            name = ",".join(
                f"{column}={value}" for column, value in named.items() if value != "pooled"
            )
            if name:
                assert of_layer[name] == pytest.approx(value, abs=1e-9)
    assert {"attack=A00", "codec=opus", "attack=A00,codec=gsm"} <= set(rows["condition"])


def test_a_column_that_a_corpus_does_not_have_is_passed_over_there(run: Run) -> None:
    conditions = set(run.rows("by-condition", corpus="other")["condition"])
    assert conditions == {"attack=A00", "attack=A02", "attack=A09"}
    counts = run.record["conditions"]
    assert counts["other"]["attack=A09"] == {"bonafide": 30, "spoof": 10}
    assert counts["hand"]["codec=opus"]["bonafide"] == 10


def test_intervals_are_those_of_the_conditions_own_trials(run: Run) -> None:
    scores = read_scores(run.folder / "scores" / "linear-layer-02.eval.txt")
    table = Cache(run.record["cache_folder"]).utterances.merge(scores[["utterance_id", "score"]])
    table = table[(table["label"] == "bonafide") | (table["attack"] == "A02")]
    bonafide = (table["label"] == "bonafide").to_numpy()
    drawn = draw(bonafide, table["speaker"], n=100, seed=0)
    expected = rate_interval(
        eer(bonafide, table["score"]), eer_resamples(bonafide, table["score"], drawn), drawn
    )
    rows = run.rows("by-condition")
    found = rows[(rows["layer"] == 2) & (rows["condition"] == "attack=A02")].iloc[0]
    assert (found["value"], found["low"], found["high"]) == pytest.approx(
        (expected.value, expected.low, expected.high), abs=1e-6
    )


@pytest.mark.parametrize("attack", ["A00", "A01"])
def test_unseen_rows_are_those_of_probes_trained_without_the_attack(run: Run, attack: str) -> None:
    cache = Cache(run.record["cache_folder"])
    for layer in (1, 2):
        data = {}
        for part in ("train", "dev", "eval"):
            x, table = cache.layer(layer, where={"split": part})
            data[part] = (
                x.reshape(len(x), -1),
                (table["label"] == "bonafide").to_numpy(),
                table["attack"].to_numpy(),
            )
        probes, rates = {}, {}
        for strength in OPTIONS.strengths:
            x, y, attacks = data["train"]
            probe = make_pipeline(
                StandardScaler(),
                LogisticRegression(C=strength, class_weight="balanced", tol=1e-10, max_iter=1000),
            )
            probes[strength] = probe.fit(x[attacks != attack], y[attacks != attack])
            x, y, attacks = data["dev"]
            rates[strength] = eer(
                y[attacks != attack], probe.decision_function(x[attacks != attack])
            )
        chosen = min(OPTIONS.strengths, key=lambda c: (rates[c], c))
        for part in ("dev", "eval"):
            x, y, attacks = data[part]
            measured = y | (attacks == attack)
            expected = eer(y[measured], probes[chosen].decision_function(x[measured]))
            rows = run.rows("unseen-attack", part)
            rows = rows[
                (rows["layer"] == layer) & (rows["condition"] == f"attack={attack}")
            ].set_index("metric")
            assert rows.loc["eer", "value"] == pytest.approx(expected, abs=1e-9)
            assert rows.loc["eer", "strength"] == chosen
            excess = rows.loc["eer", "value"] - rows.loc["eer_seen", "value"]
            assert rows.loc["eer_excess", "value"] == pytest.approx(excess)
            assert rows.loc["eer_excess", "low"] <= excess <= rows.loc["eer_excess", "high"]


def test_the_seen_figure_is_that_by_condition(run: Run) -> None:
    seen = run.rows("unseen-attack")
    seen = seen[seen["metric"] == "eer_seen"].set_index(["layer", "condition"])["value"]
    by = run.rows("by-condition").set_index(["layer", "condition"])["value"].reindex(seen.index)
    assert np.allclose(seen, by)
    assert len(seen) == 4 * 3


def test_an_attack_is_measured_wherever_it_is(run: Run) -> None:
    other = run.rows("unseen-attack", corpus="other")
    assert set(other["condition"]) == {"attack=A00", "attack=A02"}
    means = run.record["unseen_attacks"]["means"]
    assert set(means) == {"dev of hand", "eval of hand", "eval of other"}
    rows = other[(other["layer"] == 2) & (other["metric"] == "eer")]
    assert means["eval of other"]["2"]["eer"] == pytest.approx(rows["value"].mean())
    assert (
        "Attacks left out of the training, eval of other: layer 2 has a mean EER of "
        in run.sentence
    )


def test_the_same_whatever_the_memory(run: Run, folder: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, eval=("eval", f"{folder.with_name('other.cache')}:eval"))
    again = sweep(folder, tmp_path / "r", options, memory_gb=1e-5, say=lambda text: None)
    pd.testing.assert_frame_equal(again.results, run.results, atol=1e-6)


def test_rows_are_there_once_and_the_report_shows_them(run: Run) -> None:
    key = ["experiment", "head", "layer", "depth", "seed", "split", "corpus", "condition", "metric"]
    assert not run.results.duplicated(key).any()
    table = condition_table(run, "unseen-attack", "dev", "hand")
    assert list(table.index) == ["A00", "A01", "A02"]
    assert table.index.name == "attack"
    assert list(table.columns) == ["0", "1", "2", "3"]
    save_layer_curve(run)
    save_corpora_curve(run)
    page = Path(save_report(run)).read_text()
    assert "On an attack left out of the training, eval of other" in page
    assert "By condition, eval of hand" in page


def one_attack(part: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        only = table["attack"].where(
            (table["split"] != part) | (table["label"] == "bonafide"), "A00"
        )
        return table.assign(attack=only)

    return change


@pytest.mark.parametrize(
    ("options", "part", "message"),
    [
        (
            {"by": ("vocoder",), "unseen_attacks": False},
            "",
            "by=vocoder: no evaluated cache has such a column. They have: .*attack",
        ),
        (
            {"by": (), "unseen_attacks": True},
            "train",
            "unseen_attacks=True: without A00, train of hand has no spoofed",
        ),
        (
            {"by": (), "unseen_attacks": True},
            "dev",
            "unseen_attacks=True: without A00, dev of hand has no spoofed",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    options: dict, part: str, message: str, tmp_path: Path
) -> None:
    folder = write_cache(tmp_path / "c.cache", change=one_attack(part))
    with pytest.raises(ProbeError, match=message):
        sweep(folder, tmp_path / "r", replace(OPTIONS, **options))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.cache"]

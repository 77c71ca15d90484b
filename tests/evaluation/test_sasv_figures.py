"""Scores of trials that claim a speaker: every form, joint and tandem, keys that name what is
wrong, conditions.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_extraction import run_cli

from cache import ProbeError
from probing.evaluation import (
    are_of_sasv,
    evaluate_sasv,
    read_keys,
    read_scores,
    read_trials,
    read_verification_trials,
    sasv_trials,
)
from probing.metrics.sasv import ASVSPOOF5_ASV, a_dcf, t_eer
from probing.metrics.tdcf import asv_rates, legacy_min_tdcf

SCORES = {"cm-score": 2, "asv-score": 3, "sasv-score": 4}


@pytest.fixture(scope="module")
def track_2() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The full key table as ASVspoof 5 has it, and the scores of a tandem system in
    another order.
    """
    generator = np.random.default_rng(0)
    n = 600
    utterance = np.arange(n) // 2  # every utterance in two trials
    spoof = utterance % 5 < 2
    kind = np.where(spoof, "spoof", np.where(np.arange(n) % 2 == 0, "target", "nontarget"))
    keys = pd.DataFrame(
        {
            "tar_spk_anon": [f"E_{i % 12:04d}" for i in range(n)],
            "trial_anon": [f"E_{i:010d}" for i in utterance],
            "asv-label": kind,
            "cm-label": np.where(spoof, "spoof", "bonafide"),
            "attack_anon": np.where(spoof, np.array(["A17", "A18"])[utterance % 2], "bonafide"),
            "codec": np.array(["-", "C01"])[utterance // 5 % 2],
            "track_2_tag": np.where(utterance < 4, "dummy", "eval"),
        }
    )
    cm = (generator.normal(size=300) - 2)[utterance] + 2 * ~spoof
    asv = generator.normal(size=n) + 2.5 * (kind == "target") + 2 * spoof
    scores = pd.DataFrame(
        {
            "spk": keys["tar_spk_anon"],
            "filename": keys["trial_anon"],
            "cm-score": cm,
            "asv-score": asv,
        }
    )
    scores["sasv-score"] = np.minimum(cm + 2, asv)
    return keys, scores.sample(frac=1, random_state=0)


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(
        table: pd.DataFrame, name: str = "scores.tsv", separator: str = "\t", header: bool = True
    ) -> Path:
        table.to_csv(tmp_path / name, sep=separator, index=False, header=header)
        return tmp_path / name

    return written


def read(
    write: Write, keys: pd.DataFrame, scores: pd.DataFrame, asv: pd.DataFrame | None = None
) -> pd.DataFrame:
    known = read_keys(write(keys, "keys.tsv", " "))
    table = read_trials(write(scores))
    by_trial = None if asv is None else read_verification_trials(write(asv, "asv.tsv"))
    assert are_of_sasv(table, known, by_trial)
    return sasv_trials(table, known, by_trial)


def test_joint_and_tandem_scores_have_the_figures_of_their_trials(write: Write, track_2) -> None:
    keys, scores = track_2
    kept = keys[keys["track_2_tag"] != "dummy"]
    ordered = kept.merge(
        scores, left_on=["tar_spk_anon", "trial_anon"], right_on=["spk", "filename"]
    )
    kinds, cm, asv, joint = (ordered[name] for name in ("asv-label", *SCORES))
    t_dcf = legacy_min_tdcf(kinds != "spoof", cm, ASVSPOOF5_ASV)
    wanted = {"a_dcf": a_dcf(kinds, joint), "t_eer": t_eer(kinds, asv, cm), "min_tdcf": t_dcf}
    halves = (
        scores[["spk", "filename", "asv-score"]],
        scores[["filename", "cm-score"]].drop_duplicates(),
    )
    for trials, names in [
        (read(write, keys, scores), ["a_dcf", "t_eer", "min_tdcf"]),
        (read(write, keys, scores[["spk", "filename", "sasv-score"]]), ["a_dcf"]),
        (
            read(write, keys, scores[["spk", "filename", "cm-score", "asv-score"]]),
            ["t_eer", "min_tdcf"],
        ),
        (read(write, keys, halves[1], halves[0]), ["t_eer", "min_tdcf"]),
        (
            read(
                write,
                keys.rename(columns={"tar_spk_anon": "spk", "trial_anon": "filename"}),
                scores,
            ),
            ["a_dcf"],
        ),
    ]:
        row = evaluate_sasv(trials, resamples=100).table.iloc[0]
        assert {name: row[name] for name in names} == pytest.approx(
            {name: wanted[name] for name in names}, abs=1e-12
        )
        for name in set(names) - {"min_tdcf"}:
            assert 0 <= row[f"{name}_low"] < row[name] < row[f"{name}_high"] <= 1
        assert "t_eer" in names or "t_eer" not in row or "a_dcf" in names


def test_the_form_of_the_a_dcf_package_carries_its_keys(write: Write, track_2) -> None:
    keys, scores = track_2
    table = scores.merge(keys, left_on=["spk", "filename"], right_on=["tar_spk_anon", "trial_anon"])
    # a file may begin with spoofs, whose key says nothing of what it is
    table = table.sort_values("asv-label")
    for order in (table, table[::-1]):
        file = write(
            order[["spk", "filename", "sasv-score", "asv-label"]], "a.txt", " ", header=False
        )
        found = evaluate_sasv(sasv_trials(read_trials(file)), resamples=100)
        assert found.table["a_dcf"][0] == pytest.approx(
            a_dcf(table["asv-label"], table["sasv-score"]), abs=1e-12
        )
    assert "by speaker (12 bona fide, 12 spoof)" in found.drawn
    with pytest.raises(ProbeError, match="scores of speaker verification trials"):
        read_scores(file)


def test_an_attack_meets_all_targets_and_a_codec_only_its_own(write: Write, track_2) -> None:
    trials = read(write, *track_2)
    found = evaluate_sasv(trials, ["attack", "codec"], resamples=100)
    table = found.table.set_index(["attack", "codec"])
    assert len(table) == 9
    for (attack, codec), row in table.iterrows():
        rows = trials[
            (attack == "pooled") | (trials["attack"] == attack) | (trials["label"] == "bonafide")
        ]
        rows = rows[(codec == "pooled") | (rows["codec"] == codec)]
        assert row["n_spoof"] == (rows["asv_label"] == "spoof").sum()
        assert row["a_dcf"] == a_dcf(rows["asv_label"], rows["sasv_score"])
        assert row["t_eer"] == t_eer(rows["asv_label"], rows["asv_score"], rows["cm_score"])
    few = trials[(trials["attack"] != "A18") | (trials["attack"] == "A18").cumsum().lt(4)]
    found = evaluate_sasv(few, ["attack"], resamples=100)
    assert found.left_out == ("A18 (178 target, 178 nontarget, 3 spoof)",)
    assert np.isnan(found.table.set_index("attack").loc["A18", "a_dcf"])


def test_the_t_dcf_takes_the_verification_system_that_is_named(write: Write, track_2) -> None:
    keys, scores = track_2
    other = scores[["spk", "filename", "asv-score"]].assign(
        **{"asv-score": -scores["cm-score"] + scores["asv-score"] * 3}
    )
    trials = read(write, keys, scores, other)
    assert trials["asv_score"].ne(trials["verification_score"]).all()
    asv = trials.rename(columns={"asv_label": "key", "verification_score": "score"})
    table = evaluate_sasv(trials, ["codec"], asv, resamples=100).table.set_index("codec")
    rows = trials[trials["codec"] == "C01"]
    rates = asv_rates(rows["asv_label"], rows["verification_score"])
    assert table.loc["C01", "min_tdcf"] == legacy_min_tdcf(
        rows["label"] == "bonafide", rows["cm_score"], rates
    )


def test_two_joint_systems_are_compared_on_the_same_trials(write: Write, track_2) -> None:
    trials = read(write, *track_2)
    worse = trials.assign(sasv_score=np.random.default_rng(0).normal(size=len(trials))).sample(
        frac=1, random_state=1
    )
    found = evaluate_sasv(trials, against=worse, resamples=100)
    assert found.difference is not None
    assert found.difference.high < 0
    assert found.difference.value == found.table["a_dcf"][0] - a_dcf(
        worse["asv_label"], worse["sasv_score"]
    )
    same = evaluate_sasv(trials, against=trials, resamples=100).difference
    assert same is not None
    assert (same.value, same.low, same.high) == (0, 0, 0)
    with pytest.raises(ProbeError, match="against: 1 trials are in one file only"):
        evaluate_sasv(trials, against=worse[1:])
    with pytest.raises(ProbeError, match="against: its scores are of another kind"):
        evaluate_sasv(trials, against=worse.drop(columns="sasv_score"))


def test_what_is_wrong_with_trials_is_named(write: Write, track_2) -> None:
    keys, scores = track_2
    unknown = scores.copy()
    unknown.iloc[0, 1] = "X"
    claimed = f"{scores['spk'].iloc[0]} X"
    for wrong_scores, wrong_keys, message in [
        (
            scores[scores["filename"] != keys["trial_anon"].iloc[-1]],
            keys,
            "2 of 600 trials have no score in the scores",
        ),
        (
            unknown,
            keys,
            "1 of 600 trials have a score and are not in the keys: "
            f"{claimed}.* leave the others out, .* keys=FILE",
        ),
        (
            scores[7:],
            keys,
            r"7 of 600 trials .* and 2 more\. "
            r"Score them all, or name the keys of those .*, keys=FILE",
        ),
        (
            pd.concat([scores, scores[:1]]),
            keys,
            r"line 602: utterance_id .* it was on line 2 already",
        ),
        (
            scores.astype(object).replace(scores.iloc[3, 3], "nan"),
            keys,
            "line 5: asv_score 'nan'; expected a finite",
        ),
        (scores, pd.concat([keys, keys[-1:]]), "in the keys more than once"),
        (
            scores,
            keys.replace("nontarget", "impostor"),
            "asv_label 'impostor'; expected one of target, nontarget",
        ),
        (
            scores,
            keys.assign(**{"cm-label": "spoof"}),
            "label 'spoof'; its asv_label says otherwise",
        ),
        (
            scores[["filename", "sasv-score"]].drop_duplicates("filename"),
            keys,
            "Expected a column spk",
        ),
    ]:
        with pytest.raises(ProbeError, match=message):
            read(write, wrong_keys, wrong_scores)
    trials = read(write, keys, scores)
    for wrong, message in [
        (trials[trials["asv_label"] != "nontarget"], "0 nontarget, .* Expected all three kinds"),
        (
            trials.drop(columns=["cm_score", "sasv_score"]),
            "trials with asv_score only. Expected sasv-score for the a-DCF",
        ),
    ]:
        with pytest.raises(ProbeError, match=message):
            evaluate_sasv(wrong, resamples=100)
    with pytest.raises(ProbeError, match="carry no keys"):
        sasv_trials(read_trials(write(scores)))
    with pytest.raises(ProbeError, match="keys have no column asv-label"):
        sasv_trials(
            read_trials(write(scores)), read_keys(write(keys.drop(columns="asv-label"), "k.tsv"))
        )


def test_the_command_takes_trials_and_utterances_by_one_key_table(
    write: Write, track_2, monkeypatch, capsys, tmp_path
):
    keys, scores = track_2
    known = ["--keys", str(write(keys, "keys.tsv", " ")), "--resamples", "100"]
    words = [
        "evaluate",
        str(write(scores)),
        *known,
        "--by",
        "codec",
        "--out",
        str(tmp_path / "out"),
    ]
    assert run_cli(words, monkeypatch) == 0
    output = capsys.readouterr()
    assert "8 of 600 trials are dummies by their track_2_tag, and left out" in output.err
    assert "with the verification system of the organisers of ASVspoof 5" in output.out
    table = pd.read_csv(tmp_path / "out" / "evaluation.csv")
    assert table["codec"].tolist() == ["pooled", "-", "C01"]
    assert f"t-EER {100 * table['t_eer'][0]:.2f} %" in output.out
    assert (tmp_path / "out" / "det.png").exists()
    utterances = write(scores[["filename", "cm-score"]].drop_duplicates(), "cm.tsv")
    assert run_cli(["evaluate", str(utterances), *known], monkeypatch) == 0
    output = capsys.readouterr()
    assert "600 trials of the keys are of 300 utterances" in output.err
    assert "on 180 bona fide + 120 spoof" in output.out

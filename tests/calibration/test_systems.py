"""Score files are calibrated and fused by id, and what does not fit together is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_extraction import run_cli

from probing.calibration.stored import read_calibration
from probing.calibration.systems import calibrate_systems, system_of_files
from probing.evaluation import read_keys
from probing.metrics import cllr, eer, min_dcf
from probing.metrics.calibration import min_cllr
from probing.scores.files import read_scores, write_scores


def trials(part: str, n: int = 120) -> pd.DataFrame:
    labels = np.where(np.arange(n) % 3 == 0, "bonafide", "spoof")
    names = [f"{part}-{i}" for i in range(n)]
    return pd.DataFrame({"utterance_id": names, "label": labels, "attack": "-"})


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """a and b: scores of two systems on dev and eval, b in another order; and keys of both."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    for part in ("dev", "eval"):
        table = trials(part)
        bonafide = table["label"].eq("bonafide").to_numpy()
        for name, scale in (("a", 3.0), ("b", 0.2)):
            scores = scale * generator.normal(2.0 * bonafide) + 4
            order = generator.permutation(len(table)) if name == "b" else np.arange(len(table))
            write_scores(f"{name}.{part}.txt", table.iloc[order], scores[order])
            write_scores(f"{name}.{part}.bare", table.iloc[order], scores[order], "2021")
    keys = pd.concat([trials(part).assign(split=part) for part in ("dev", "eval")])
    keys.to_csv("keys.csv", index=False)
    bare = [pd.read_csv(f"a.{part}.bare", sep=" ", header=None) for part in ("dev", "eval")]
    pd.concat(bare).to_csv("a.both.bare", sep=" ", header=False, index=False)
    return tmp_path


def figures(folder: str) -> pd.DataFrame:
    return pd.read_csv(Path(folder) / "calibration.csv").set_index(["system", "part", "of"])


def test_two_files_are_fused_by_id(files: Path, monkeypatch, capsys) -> None:
    words = [
        "calibrate",
        "a.dev.txt",
        "b.dev.txt",
        "--eval",
        "a.eval.txt",
        "--eval",
        "b.eval.txt",
        "--out",
        "f",
    ]
    assert run_cli(words, monkeypatch) == 0
    text = capsys.readouterr().out
    table = figures("f")
    for name in ("a", "b"):
        assert (
            table.loc[(name, "eval", "calibrated"), "cllr"]
            < table.loc[(name, "eval", "scores"), "cllr"]
        )
        assert (
            table.loc[(name, "eval", "calibrated"), "eer"]
            == table.loc[(name, "eval", "scores"), "eer"]
        )
        assert (
            table.loc[("fused", "dev", "calibrated"), "cllr"]
            < table.loc[(name, "dev", "calibrated"), "cllr"]
        )
    systems, made = read_calibration(files / "f" / "calibration.json")
    assert systems == ["a", "b"]
    joined = read_scores("a.eval.txt").merge(
        read_scores("b.eval.txt"), on=["utterance_id", "label"]
    )
    expected = made.apply(joined[["score_x", "score_y"]].to_numpy().T)
    written = read_scores("f/eval.txt")
    assert written["utterance_id"].tolist() == joined["utterance_id"].tolist()
    np.testing.assert_allclose(written["score"], expected, rtol=1e-6)
    assert table.loc[("fused", "eval", "calibrated"), "cllr"] == cllr(
        joined["label"].eq("bonafide"), expected
    )
    assert "x a" in text
    assert sorted(path.name for path in (files / "f").iterdir())[:2] == [
        "calibration.csv",
        "calibration.json",
    ]


def test_keys_say_what_scores_without_labels_are(files: Path) -> None:
    known = read_keys(Path("keys.csv"))
    dev, evaluated = Path("a.dev.bare"), Path("a.eval.bare")
    made = [
        system_of_files(Path("a.dev.txt"), Path("a.eval.txt")),
        system_of_files(dev, evaluated, known),
        system_of_files(dev, evaluated, known.drop(columns="split")),
        system_of_files(Path("a.both.bare"), known=known),
    ]
    found = [calibrate_systems([system]).table["cllr"].to_numpy() for system in made]
    for again in found[1:]:
        np.testing.assert_array_equal(again, found[0])


def test_what_does_not_fit_together_is_refused(files: Path, monkeypatch, capsys) -> None:
    table = trials("dev")
    write_scores("few.dev.txt", table.iloc[:50], np.arange(50.0))
    turned = table.assign(label=table["label"].map({"bonafide": "spoof", "spoof": "bonafide"}))
    write_scores("turned.dev.txt", turned, np.arange(120.0))
    write_scores("one.dev.txt", table[table["label"] == "spoof"], np.arange(80.0))
    for message, words in {
        "have a score of one of a and few only, as dev-": ["a.dev.txt", "few.dev.txt"],
        "other labels for the same utterances": ["a.dev.txt", "turned.dev.txt"],
        "expected both classes": ["one.dev.txt"],
        "carry no labels": ["a.dev.bare"],
        "utterances are in both": ["a.dev.txt", "--eval", "a.dev.txt"],
        "--eval a.eval.txt: given 1 times for 2 files": [
            "a.dev.txt",
            "b.dev.txt",
            "--eval",
            "a.eval.txt",
        ],
        "expected one of them": ["a.dev.bare", "--keys", "keys.csv", "--corpus", "keys.csv"],
        "--prior 1: expected": ["a.dev.txt", "--prior", "1"],
        "--head x: is for runs": ["a.dev.txt", "--head", "x"],
        "none.txt: no such file. Expected a score file": ["none.txt"],
        "gone.txt: no such file. Expected a score file": [
            "a.dev.txt",
            "--eval",
            "gone.txt",
        ],
        "a multiple of those of others": ["a.dev.txt", "a.dev.txt"],
    }.items():
        assert run_cli(["calibrate", *words, "--out", "none"], monkeypatch) == 2, message
        assert message in " ".join(capsys.readouterr().err.split())
    assert not (files / "none").exists()


def test_without_eval_the_figures_are_said_to_be_too_good(files: Path, monkeypatch, capsys) -> None:
    assert run_cli(["calibrate", "a.dev.txt"], monkeypatch) == 0
    assert "of what it was made on, and too good" in " ".join(capsys.readouterr().err.split())


def test_scores_that_are_turned_on_dev_keep_their_own_figures(
    files: Path, monkeypatch, capsys
) -> None:
    table = read_scores("a.dev.txt")
    write_scores("turned.txt", table, -table["score"], "2019")
    evaluated = read_scores("a.eval.txt")
    assert (
        run_cli(["calibrate", "turned.txt", "--eval", "a.eval.txt", "--out", "t"], monkeypatch) == 0
    )
    shown = capsys.readouterr()
    row = next(line.split() for line in shown.out.splitlines() if line.split()[1:2] == ["eval"])
    bonafide, scores = evaluated["label"].eq("bonafide"), evaluated["score"]
    expected = [f"{100 * eer(bonafide, scores):.2f}", f"{min_cllr(bonafide, scores):.4f}"]
    assert row[2:6] == [*expected, f"{cllr(bonafide, scores):.4f}", "1.0000"]
    assert row[6] == f"{min_dcf(bonafide, scores):.4f}"
    assert "so that every likelihood ratio is 1." in shown.err
    assert "The ratios cost" not in shown.err
    assert shown.err.count("Note: ") == 1

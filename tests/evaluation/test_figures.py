"""Evaluation of score files: every form, joins that name what is wrong, conditions as official
packages have them.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from metrics.published import ATTACKS, SCORES, needs_scores
from small_extraction import run_cli
from typer.testing import CliRunner

from analysis.commands.app import app
from analysis.plots.det import det_curves
from analysis.plots.style import MOST_DRAWN
from cache import ProbeError
from probing.evaluation import evaluate, join, read_keys, read_scores, read_verification
from probing.metrics import asv_rates, eer, legacy_min_tdcf, revised_min_tdcf
from probing.metrics.decomposition import MOST_CONDITIONS, decompose

LA_KEYS = """\
s1 u1 alaw ita_tx A07 spoof notrim eval
s1 u2 none - A08 spoof notrim eval
s2 u3 alaw ita_tx bonafide bonafide notrim eval
s2 u4 none - bonafide bonafide notrim eval
s2 u5 none - bonafide bonafide notrim progress
"""
LA_SCORES = "u5 9\nu1 -1.5\nu2 0.5\nu3 2\nu4 0.25\n"


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.fixture
def synthetic() -> pd.DataFrame:
    """Trials with two attacks and two codecs, and a column both classes have."""
    generator = np.random.default_rng(0)
    n = 400
    label = np.where(np.arange(n) < 150, "bonafide", "spoof")
    attack = np.where(label == "bonafide", "-", generator.choice(["A1", "A2"], n))
    score = generator.normal(size=n) + 2 * (label == "bonafide") + (attack == "A2")
    ids = [f"u{i}" for i in range(n)]
    codec = generator.choice(["none", "opus"], n)
    return pd.DataFrame(
        {"utterance_id": ids, "label": label, "attack": attack, "codec": codec, "score": score}
    )


@pytest.mark.parametrize(
    ("name", "text", "columns"),
    [
        ("2019.txt", "LA_0039 u1 - A11 spoof\nLA_0040 u2 - - bonafide\n", {"attack": "A11"}),
        (
            "la.txt",
            "s u1 alaw x A07 spoof notrim eval\ns u2 none - bonafide bonafide notrim eval\n",
            {"codec": "alaw"},
        ),
        (
            "df.txt",
            "s u1 mp3 asv A07 spoof notrim eval neural t - - en\ns u2 "
            "m4a asv - real notrim eval - - - - -\n",
            {"compression": "mp3", "vocoder": "neural"},
        ),
        (
            "5.tsv",
            "s u1 F C05 2 x AC1 A26 spoof -\ns u2 F - - - - - bonafide -\n",
            {"attack": "A26", "codec": "C05"},
        ),
        ("5b.tsv", "filename\tcm-label\nu1\tspoof\nu2\tbonafide\n", {}),
        ("own.csv", "utterance_id,label,room\nu1,fake,big\nu2,bona-fide,small\n", {"room": "big"}),
    ],
)
def test_every_form_of_keys_is_read(
    tmp_path: Path, name: str, text: str, columns: dict[str, str]
) -> None:
    table = read_keys(written(tmp_path / name, text))
    assert table["utterance_id"].tolist() == ["u1", "u2"]
    assert table["label"].tolist() == ["spoof", "bonafide"]
    for column, value in columns.items():
        assert table[column].iloc[0] == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("u1 A1 - spoof\n", "line 1: 4 fields; expected `speaker utterance_id"),
        (
            "s u1 - A07 spoof\n\ns u2 - - genuin\n",
            "line 3: label 'genuin'; expected bonafide or spoof",
        ),
        ("", "no keys. Expected"),
    ],
)
def test_keys_of_no_form_are_refused_with_the_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProbeError, match=message):
        read_keys(written(tmp_path / "keys.txt", text))
    with pytest.raises(ProbeError, match=r"cannot be read as keys .*No such file"):
        read_keys(tmp_path / "none.txt")


def test_scores_of_one_class_are_refused_with_their_number(tmp_path, capsys, monkeypatch):
    (tmp_path / "s.txt").write_text("a - bonafide 1\nb - bonafide 0\n")
    assert run_cli(["evaluate", str(tmp_path / "s.txt")], monkeypatch) == 2
    assert (
        "trials to evaluate: 2 bonafide. Expected bona fide and spoofed ones"
        in capsys.readouterr().err
    )


def test_more_conditions_than_can_be_computed_are_refused_before_and_many_are_not_drawn(
    tmp_path, capsys, monkeypatch
):
    def scores(n):
        lines = [
            f"u{i} {f'A{i // 10}' if i % 2 else '-'} {('bonafide', 'spoof')[i % 2]} {i % 7}\n"
            for i in range(n)
        ]
        (tmp_path / "s.txt").write_text("".join(lines))

    command = ["evaluate", str(tmp_path / "s.txt"), "--by", "attack", "--resamples", "100"]
    scores(10 * MOST_CONDITIONS)
    assert run_cli(command, monkeypatch) == 2
    assert f"--by attack: {MOST_CONDITIONS + 1:,} conditions" in capsys.readouterr().err
    scores(10 * (MOST_DRAWN + 1))
    assert run_cli([*command, "--out", str(tmp_path / "out")], monkeypatch) == 0
    assert f"{MOST_DRAWN + 1} conditions are too many to draw" in capsys.readouterr().out
    assert len(pd.read_csv(tmp_path / "out" / "evaluation.csv")) == MOST_DRAWN + 2


FULL_TABLE = """\
spk filename asv-label cm-label attack_anon codec codec_q gender track_2_tag seed
E_1 u1 spoof spoof AC1 C05 2 M x -
E_2 u2 target bonafide bonafide - - F x -
"""


def test_keys_of_asvspoof_5_are_read_in_every_form(tmp_path: Path) -> None:
    forms = {
        "6": "E_1 u1 M - A26 spoof\nE_2 u2 F - bonafide bonafide\n",
        "10": "E_1 u1 M C05 2 E_9 AC1 A26 spoof -\nE_2 u2 F - - - - bonafide bonafide -\t\n",
        "track 1": "filename\tcm-label\t\nu1\tspoof\t\nu2\tbonafide\t\n",
        "full": FULL_TABLE,
        "full, as renamed": FULL_TABLE.replace("spk filename", "tar_spk_anon trial_anon"),
    }
    for name, text in forms.items():
        keys = read_keys(written(tmp_path / "keys.tsv", text))
        assert dict(keys[["utterance_id", "label"]].to_numpy()) == {
            "u1": "spoof",
            "u2": "bonafide",
        }, name
        assert name == "track 1" or keys["attack"][0] in ("A26", "AC1")
        # that of a trial is the one claimed
        assert "speaker" in keys if name in ("6", "10") else "speaker" not in keys
    assert keys["codec"].tolist() == ["C05", "-"]


@pytest.mark.parametrize(
    ("scored", "known"),
    [("u{}.flac", "u{}"), ("flac/u{}.wav", "u{}"), ("u{}", "u{}.wav"), ("u{}", "a/u{}.flac")],
)
def test_ids_that_differ_by_suffix_or_folder_are_joined_and_that_is_said(
    scored: str, known: str
) -> None:
    keys = pd.DataFrame(
        {"utterance_id": map(known.format, (1, 2)), "label": ["spoof", "bonafide"], "score": "9"}
    )
    scores = pd.DataFrame({"utterance_id": map(scored.format, (2, 1)), "score": [1.0, 0.0]})
    messages: list[str] = []
    joined = join(scores, keys, say=messages.append)
    assert joined["utterance_id"].tolist() == [known.format(1), known.format(2)]
    assert joined["score"].tolist() == [0.0, 1.0]
    assert f"as {scored.format(2)} with {known.format(2)}" in messages[0]
    other = pd.concat([keys, keys.assign(utterance_id=["x/u1", "x/u2"])])
    with pytest.raises(ProbeError, match=f"which are called as {known.format(1)}"):
        join(scores.assign(utterance_id=["u3.flac", "u1.flac"]), other)


def test_turned_scores_are_said_to_be_turned(synthetic: pd.DataFrame) -> None:
    right = evaluate(synthetic, resamples=100)
    turned = evaluate(synthetic.assign(score=-synthetic["score"]), resamples=100)
    assert "turned" not in right.sentence
    assert (
        f"looks turned: turned back, their EER is {100 * right.eer.value:.2f} %" in turned.sentence
    )
    assert "turned" not in evaluate(synthetic.assign(score=0.0), resamples=100).sentence


@pytest.mark.parametrize("name", ["eer", "eer_low", "n_spoof", "score"])
def test_a_column_called_as_a_figure_is_not_decomposed_by(
    synthetic: pd.DataFrame, name: str
) -> None:
    with pytest.raises(ProbeError, match=f"by={name}: a figure is called so"):
        evaluate(synthetic.assign(**({} if name == "score" else {name: "x"})), [name])


def test_a_join_takes_the_eval_subset_and_any_order(tmp_path: Path) -> None:
    scores = read_scores(written(tmp_path / "scores.txt", LA_SCORES))
    keys = read_keys(written(tmp_path / "keys.txt", LA_KEYS))
    assert dict(join(scores, keys)[["utterance_id", "score"]].to_numpy()) == {
        "u1": -1.5,
        "u2": 0.5,
        "u3": 2,
        "u4": 0.25,
    }
    assert join(scores, keys, "progress")["utterance_id"].tolist() == ["u5"]


def test_a_join_names_what_is_missing_double_unknown_or_contradictory() -> None:
    keys = pd.DataFrame({"utterance_id": ["a", "b"], "label": ["spoof", "bonafide"]})
    scores = pd.DataFrame({"utterance_id": ["a", "b"], "score": [0.0, 1.0]})
    many = pd.DataFrame({"utterance_id": list("012345678"), "score": 0.0})
    for wrong, known, message in [
        (scores[:1], keys, "1 of 2 utterances have no score: b"),
        (pd.concat([scores, scores[:1]]), keys, "in the scores more than once: a"),
        (scores, pd.concat([keys, keys[1:]]), "in the keys more than once: b"),
        (scores, keys[:1], "not in the corpus or keys: b"),
        (scores.assign(label="spoof"), keys, "another label in the scores: b"),
        (scores, None, "corpus=SPEC or keys=FILE"),
        (
            many,
            keys,
            r"not in the corpus or keys: 0, 1, 2, 3, 4 and 4 more\. "
            r"Expected .*, corpus=SPEC or keys=FILE",
        ),
    ]:
        with pytest.raises(ProbeError, match=message):
            join(wrong, known)
    with pytest.raises(ProbeError, match="split=eval: the keys have no column split"):
        join(scores, keys, "eval")
    with pytest.raises(ProbeError, match="no such split, only eval"):
        join(scores, keys.assign(split="eval"), "dev")


def test_verification_scores_of_2021_are_joined_with_their_keys_by_row(tmp_path: Path) -> None:
    kept = "s u1-alaw alaw x bonafide target notrim eval\n", "s u3 alaw x A07 spoof notrim eval\n"
    keys = kept[0] + "s u2 none x bonafide nontarget notrim progress\n" + kept[1]
    scores = written(tmp_path / "score.txt", "s u1 3\ns u2 2\ns u3 1\n")
    table = read_verification(scores, written(tmp_path / "keys.txt", keys), "eval")
    assert table[["codec", "key", "score"]].to_numpy().tolist() == [
        ["alaw", "target", 3],
        ["alaw", "spoof", 1],
    ]
    with pytest.raises(ProbeError, match=r"asv_keys=trial_metadata\.txt"):
        read_verification(scores)
    spaced = written(tmp_path / "spaced.txt", "\ns u1 3\n\ns u2 2\ns u3 1\n")
    pd.testing.assert_frame_equal(read_verification(spaced, tmp_path / "keys.txt", "eval"), table)
    with pytest.raises(ProbeError, match="line 2: score 'inf'; expected a finite number"):
        read_verification(written(tmp_path / "inf.txt", "- target 1\n- nontarget inf\n"))
    with pytest.raises(ProbeError, match="1 rows for the 3"):
        read_verification(scores, written(tmp_path / "keys.txt", kept[0]))


def test_an_attack_meets_all_bona_fide_trials_and_a_codec_only_its_own(
    synthetic: pd.DataFrame,
) -> None:
    table = decompose(synthetic, ["attack", "codec"]).set_index(["attack", "codec"])
    assert len(table) == 9
    bonafide = synthetic["label"] == "bonafide"
    for attack in ("A1", "A2", "pooled"):
        for codec in ("none", "opus", "pooled"):
            of_attack = bonafide | (synthetic["attack"] == attack) | (attack == "pooled")
            rows = synthetic[of_attack & ((synthetic["codec"] == codec) | (codec == "pooled"))]
            row = table.loc[(attack, codec)]
            assert row["n_bonafide"] == (rows["label"] == "bonafide").sum()
            assert row["n_spoof"] == (rows["label"] == "spoof").sum()
            assert row["eer"] == eer(rows["label"] == "bonafide", rows["score"])
    forced = decompose(synthetic, ["codec"], kinds={"codec": "spoof"})
    assert (forced["n_bonafide"] == bonafide.sum()).all()


def test_the_weights_of_the_revised_cost_are_those_of_the_condition(
    synthetic: pd.DataFrame,
) -> None:
    generator = np.random.default_rng(1)
    key = np.repeat(["target", "nontarget", "spoof"], 100)
    attack = np.where(key == "spoof", generator.choice(["A1", "A2"], 300), "bonafide")
    score = generator.normal(size=300) + 3 * (key == "target") + 2 * (attack == "A2")
    asv = pd.DataFrame({"key": key, "attack": attack, "score": score})
    table = decompose(synthetic, ["attack"], asv).set_index("attack")
    chosen, rows = asv[asv["attack"] != "A1"], synthetic[synthetic["attack"] != "A1"]
    bonafide = rows["label"] == "bonafide"
    assert table.loc["A2", "revised_min_tdcf"] == revised_min_tdcf(
        bonafide, rows["score"], asv_rates(chosen["key"], chosen["score"])
    )
    assert table.loc["A2", "legacy_min_tdcf"] == legacy_min_tdcf(
        bonafide, rows["score"], asv_rates(key, score)
    )
    assert decompose(synthetic, ["codec"], asv)["revised_min_tdcf"].isna().tolist() == [
        False,
        True,
        True,
    ]


def test_a_condition_of_one_class_has_no_figures(synthetic: pd.DataFrame) -> None:
    synthetic.loc[(synthetic["label"] == "bonafide"), "codec"] = "none"
    table = decompose(synthetic, ["codec"]).set_index("codec")
    assert table.loc["opus", "n_bonafide"] == 0
    assert np.isnan(table.loc["opus", "eer"])
    with pytest.raises(ProbeError, match="by=room: no such column"):
        decompose(synthetic, ["room"])


def test_speakers_are_drawn_where_they_are_known(synthetic: pd.DataFrame) -> None:
    assert evaluate(synthetic, resamples=100).unit == "utterance"
    found = evaluate(
        synthetic.assign(speaker=[f"s{i % 9}" for i in range(400)]), ["attack"], resamples=100
    )
    assert found.unit == "speaker"
    assert found.eer.low <= found.eer.value <= found.eer.high
    assert list(found.curves(["attack"])) == ["pooled", "A1", "A2"]
    assert len(det_curves(found.curves(["attack"])).lines) == 4
    with pytest.raises(ProbeError, match="resamples=10"):
        evaluate(synthetic, resamples=10)


def test_every_condition_has_an_interval_and_any_column_can_be_drawn(
    synthetic: pd.DataFrame,
) -> None:
    found = evaluate(synthetic, ["attack"], interval_by="utterance", resamples=200)
    assert found.unit == "utterance"
    assert (
        (found.table["eer_low"] <= found.table["eer"])
        & (found.table["eer"] <= found.table["eer_high"])
    ).all()
    assert (found.eer.low, found.eer.high) == tuple(found.table.loc[0, ["eer_low", "eer_high"]])
    wide = evaluate(synthetic.assign(half=synthetic.index % 2), interval_by="half", resamples=200)
    assert (wide.unit, wide.eer.value) == ("half", found.eer.value)
    with pytest.raises(ProbeError, match="interval_by=sex: no such column"):
        evaluate(synthetic, interval_by="sex")


def test_two_systems_are_compared_on_the_same_trials_only(synthetic: pd.DataFrame) -> None:
    shuffled = synthetic.sample(frac=1.0, random_state=0)
    same = evaluate(synthetic, against=shuffled, resamples=200).comparison
    assert same is not None
    assert (
        same.difference.value,
        same.difference.low,
        same.difference.high,
        same.first_better,
    ) == (0, 0, 0, 0.5)
    worse = synthetic.assign(score=np.random.default_rng(0).normal(size=len(synthetic)))
    found = evaluate(synthetic, against=worse, resamples=200)
    assert found.comparison is not None
    assert found.comparison.difference.high < 0
    assert "may be chance" not in found.sentence
    with pytest.raises(ProbeError, match="against: 1 trials are in one file only"):
        evaluate(synthetic, against=synthetic.iloc[1:])
    with pytest.raises(ProbeError, match="against: 1 trials are in one file only"):
        evaluate(synthetic.iloc[1:], against=synthetic)


def test_the_command_prints_and_stores(tmp_path: Path) -> None:
    scores = written(tmp_path / "scores.txt", LA_SCORES)
    keys = written(tmp_path / "keys.txt", LA_KEYS)
    words = [
        "evaluate",
        str(scores),
        "--keys",
        str(keys),
        "--by",
        "attack,codec",
        "--out",
        str(tmp_path / "out"),
    ]
    shown = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    assert "on 2 bona fide + 2 spoof" in shown.output
    table = pd.read_csv(tmp_path / "out" / "evaluation.csv")
    assert table["n_spoof"].tolist()[:3] == [2, 1, 1]
    assert (tmp_path / "out" / "det.png").read_bytes().startswith(b"\x89PNG")
    both = CliRunner().invoke(
        app, ["evaluate", str(scores), "--keys", str(keys), "--corpus", "demo"]
    )
    assert isinstance(both.exception, ProbeError)


def test_the_command_takes_a_corpus(tmp_path: Path) -> None:
    demo = pd.read_csv(Path(__file__).parents[2] / "probing" / "corpora" / "demo" / "demo.csv")
    demo = demo[demo["split"] == "eval"]
    demo = demo.assign(score=np.random.default_rng(0).normal(size=len(demo)))
    names = (
        demo["utterance_id"] if "utterance_id" in demo else demo["path"].str.rsplit(".", n=1).str[0]
    )
    demo.assign(utterance_id=names)[["utterance_id", "score"]].to_csv(
        tmp_path / "scores.csv", index=False
    )
    shown = CliRunner().invoke(
        app, ["evaluate", str(tmp_path / "scores.csv"), "--corpus", "demo", "--by", "attack"]
    )
    assert shown.exit_code == 0, (shown.output, shown.exception)
    assert f"{(demo['label'] == 'spoof').sum()} spoof" in shown.output


@needs_scores
def test_published_scores_by_attack_give_the_published_figures() -> None:
    trials = join(read_scores(SCORES / "rawgat_mul.eval.txt.gz"))
    asv = read_verification(SCORES / "asvspoof2019_la.asv.eval.txt.gz")
    table = decompose(trials, ["attack"], asv).set_index("attack")
    pooled = table.loc["pooled"]
    assert pooled["official_eer"] == pytest.approx(0.01060134752, abs=1e-8)
    assert pooled["legacy_min_tdcf"] == pytest.approx(0.033538947, abs=1e-8)
    assert pooled["revised_min_tdcf"] == pytest.approx(0.094167831, abs=1e-8)
    assert pooled["min_dcf"] == pytest.approx(0.029893113, abs=1e-8)
    assert pooled["act_dcf"] == pytest.approx(0.044395365, abs=1e-8)
    assert pooled["cllr"] == pytest.approx(0.066251950, abs=1e-8)
    assert (100 * table["official_eer"]).drop("pooled").round(4).to_dict() == pytest.approx(ATTACKS)
    assert (table["n_bonafide"] == 7355).all()


@needs_scores
def test_the_command_shows_the_published_figures_to_their_last_digit() -> None:
    words = ["evaluate", str(SCORES / "rawgat_mul.eval.txt.gz"), "--resamples", "100"]
    words += ["--asv-scores", str(SCORES / "asvspoof2019_la.asv.eval.txt.gz")]
    shown = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    pooled = next(line for line in shown.stdout.splitlines() if "7,355" in line).split()
    for figure in ("63,882", "1.0601", "0.033539", "0.094168", "0.029893", "0.044395", "0.066252"):
        assert figure in pooled


def test_the_printed_table_shows_every_figure_however_narrow_the_terminal(tmp_path: Path) -> None:
    rows = [
        f"u{i} {'-' if i % 2 else 'A07'} {'bonafide' if i % 2 else 'spoof'} {i % 5 + i % 2}"
        for i in range(40)
    ]
    scores = written(tmp_path / "scores.txt", "".join(f"{row}\n" for row in rows))
    for columns in ("40", "250"):
        result = CliRunner().invoke(
            app,
            ["evaluate", str(scores), "--by", "attack", "--resamples", "100"],
            env={"COLUMNS": columns},
        )
        assert result.exit_code == 0, result.output
        assert "\u2026" not in result.stdout
        assert "revised min tdcf" in result.stdout


def test_a_condition_of_few_trials_has_no_figures_and_is_named(
    tmp_path: Path, capsys, monkeypatch
) -> None:
    attacks = ["A1"] * 20 + ["A2"] * 4 + ["A3"]
    lines = [f"b{i} - bonafide {i % 7}\n" for i in range(20)]
    lines += [f"s{i} {attack} spoof {i % 5 - 2}\n" for i, attack in enumerate(attacks)]
    (tmp_path / "s.txt").write_text("".join(lines))
    found = evaluate(join(read_scores(tmp_path / "s.txt")), ["attack"], resamples=100)
    table = found.table.set_index("attack")
    assert table.loc[["A2", "A3"], ["eer", "eer_low", "eer_high", "min_dcf"]].isna().all(axis=None)
    assert table.loc[["pooled", "A1"], ["eer", "eer_low", "eer_high"]].notna().all(axis=None)
    assert list(table["n_spoof"]) == [25, 20, 4, 1]
    assert found.left_out == ("A2 (4 spoof, 20 bona fide)", "A3 (1 spoof, 20 bona fide)")
    assert set(found.curves(["attack"])) == {"pooled", "A1"}
    command = ["evaluate", str(tmp_path / "s.txt"), "--by", "attack", "--resamples", "100"]
    assert run_cli(command, monkeypatch) == 0
    assert (
        "fewer than 5 trials of a class: A2 (4 spoof, 20 bona fide); A3" in capsys.readouterr().out
    )


@pytest.mark.parametrize("speaker", ["NA", "nan", "None", "unknown", "-", ""])
def test_an_unknown_speaker_is_no_cluster(speaker: str) -> None:
    trials = pd.DataFrame(
        {"utterance_id": [f"u{i}" for i in range(40)], "label": ["bonafide", "spoof"] * 20}
    )
    trials = trials.assign(
        score=np.arange(40) % 9, speaker=[speaker, *(f"s{i}" for i in range(39))]
    )
    assert evaluate(trials, resamples=100).unit == "utterance"
    assert evaluate(trials.iloc[1:], resamples=100).unit == "speaker"


def test_one_voice_has_the_interval_of_its_utterances() -> None:
    generator = np.random.default_rng(0)
    trials = pd.DataFrame(
        {"utterance_id": [f"u{i}" for i in range(80)], "label": ["bonafide", "spoof"] * 40}
    )
    trials = trials.assign(
        score=generator.normal(size=80) + (trials["label"] == "bonafide"), speaker="LJ"
    )
    one, single = (
        evaluate(trials, interval_by=unit, resamples=100) for unit in ("auto", "utterance")
    )
    assert one.eer == single.eer
    assert one.eer.high - one.eer.low > 0.05
    assert "by utterance, since the bona fide and spoof trials are of one speaker" in one.sentence

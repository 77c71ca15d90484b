"""A trained head scores a cache, audio, and audio from its exported folder alike."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from resealed import edit, reseal
from small_extraction import machine, quiet, run_cli, write_clips
from tiny_models import build

from cache import Cache, ProbeError
from probing.corpora import load_corpus
from probing.exits import ExitPolicy, confidences, exit_trials, find_exits
from probing.extraction import Options, extract
from probing.runs import Run
from probing.scores.files import read_scores
from probing.scores.names import FORMS, Form
from probing.serving import choose_head, export, open_exported
from probing.serving.matching import check_matching
from probing.sweep import SweepOptions, sweep
from probing.sweep.options import DepthOptions

OTHERWISE = "off"  # the small model's own preprocessor normalises


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model, its cache of 16 clips, and a run of it."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("serving")
    write_clips(folder / "audio")
    rows = [
        {
            "path": f"audio/{path.name}",
            "utterance_id": path.stem.replace(" ", "_"),
            "label": ("bonafide", "spoof")[i % 2],
        }
        for i, path in enumerate(sorted((folder / "audio").iterdir()))
    ]
    splits = ["train"] * 8 + ["dev"] * 4 + ["eval"] * 4
    pd.DataFrame(rows).assign(split=splits).to_csv(folder / "c.csv", index=False)
    options = Options(str(build("wavlm", folder / "model")), max_seconds=0.8)
    cache = extract(
        folder / "c.cache", load_corpus(str(folder / "c.csv")), options, machine(), say=quiet
    )
    depths = DepthOptions(
        heads=("weighted-sum+linear",), seeds=(0, 1), epochs=2, weight_decays=(0.1,)
    )
    what = SweepOptions(strengths=(0.1,), control_seeds=(), resamples=100, depths=depths)
    sweep(cache, folder / "c.run", what, say=quiet)
    return folder


def probe(place: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.chdir(place)
    return run_cli(list(arguments), monkeypatch)


@pytest.mark.parametrize("head", ["weighted-sum+linear-depth-02", "linear-layer-02"])
def test_all_ways_give_the_scores_of_the_sweep(
    head: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    kept = pd.concat(
        [read_scores(place / f"c.run/scores/{head}.{part}.txt") for part in ("dev", "eval")]
    )
    stored = kept.set_index("utterance_id")["score"]
    exported = str(tmp_path / "small")
    assert (
        probe(place, monkeypatch, "export", "c.run", exported, "--depth", "2", "--head", head) == 0
    )
    ways = {
        "cache": ["c.run", "c.cache", "--head", head],
        "audio": ["c.run", "audio", "--head", head],
        "exported, audio": [exported, "audio"],
        "exported, cache": [exported, "c.cache"],
    }
    for way, arguments in ways.items():
        assert probe(place, monkeypatch, "score", *arguments, "--out", str(tmp_path / "s.txt")) == 0
        found = read_scores(tmp_path / "s.txt").set_index("utterance_id")
        assert len(found) == 16
        assert np.abs(found["score"][stored.index] - stored).max() < 1e-4, way
        text = capsys.readouterr().out
        assert ("EER of eval" in text) == ("cache" in way)
        if "cache" in way:
            assert set(found["label"]) == {"bonafide", "spoof"}
        else:
            assert "label" not in found


@pytest.mark.parametrize("form", FORMS)
def test_probe_evaluate_reads_what_probe_score_writes(
    form: Form,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    head, file = ["--head", "linear-layer-02"], str(tmp_path / "s.txt.gz")
    given = ["c.run", "c.cache", *head, "--split", "eval", "--form", form, "--out", file]
    assert probe(place, monkeypatch, "score", *given) == 0
    said = re.search(r"EER of eval: ([\d.]+) %", capsys.readouterr().out)
    known = [] if form == "2019" else ["--corpus", "c.csv"]
    assert (
        probe(
            place,
            monkeypatch,
            "evaluate",
            file,
            *known,
            "--resamples",
            "100",
            "--out",
            str(tmp_path / "e"),
        )
        == 0
    )
    value = pd.read_csv(tmp_path / "e" / "evaluation.csv")["eer"].iloc[0]
    assert said is not None
    assert f"{100 * value:.2f}" == said[1]
    if form != "2019":
        assert (
            probe(
                place, monkeypatch, "score", "c.run", "audio", *head, "--form", form, "--out", file
            )
            == 0
        )
        assert len(read_scores(file)) == 16


@pytest.mark.parametrize("labels", [None, ["up", "down"] * 8])
def test_a_corpus_with_other_labels_or_none_is_scored_and_not_evaluated(
    labels: list[str] | None,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    table = pd.read_csv(place / "c.csv").drop(columns="label")
    (table if labels is None else table.assign(label=labels)).to_csv(
        place / "free.csv", index=False
    )
    what = [
        "score",
        "c.run",
        "--corpus",
        "free.csv",
        "--head",
        "linear-layer-02",
        "--out",
        str(tmp_path / "s.txt"),
    ]
    assert probe(place, monkeypatch, *what, "--form", "2019") == 2
    assert (
        "has utterances without label of bona fide or spoof. Type --form 2021"
        in capsys.readouterr().err
    )
    assert probe(place, monkeypatch, *what) == 0
    assert "EER" not in capsys.readouterr().out
    assert list(read_scores(tmp_path / "s.txt").columns) == ["utterance_id", "score"]


def test_a_corpus_is_scored_under_its_ids_and_evaluated(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file, head = str(tmp_path / "s.txt"), "linear-layer-02"
    table = pd.read_csv(place / "c.csv").assign(utterance_id=[f"mine-{i}" for i in range(16)])
    table.loc[3, "path"] = "audio/cut.wav"
    table["split"] = table["split"].replace({"dev": "Validation"})
    table.to_csv(place / "mine.csv", index=False)
    (place / "audio/cut.wav").write_bytes(b"RIFF")
    try:
        assert (
            probe(
                place,
                monkeypatch,
                "score",
                "c.run",
                "--corpus",
                "mine.csv",
                "--head",
                head,
                "--out",
                file,
            )
            == 0
        )
    finally:
        (place / "audio/cut.wav").unlink()
    text = capsys.readouterr()
    found = read_scores(file).set_index("utterance_id")
    assert list(found.index) == [f"mine-{i}" for i in range(16) if i != 3]
    assert "mine-3" in text.err
    stored = read_scores(place / f"c.run/scores/{head}.eval.txt")
    assert np.abs(found["score"][-4:].to_numpy() - stored["score"].to_numpy()).max() < 1e-4
    for split in ("train", "dev", "eval"):
        assert re.search(
            rf"EER of {split}: [\d.]+ % \(95 % interval .*\) on \d bona fide \+ \d spoof", text.out
        )
    for arguments in (["c.run", "audio", "--corpus", "mine.csv"], ["c.run"]):
        assert probe(place, monkeypatch, "score", *arguments, "--out", file) == 2
        assert "expected what to score" in capsys.readouterr().err
    assert (
        probe(
            place,
            monkeypatch,
            "score",
            "c.run",
            "--corpus",
            "c.csv",
            "--split",
            "test",
            "--out",
            file,
        )
        == 0
    )
    assert len(read_scores(file)) == 4


@pytest.mark.parametrize("name", ["../x", "x/../../y", "..\\x", "/etc/x"])
def test_no_name_of_a_head_leads_out_of_the_run(place: Path, tmp_path: Path, name: str) -> None:
    run = Run(place / "c.run")
    run.results = run.results.assign(
        head=run.results["head"].replace({"weighted-sum+linear": name})
    )
    with pytest.raises(ProbeError, match="no name of a file"):
        choose_head(run, 2, name)
    with pytest.raises(ProbeError, match="no name of a file"):
        run.trials(name)


def test_export_takes_the_head_of_lowest_dev_eer(place: Path, tmp_path: Path) -> None:
    run = Run(place / "c.run")
    made = export(run, tmp_path / "small", 2)
    table = run.results
    at = table[
        (table["layer"].eq(2) & table["experiment"].eq("layer")).fillna(False)
        | table["depth"].eq(2).fillna(False)
    ]
    of_models = at[(at["split"] == "dev") & ((at["experiment"] == "layer") | at["seed"].notna())]
    assert made.record["dev_eer"] == of_models["value"].min()
    assert made.record["options"]["max_seconds"] == 0.8
    assert made.load_backbone().n_layers == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small"]


def test_unusable_audio_is_told_and_left_out(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "bad.wav").write_text("no audio")
    out = str(tmp_path / "s.txt")
    assert (
        probe(
            place, monkeypatch, "score", "c.run", "audio", str(tmp_path / "bad.wav"), "--out", out
        )
        == 0
    )
    told = capsys.readouterr()
    assert "bad: not decodable" in told.err
    assert "16 scored, 1 left out" in told.out


def test_what_cannot_serve_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "a.tex").write_text("years of work")
    out = ["--out", str(tmp_path / "s.txt")]
    cases = {
        "expected 2019, 2021 or 5": ["score", "c.run", "c.cache", "--form", "2020", *out],
        "a score file is no csv": ["score", "c.run", "c.cache", "--out", str(tmp_path / "s.csv")],
        "s.xlsx: is no .xlsx. Name it .txt, .tsv or without "
        "suffix for scores; .csv or .json for verdicts": [
            *("score", "c.run", "audio", "--out", str(tmp_path / "s.xlsx")),
        ],
        "s.JSON.gz: is no .json. Name it .txt, .tsv or without suffix for scores\n": [
            *("score", "c.run", "c.cache", "--out", str(tmp_path / "s.JSON.gz")),
        ],
        "--form 7: expected 2019, 2021 or 5": ["score", "c.run", "audio", "--form", "7"],
        "--form 2021: says what --out holds": ["score", "c.run", "c.cache", "--form", "2021"],
        "--false-alarm 150%: expected a share": [
            "score",
            "c.run",
            "audio",
            "--false-alarm",
            "150%",
        ],
        "--false-alarm nan: expected a share": [
            "score",
            "c.run",
            "c.cache",
            "--false-alarm",
            "nan",
        ],
        "audio has none": ["score", "c.run", "audio", "--form", "2019", *out],
        "no audio in there": ["score", "c.run", str(tmp_path / "empty"), *out],
        "no such file or folder": ["score", "c.run", "gone.wav", *out],
        "It has: linear-layer-00, linear-layer-01": [
            "score",
            "c.run",
            "c.cache",
            "--head",
            "none",
            *out,
        ],
        "no run here": ["score", "audio", "c.cache", *out],
        "has only": ["score", "c.run", "c.cache", "--split", "test", *out],
        "--early-exit: c.run has no exits": ["score", "c.run", "audio", "--early-exit"],
        "no head of that depth. It has depths 0:3": [
            "export",
            "c.run",
            str(tmp_path / "x"),
            "--depth",
            "9",
        ],
        "needs no block": ["export", "c.run", str(tmp_path / "x"), "--depth", "0"],
        "is no exported head": ["export", "c.run", str(tmp_path / "thesis"), "--depth", "1"],
    }
    for message, arguments in cases.items():
        assert probe(place, monkeypatch, *arguments) == 2, message
        assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "thesis"]


def test_another_backbone_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = Options(str(build("hubert", tmp_path / "other")))
    extract(tmp_path / "o.cache", load_corpus(str(place / "c.csv")), options, machine(), say=quiet)
    out = str(tmp_path / "s.txt")
    assert probe(place, monkeypatch, "score", "c.run", str(tmp_path / "o.cache"), "--out", out) == 2
    hashes = [
        Cache(folder).fingerprint["backbone_weights_sha256"][:12]
        for folder in (place / "c.cache", tmp_path / "o.cache")
    ]
    text = capsys.readouterr().err
    assert all(sha256 in text for sha256 in hashes)
    run = Run(place / "c.run")
    run.record["about"]["options"]["backbone"] = str(tmp_path / "other")
    with pytest.raises(ValueError, match="Put the earlier weights back"):
        export(run, tmp_path / "small", 2)
    assert not (tmp_path / "small").exists()


def test_a_cache_made_another_way_is_refused_with_both_values(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pd.read_csv(place / "c.csv").iloc[:2].to_csv(place / "two.csv", index=False)
    out = ["--out", str(tmp_path / "s.txt")]
    ways = {
        "cropping: first 0.5 s, not first 0.8 s": Options(str(place / "model"), max_seconds=0.5),
        "normalisation of the waveform: ": Options(
            str(place / "model"), max_seconds=0.8, normalize=OTHERWISE
        ),
    }
    for i, (message, options) in enumerate(ways.items()):
        folder = tmp_path / f"{i}.cache"
        made = extract(folder, load_corpus(str(place / "two.csv")), options, machine(), say=quiet)
        assert probe(place, monkeypatch, "score", "c.run", str(folder), *out) == 2
        text = capsys.readouterr().err
        assert message in text
        if options.normalize == OTHERWISE:
            own = Cache(place / "c.cache").fingerprint["backbone_normalization"]
            assert f"{made.fingerprint['backbone_normalization']}, not {own}" in text
    assert not (tmp_path / "s.txt").exists()


def test_other_types_on_disk_are_said_and_scored(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = Options(str(place / "model"), max_seconds=0.8, pooled_dtype="float16")
    extract(tmp_path / "h.cache", load_corpus(str(place / "c.csv")), options, machine(), say=quiet)
    out = str(tmp_path / "s.txt")
    assert probe(place, monkeypatch, "score", "c.run", str(tmp_path / "h.cache"), "--out", out) == 0
    assert "types on disk" in capsys.readouterr().err


def test_a_model_that_normalises_otherwise_than_it_did_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = Run(place / "c.run")
    changed = {**run.record["about"]["options"], "normalize": OTHERWISE}
    run.record["about"]["options"] = changed
    with pytest.raises(ValueError, match="normalisation of the waveform"):
        export(run, tmp_path / "small", 2)
    assert not (tmp_path / "small").exists()


@pytest.mark.parametrize(
    "entry", [{"layer_norm_eps": 0.3}, {"hidden_act": "relu"}, {"max_bucket_distance": 50}], ids=str
)
@pytest.mark.parametrize("way", ["run", "export"])
def test_an_edited_architecture_is_refused_with_both_values(
    entry: dict[str, object], way: str, place: Path, monkeypatch, capsys, tmp_path: Path
) -> None:
    export(Run(place / "c.run"), tmp_path / "small", 2)
    folder = {"run": place / "model", "export": tmp_path / "small"}[way]
    original = (folder / "config.json").read_text()
    key, value = next(iter(entry.items()))
    try:
        (folder / "config.json").write_text(json.dumps(json.loads(original) | entry))
        reseal(folder)  # an export that is not is refused for its bytes
        where = "c.run" if way == "run" else str(folder)
        clip = str(next((place / "audio").iterdir()))
        code = probe(place, monkeypatch, "score", where, clip, "--out", str(tmp_path / "s.txt"))
    finally:
        (folder / "config.json").write_text(original)
    assert code == 2
    message = " ".join(capsys.readouterr().err.split())
    assert f"architecture of the backbone: {key} {value}, not {key} " in message
    assert not (tmp_path / "s.txt").exists()


def test_an_architecture_of_an_earlier_version_counts_where_both_say_something() -> None:
    old, new = (
        {"backbone_architecture": json.dumps(entries)} for entries in ({"a": 1}, {"a": 1, "b": 2})
    )
    assert check_matching(new, old, "here", "there") == [
        "architecture of the backbone: b is stated only for one of here and there"
    ]
    with pytest.raises(ValueError, match="architecture of the backbone: a 1, not a 2"):
        check_matching(new, {"backbone_architecture": '{"a": 2}'}, "here", "there")
    with pytest.raises(ValueError, match="architecture"):
        check_matching(new, {}, "here", "there")


def test_whatever_a_fingerprint_says_counts_unless_it_is_named_as_what_may_differ() -> None:
    known = {
        "backbone_architecture": '{"a": 1}',
        "torch": "2.13.0",
        "backbone_seed": 1,
        "backbone_blocks": "1,2,3",
    }
    same = known | {"torch": "2.14.0", "backbone_seed": 2, "backbone_blocks": "1,2"}
    assert check_matching(same, known, "here", "there") == [
        "torch of here: 2.14.0; of there: 2.13.0"
    ]
    with pytest.raises(ValueError, match="views: noise, not None of a kind"):
        check_matching(
            known | {"views": "noise"}, known | {"views": "None of a kind"}, "here", "there"
        )
    assert check_matching(known | {"views": "noise"}, known, "here", "there") == [
        "views is stated only for one of here and there"
    ]
    windows = [
        {"backbone_architecture": json.dumps({"sliding_windows": [[16, 4], last]})}
        for last in ([8, 2], [8, 3])
    ]
    first = {"backbone_architecture": json.dumps({"sliding_windows": [[16, 4]]})}
    assert check_matching(first, windows[0], "an export", "there") == []
    with pytest.raises(ValueError, match="sliding_windows"):
        check_matching(*windows, "here", "there")


def test_the_head_that_serves_is_that_of_the_findings_headline(
    place: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    run = Run(place / "c.run")
    found, layer = run.record["depth_finding"], run.record["finding"]["layer"]
    chosen = choose_head(run)
    named = found["best"] if found["reason"] == "chance" else found
    assert (chosen.about.kind, chosen.about.depth) == (
        named["head"],
        named["depth"] or found["full"],
    )
    elsewhere = {"head": found["head"], "depth": 1}
    run.record["depth_finding"] = {**found, "reason": "chance", "best": elsewhere}
    assert choose_head(run).about.name == f"{found['head']}-depth-01"
    assert export(run, tmp_path / "first").record["depth"] == 1
    run.record["depth_finding"] = {**found, "reason": "", "depth": 2, "best": elsewhere}
    assert (choose_head(run).about.kind, choose_head(run).about.depth) == (found["head"], 2)
    assert choose_head(run, name="linear").about.name == f"linear-layer-{layer:02d}"
    run.record["depth_finding"] = None
    assert choose_head(run).about.name == f"linear-layer-{layer:02d}"
    if found["at_full"]["high"] >= 0.5:
        clip = str(next((place / "audio").iterdir()))
        assert (
            probe(place, monkeypatch, "score", "c.run", clip, "--out", str(tmp_path / "s.txt")) == 0
        )
        assert "not shown to be better than chance" in " ".join(capsys.readouterr().err.split())
        assert (
            "not shown to be better than chance"
            in export(Run(place / "c.run"), tmp_path / "e", 2).record["note"]
        )


def test_an_export_with_exits_scores_each_clip_as_the_head_where_it_leaves(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = Run(place / "c.run")
    found = find_exits(run, "linear", resamples=100)
    at_exits = run.trials("linear-layer-01", "eval")
    sure = np.sort(
        confidences("probability", found.policy.log_odds(scores_at(run, found.policy)))[1]
    )
    half = len(sure) // 2  # about so many leave at layer 1 or before
    # no clip is that sure exactly
    policy = replace(found.policy, threshold=float(sure[half - 1 : half + 1].mean()))
    (tmp_path / "exits.json").write_text(json.dumps(policy.as_dict()))
    assert (
        probe(
            place,
            monkeypatch,
            "export",
            "c.run",
            str(tmp_path / "e"),
            "--exits",
            str(tmp_path / "exits.json"),
        )
        == 0
    )
    capsys.readouterr()
    early = [str(tmp_path / "e"), "audio", "--early-exit"]
    assert probe(place, monkeypatch, "score", *early, "--out", str(tmp_path / "s.txt")) == 0
    said = capsys.readouterr().out
    assert "Blocks after which clips left: " in said
    assert ("left before the layer" in said) == (
        0 in {int(k) for k in re.findall(r"\d+ at (\d+)", said)}
    )
    assert "log-likelihood ratio" in said
    scores = read_scores(tmp_path / "s.txt").set_index("utterance_id")["score"]
    expected = exit_trials(run, policy).set_index("utterance_id")["score"]
    assert len(expected) == len(at_exits)
    assert np.abs(scores[expected.index] - expected).max() < 1e-4
    at, _ = policy.apply(scores_at(run, policy))
    assert len(set(at)) > 1
    assert (
        probe(
            place,
            monkeypatch,
            "score",
            str(tmp_path / "e"),
            "c.cache",
            "--out",
            str(tmp_path / "t.txt"),
        )
        == 0
    )
    of_cache = read_scores(tmp_path / "t.txt").set_index("utterance_id")["score"]
    assert np.abs(of_cache[scores.index] - scores).max() < 1e-4
    assert probe(place, monkeypatch, "score", str(tmp_path / "e"), "audio", "--smooth", "2") == 2
    assert "--smooth 2: " in (told := " ".join(capsys.readouterr().err.split()))
    assert "has early exit, where the noised copies of a clip would leave at several depths" in told
    again = export(run, tmp_path / "e", exits=policy)
    assert again.head.config() == open_exported(tmp_path / "e").head.config()
    for words in (["--depth", "2"], ["--exits", str(tmp_path / "exits.json")]):
        (tmp_path / "exits.json").write_text(json.dumps(found.policy.as_dict()))
        assert probe(place, monkeypatch, "export", "c.run", str(tmp_path / "e"), *words) == 2
        told = " ".join(capsys.readouterr().err.split())
        assert "holds a model made otherwise (" in told
        assert "other exits). Name another folder, or replace it for good: --overwrite" in told
        assert open_exported(tmp_path / "e").head.config() == again.head.config()


def test_a_model_made_otherwise_is_replaced_only_if_that_is_said(
    place: Path, tmp_path: Path
) -> None:
    run = Run(place / "c.run")
    folder = tmp_path / "small"
    export(run, folder, 2)
    export(run, folder, 2)  # the same again
    with pytest.raises(
        ProbeError,
        match=r"otherwise \(head .*-02, not .*-01, depth 2, not 1\).* it for good: overwrite",
    ):
        export(run, folder, 1)
    assert open_exported(folder).record["depth"] == 2
    edit(folder / "serving.json", corpus="another")
    with pytest.raises(ProbeError, match=r"\(corpus another, not .*c\)"):
        export(run, folder, 2)
    assert export(run, folder, 1, overwrite=True).record["depth"] == 1
    fingerprint = open_exported(folder).record["fingerprint"]
    edit(folder / "serving.json", fingerprint={**fingerprint, "backbone_weights_sha256": "0"})
    with pytest.raises(ProbeError, match=r"\(another backbone, or prepared otherwise\)"):
        export(run, folder, 1)
    edit(folder / "serving.json", fingerprint=fingerprint, tuning={"epochs": 1})
    with pytest.raises(ProbeError, match="holds a tuned model"):
        export(run, folder, 1)
    (folder / "serving.json").write_text("{")
    with pytest.raises(ProbeError, match="holds a model that cannot be read"):
        export(run, folder, 1)


def scores_at(run: Run, policy: ExitPolicy) -> np.ndarray:
    return np.stack(
        [run.trials(f"linear-layer-{k:02d}", "eval")["score"].to_numpy() for k in policy.depths]
    )


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"head": "linear", "depths": [1, 9]}'])
def test_a_file_that_is_no_policy_is_refused(
    content: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    (tmp_path / "exits.json").write_text(content)
    assert (
        probe(
            place,
            monkeypatch,
            "export",
            "c.run",
            str(tmp_path / "e"),
            "--exits",
            str(tmp_path / "exits.json"),
        )
        == 2
    )
    assert "no policy of early exit that can be read" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "e").exists()

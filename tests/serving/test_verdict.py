"""What is said of single clips, from a run and from its export, and what it is said beside."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from resealed import edit
from small_extraction import machine, quiet, run_cli, speech, write_clips
from tiny_models import build

from cache import ProbeError
from cache.errors import OptionError
from probing.corpora import load_corpus
from probing.evaluation import evaluate
from probing.extraction import Options, extract
from probing.metrics import cllr, eer
from probing.runs import Run
from probing.scores.files import read_scores
from probing.scores.options import ScoreOptions
from probing.serving import Reference, Server, choose_head, export, open_exported, score_inputs
from probing.serving.threshold import choose_threshold
from probing.serving.training_clips import training_clips
from probing.sweep import SweepOptions, sweep
from probing.sweep.options import DepthOptions

HEAD = "linear-layer-02"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model, 16 clips that are train, dev and eval, a run of them, its export, and odd
    clips.
    """
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("verdict")
    write_clips(folder / "audio")
    clips = sorted((folder / "audio").iterdir())
    rows = [
        {
            "path": f"audio/{path.name}",
            "utterance_id": f"{split}-{i}",
            "label": ("bonafide", "spoof")[i % 2],
        }
        | {"split": split, "speaker": f"{split}-{i % 6}"}
        for split in ("train", "dev", "eval")
        for i, path in enumerate(clips)
    ]
    table = pd.DataFrame(rows)
    swapped = {"dev": (2, 5), "eval": (2, 3, 6, 7, 10, 11, 14, 15)}  # a few errors, and chance
    for split, places in swapped.items():
        names = [f"{split}-{i}" for i in places]
        at = table["utterance_id"].isin(names)
        table.loc[at, "label"] = table.loc[at, "label"].map(
            {"bonafide": "spoof", "spoof": "bonafide"}
        )
    table.to_csv(folder / "c.csv", index=False)
    options = Options(str(build("wavlm", folder / "model")), max_seconds=0.8)
    cache = extract(
        folder / "c.cache", load_corpus(str(folder / "c.csv")), options, machine(), say=quiet
    )
    depths = DepthOptions(
        heads=("weighted-sum+linear",), seeds=(0,), epochs=1, weight_decays=(0.1,)
    )
    what = SweepOptions(strengths=(0.1,), control_seeds=(), resamples=100, depths=depths)
    sweep(cache, folder / "c.run", what, say=quiet)
    odd = folder / "odd"
    odd.mkdir()
    like = speech(5, 8001)
    soundfile.write(odd / "quiet.wav", 0.003 * like, 16000)
    soundfile.write(odd / "noise.wav", np.random.default_rng(0).normal(0, 0.1, 9600), 16000)
    soundfile.write(odd / "long.wav", speech(5, 20000), 16000)
    soundfile.write(odd / "silent.wav", np.zeros(9600), 16000)
    export(Run(folder / "c.run"), folder / "small", 2, HEAD)
    return folder


def verdicts(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> dict:
    monkeypatch.chdir(place)
    assert run_cli(["score", *words, "--json"], monkeypatch) == 0
    return json.loads(capsys.readouterr().out)


def test_ratio_probability_and_decision_follow_from_the_scores_of_dev(
    place: Path, monkeypatch, capsys
) -> None:
    run = Run(place / "c.run")
    trials = {part: run.trials(HEAD, part) for part in ("dev", "eval")}
    clip = next(iter(trials["eval"].itertuples()))
    path = (
        load_corpus(str(place / "c.csv"))
        .utterances.set_index("utterance_id")
        .path[clip.utterance_id]
    )
    found = verdicts(place, monkeypatch, capsys, "small", path, "--prior", "0.2")
    shown = found["clips"][0]
    assert shown["score"] == pytest.approx(clip.score, abs=1e-4)
    stored = open_exported(place / "small").reference
    assert stored is not None
    assert stored.calibration.scales[0] > 0
    assert shown["log_likelihood_ratio"] == pytest.approx(
        float(stored.calibration.apply([shown["score"]])[0])
    )
    odds = 0.25 * np.exp(shown["log_likelihood_ratio"])
    assert shown["probability_bonafide"] == pytest.approx(odds / (1 + odds))
    threshold = found["threshold"]
    assert shown["decision"] == ("bonafide" if shown["score"] >= threshold["value"] else "spoof")
    for part, table in trials.items():
        bonafide, scores = table["label"].eq("bonafide"), table["score"]
        rates = threshold["rates"][part]
        assert rates["bonafide_rejected"] == (scores[bonafide] < threshold["value"]).mean()
        assert rates["spoof_accepted"] == (scores[~bonafide] >= threshold["value"]).mean()
        assert found["eer"][part]["value"] == eer(bonafide, scores)
        assert found["eer"][part]["high"] == pytest.approx(evaluate(table).eer.high)
        assert found["cllr"][part] == pytest.approx(
            cllr(bonafide, stored.calibration.apply(scores))
        )


def test_an_eer_has_one_interval_whatever_is_scored(place: Path) -> None:
    options = ScoreOptions(head=HEAD, split="eval")
    on_cache = score_inputs(place / "c.run", [place / "c.cache"], None, options, say=quiet)
    clip = next((place / "odd").glob("noise.wav"))
    on_audio = score_inputs(place / "c.run", [clip], None, ScoreOptions(head=HEAD), say=quiet)
    assert on_audio.verdicts is not None
    one, other = on_audio.verdicts.eer["eval"], on_cache.evaluations["eval"].eer
    assert (one.low, one.high) == (other.low, other.high)


def test_run_and_export_say_the_same(place: Path, monkeypatch, capsys) -> None:
    clips = ["odd/noise.wav", "odd/quiet.wav"]
    of_run, exported = (
        verdicts(place, monkeypatch, capsys, *where, *clips)
        for where in (["c.run", "--head", HEAD], ["small"])
    )
    for one, other in zip(of_run.pop("clips"), exported.pop("clips"), strict=True):
        assert one.pop("unlike_training").keys() == other.pop("unlike_training").keys()
        for name in ("score", "log_likelihood_ratio", "probability_bonafide"):
            assert one.pop(name) == pytest.approx(other.pop(name), abs=1e-3)
        assert one == other
    assert of_run == exported


def test_a_clip_unlike_the_training_clips_is_told_from_one_like_them(
    place: Path, monkeypatch, capsys
) -> None:
    found = verdicts(place, monkeypatch, capsys, "small", "odd", "audio")
    by_name = {Path(clip["file"]).stem: clip for clip in found["clips"]}
    assert {"level", "noise floor"} <= by_name["quiet"]["unlike_training"].keys()
    assert {"bandwidth", "layers"} <= by_name["noise"]["unlike_training"].keys()
    cut = [name for name, clip in by_name.items() if clip["cut"]]
    assert "long" in cut
    assert not {"quiet", "noise", "silent"} & set(cut)
    assert f"only the first 0.8 s were heard of {len(cut)} clips" in found["notes"]
    assert (by_name["silent"]["decision"], by_name["silent"]["score"]) == (None, None)
    assert by_name["silent"]["failure"].startswith("silent")
    of_training = [clip for name, clip in by_name.items() if name.startswith("clip")]
    assert len(of_training) == 16
    assert sum("layers" in clip["unlike_training"] for clip in of_training) <= 1
    assert sum(not clip["unlike_training"] for clip in of_training) >= 10
    assert any(clip["cut"] and not clip["unlike_training"] for clip in of_training)


def test_no_decision_is_without_the_errors_measured(
    place: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(place)
    file = tmp_path / "v.csv"
    assert (
        run_cli(["score", "small", "odd", "--false-alarm", "1%", "--out", str(file)], monkeypatch)
        == 0
    )
    text = capsys.readouterr()
    table = pd.read_csv(file, keep_default_na=False)
    scored = table[table["score"] != ""]
    rates = [
        "dev_bonafide_rejected",
        "dev_spoof_accepted",
        "eval_bonafide_rejected",
        "eval_spoof_accepted",
    ]
    assert scored[["decision", *rates]].ne("").all(axis=None)
    assert set(scored["dev_spoof_accepted"].astype(float)) == {0}
    assert len(scored) == 3
    for part in ("dev", "eval"):
        assert f"  {part}: " in text.out
    assert "of bona fide clips called spoof" in text.out
    assert "1 % of the 8 spoofs of dev is less than one" in " ".join(text.err.split())
    assert scored["utterance_id"].tolist() == ["long", "noise", "quiet"]
    assert scored["failure"].eq("").all()
    failed = table[table["score"] == ""].iloc[0]
    assert (failed["utterance_id"], failed["decision"]) == ("silent", "none")
    assert failed["failure"].startswith("silent")
    assert "Note: Only the first 0.8 s were heard of 1 clip." in " ".join(text.err.split())


def test_an_export_of_an_earlier_version_scores_and_says_what_it_lacks(
    place: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    new = verdicts(place, monkeypatch, capsys, "small", "odd/noise.wav")
    shutil.copytree(place / "small", tmp_path / "old")
    (tmp_path / "old" / "reference.safetensors").unlink()
    edit(tmp_path / "old" / "serving.json", reference=None)
    old = verdicts(place, monkeypatch, capsys, str(tmp_path / "old"), "odd/noise.wav")
    assert [clip["score"] for clip in old["clips"]] == [clip["score"] for clip in new["clips"]]
    assert old["threshold"] is None
    for clip in old["clips"]:
        assert (
            clip["decision"] is clip["probability_bonafide"] is clip["log_likelihood_ratio"] is None
        )
    assert "Write it again: probe export" in old["notes"][-1]
    assert run_cli(["score", str(tmp_path / "old"), "odd/noise.wav"], monkeypatch) == 0
    shown = capsys.readouterr()
    assert "bona fide" not in shown.out
    assert "earlier version" in shown.err
    out = ["--calibrated", "--out", str(tmp_path / "s.txt")]
    assert run_cli(["score", str(tmp_path / "old"), "odd/noise.wav", *out], monkeypatch) == 2
    assert "has no calibration" in capsys.readouterr().err


def test_a_run_of_a_version_that_kept_no_utterances_is_exported_and_scores(
    place: Path, tmp_path: Path
) -> None:
    run = Run(shutil.copytree(place / "c.run", tmp_path / "c.run"))
    (run.folder / "utterances.parquet").unlink()
    assert export(run, tmp_path / "small", 2, HEAD).reference is None
    found = score_inputs(
        run.folder, [place / "odd" / "noise.wav"], None, ScoreOptions(head=HEAD), say=quiet
    ).verdicts
    assert found is not None
    assert (found.threshold, found.clips[0].decision) == (None, None)


def test_without_the_cache_of_the_training_clips_that_is_said(place: Path, tmp_path: Path) -> None:
    run = Run(place / "c.run")
    caches = run.record["caches"]
    run.record["caches"] = {
        **caches,
        "train": {**caches["train"], "folder": str(tmp_path / "gone.cache")},
    }
    made = export(run, tmp_path / "small", 2, HEAD)
    assert made.reference is not None
    assert made.reference.training is None
    found = score_inputs(tmp_path / "small", [place / "odd" / "noise.wav"], say=quiet).verdicts
    assert found is not None
    assert found.clips[0].decision is not None
    assert any("gone.cache" in note for note in found.notes)
    run.record["caches"] = {**caches, "train": {**caches["train"], "id": "another"}}
    assert (
        "another cache than the run"
        in (export(run, tmp_path / "small", 2, HEAD).reference or made).missing
    )


def test_a_run_that_was_moved_with_its_cache_knows_its_training_clips(
    place: Path, tmp_path: Path
) -> None:
    run = Run(shutil.copytree(place / "c.run", tmp_path / "c.run"))
    caches = {
        part: {**cache, "folder": "elsewhere/c.cache"}
        for part, cache in run.record["caches"].items()
    }
    run.record |= {"caches": caches, "cache_folder": "elsewhere/c.cache"}
    head = choose_head(run, name=HEAD).head
    with pytest.raises(
        ProbeError, match=r"its cache \w+ is neither in elsewhere/c.cache nor beside the run"
    ):
        training_clips(run, head)
    shutil.copytree(place / "c.cache", tmp_path / "c.cache")
    there = training_clips(Run(place / "c.run"), head)
    assert training_clips(run, head).record() == there.record()


def test_scores_of_a_corpus_are_evaluated_at_the_threshold_of_dev_and_may_be_calibrated(
    place: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(place)
    raw, ratios = tmp_path / "raw.txt", tmp_path / "ratios.txt"
    for file, more in ((raw, []), (ratios, ["--calibrated"])):
        words = [
            "score",
            "small",
            "--corpus",
            "c.csv",
            "--split",
            "eval",
            "--out",
            str(file),
            *more,
        ]
        assert run_cli(words, monkeypatch) == 0
    text = capsys.readouterr().out
    reference = open_exported(place / "small").reference
    assert reference is not None
    found = {file: read_scores(file)["score"].to_numpy() for file in (raw, ratios)}
    np.testing.assert_allclose(found[ratios], reference.calibration.apply(found[raw]), atol=1e-6)
    rates = choose_threshold(reference).rates["eval"]
    assert f"({rates.rejected} of 8), " in text
    assert "not shown to be better than chance" in text
    assert run_cli(["score", "small", "c.cache"], monkeypatch) == 0  # and writes nothing
    assert "EER of train" in capsys.readouterr().out
    assert run_cli(["score", "small", "c.cache", "--split", "eval", "--json"], monkeypatch) == 0
    found_in_json = json.loads(capsys.readouterr().out)
    assert found_in_json["scored"] == len(found[raw])
    assert found_in_json["splits"]["eval"]["at_threshold"]["rejected"] == rates.rejected
    assert 0 <= found_in_json["splits"]["eval"]["figures"][0]["eer"] <= 1


def test_a_dash_prints_the_scores_that_a_file_would_hold(
    place: Path, tmp_path: Path, monkeypatch, capfdbinary
) -> None:
    monkeypatch.chdir(place)
    assert (
        run_cli(["score", "small", "c.cache", "--out", str(tmp_path / "s.txt")], monkeypatch) == 0
    )
    capfdbinary.readouterr()
    assert run_cli(["score", "small", "c.cache", "--out", "-"], monkeypatch) == 0
    printed = capfdbinary.readouterr()
    assert printed.out == (tmp_path / "s.txt").read_bytes()
    assert b"EER of" in printed.err
    assert run_cli(["score", "small", "c.cache", "--out", "-", "--json"], monkeypatch) == 2
    assert not (place / "-").exists()


def test_what_calibrate_leaves_in_a_run_is_what_its_exports_use(
    place: Path, tmp_path: Path, monkeypatch
) -> None:
    run = Run(shutil.copytree(place / "c.run", tmp_path / "c.run"))
    words = ["calibrate", str(run.folder), "--head", HEAD]
    assert run_cli([*words, "--prior", "0.05"], monkeypatch) == 0
    made = Server(run.folder, HEAD).reference
    assert made is not None
    assert made.calibration.prior == 0.05
    other = Server(run.folder, "weighted-sum+linear-depth-02").reference
    assert other is not None
    assert other.calibration.prior == 0.5
    written = read_scores(run.folder / "calibration" / HEAD / "eval.txt")["score"]
    np.testing.assert_allclose(
        written, made.calibration.apply(run.trials(HEAD)["score"]), atol=1e-6
    )
    (run.folder / "calibration" / HEAD / "calibration.json").write_text('{"scales": ["x"]}')
    with pytest.raises(ProbeError, match="no calibration that can be read"):
        _ = Server(run.folder, HEAD).reference


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_or_prior_that_is_none_is_refused(place: Path, share: float) -> None:
    clip = [place / "odd" / "noise.wav"]
    with pytest.raises(OptionError, match="false_alarm"):
        score_inputs(place / "small", clip, None, ScoreOptions(false_alarm=share), say=quiet)
    with pytest.raises(OptionError, match="prior"):
        score_inputs(place / "small", clip, None, ScoreOptions(prior=share), say=quiet)


@pytest.mark.parametrize(
    "wrong",
    [
        {"parts": {}},
        {"training": {"n": 3, "ranges": {"colour": [0, 1]}, "layer": 1, "limit": 1.0}},
        {"training": {"n": 3, "ranges": {}, "layer": 1, "limit": 0.0}},
        {"training": {"n": 3, "ranges": {}, "layer": 9, "limit": 1.0}},
        {"calibration": {"scales": [float("inf")], "offset": 0, "prior": 0.5}},
        {"calibration": None},
        {"corpus": None, "missing": None, "parts": 3},
    ],
    ids=str,
)
def test_a_reference_that_no_export_writes_is_refused(
    place: Path, tmp_path: Path, wrong: dict[str, object]
) -> None:
    shutil.copytree(place / "small", tmp_path / "odd")
    record = json.loads((tmp_path / "odd" / "serving.json").read_text())
    edit(tmp_path / "odd" / "serving.json", reference={**record["reference"], **wrong})
    with pytest.raises(ProbeError, match=r"reference.safetensors: cannot be read .* probe export"):
        open_exported(tmp_path / "odd")


def test_a_damaged_reference_is_refused(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "small", tmp_path / "odd")
    path = tmp_path / "odd" / "reference.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"abcd")
    with pytest.raises(ProbeError, match="damaged"):
        open_exported(tmp_path / "odd")


def test_a_finding_by_chance_everywhere_leaves_the_layer_that_is_not(
    place: Path, tmp_path: Path
) -> None:
    run = Run(place / "c.run")
    found = run.record["depth_finding"]
    at_chance = {"head": found["head"], "depth": 1, "better_than_chance": False}
    run.record["depth_finding"] = {**found, "reason": "chance", "best": at_chance}
    layer = run.record["finding"]["layer"]
    for high, named in ((0.4, f"linear-layer-{layer:02d}"), (0.6, f"{found['head']}-depth-01")):
        run.record["finding"] = {
            **run.record["finding"],
            "best": {"value": 0.3, "low": 0.2, "high": high},
        }
        assert choose_head(run).about.name == named
    run.record["depth_finding"] = {**found, "reason": "no-depth", "depth": None}
    # no smaller depth: all blocks
    assert export(run, tmp_path / "whole").record["depth"] == found["full"]


def test_a_reference_holds_what_is_written_of_it(place: Path) -> None:
    made = Server(place / "c.run", HEAD).reference
    read = open_exported(place / "small").reference
    assert isinstance(made, Reference)
    assert isinstance(read, Reference)
    assert made.record() == read.record()
    for name, values in made.tensors().items():
        np.testing.assert_array_equal(values, read.tensors()[name])

"""A run is tuned into a folder that scores, extracts and is tuned further; what learns is what was
asked for.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from small_extraction import machine, quiet, run_cli
from tiny_models import build
from tuned_models import CPU, place_of, tuned_in

from analysis.plots.saving import figure_of
from analysis.plots.training import training_curve
from cache import ProbeError
from probing.audio import load_audio
from probing.corpora import load_corpus
from probing.extraction import Options, extract
from probing.extraction.layers import layers_of
from probing.metrics import eer
from probing.runs import Run
from probing.serving import Server, export, open_exported, score_audio, training_clips
from probing.serving.exported import load_run_backbone, run_options
from probing.sweep import DepthOptions, SweepOptions, sweep
from probing.targets.options import TargetOptions
from probing.tuning import Source, TuneMachine, TuneOptions, tune
from probing.tuning.model import TunedModel
from probing.tuning.recipes import RECIPES
from probing.tuning.reference import tuned_reference

HEAD = "weighted-sum+linear-depth-02"
ANEW = ["--backbone", "model", "--corpus", "c.csv"]
FEW = TuneOptions(epochs=1, batch=4, rate=1e-3)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return place_of(tmp_path_factory.mktemp("tuning"))


@pytest.fixture(scope="module")
def tuned(place: Path) -> Path:
    """The run's head at depth 2, tuned for two epochs."""
    tune(Source(place / "c.run", HEAD), place / "tuned", replace(FEW, epochs=2), CPU, say=quiet)
    return place / "tuned"


def files_of(place: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted((place / "audio").iterdir())}


def scored(folder: Path, place: Path) -> np.ndarray:
    made = open_exported(folder)
    found = score_audio(
        made.head, made.load_backbone(), made.options, files_of(place), lambda *_: None
    )
    return np.array(list(found.values()))


def test_the_exported_folder_scores_as_the_tuned_model_does(tuned: Path, place: Path) -> None:
    made = open_exported(tuned)
    backbone = made.load_backbone()
    model = TunedModel(backbone.trainable(), backbone.padding, made.head.stack, made.head.n_frames)
    clips = [load_audio(path, made.options.cropping) for path in files_of(place).values()]
    with torch.no_grad():
        logits = model(clips, torch.autocast("cpu", enabled=False))
    assert np.abs(scored(tuned, place) - model.head.read(logits).numpy()).max() < 1e-5


def test_tuning_changes_the_layers_and_says_what_was_done(tuned: Path, place: Path) -> None:
    export(Run(place / "c.run"), place / "frozen", 2, HEAD)
    assert np.abs(scored(tuned, place) - scored(place / "frozen", place)).max() > 1e-3
    before, after = (load_file(place / name / "model.safetensors") for name in ("frozen", "tuned"))
    changed = {
        name for name in before if not torch.equal(before[name].float(), after[name].float())
    }
    assert any("layers.0.attention" in name for name in changed)
    assert any("layers.1.feed_forward" in name for name in changed)
    assert not any("conv_layers" in name for name in changed)
    record = open_exported(tuned).record
    assert record["backbone"].endswith("tuned")
    tuning = record["tuning"]
    assert (tuning["recipe"]["learning"]["name"], tuning["regularization"], tuning["averaged"]) == (
        "quick",
        {},
        [4, 5],
    )
    assert [group["name"] for group in tuning["groups"]] == [
        "head",
        "block-02",
        "block-01",
        "before-blocks",
    ]
    assert tuning["seconds"] > 0
    assert tuning["memory_bytes"] > 1e7
    log = pd.read_csv(tuned / "training.csv")
    assert log["epoch"].tolist() == [3, 4, 5]
    assert tuning["eval"]["frozen"] == pytest.approx(eval_eer(Run(place / "c.run")))


def eval_eer(run: Run) -> float:
    return run.scored(run.trials(HEAD)).figures()["eer"]


def test_the_picture_has_the_name_whole_epochs_and_markers_that_show(tuned: Path) -> None:
    ax = training_curve(tuned)
    figure_of(ax).canvas.draw()
    assert ax.get_title(loc="left") == "Tuning of tuned"
    ticks = [tick for tick in ax.get_xticks() if 3 <= tick <= 5]
    assert ticks == [3, 4, 5]
    of_train, of_dev = ax.lines
    assert {of_train.get_markerfacecolor(), of_dev.get_markerfacecolor()} == {"none"}
    assert of_train.get_markersize() > of_dev.get_markersize() + 2


def test_a_tuned_model_gives_verdicts(tuned: Path, place: Path, monkeypatch, capsys) -> None:
    served = Server(tuned)
    reference = served.reference
    assert reference is not None
    table = load_corpus(str(place / "c.csv")).utterances
    by_id = dict(zip(files_of(place), scored(tuned, place), strict=True))
    for part, known in reference.parts.items():
        rows = table[table["split"] == part]
        assert known.scores == pytest.approx(
            [by_id[name.replace("_", " ")] for name in rows["utterance_id"]]
        )
        assert known.bonafide.tolist() == (rows["label"] == "bonafide").tolist()
    tuning = served.exported.record["tuning"]
    assert list(reference.parts) == ["dev", "eval"]
    assert reference.parts["eval"].eer.value == pytest.approx(tuning["eval"]["value"])
    assert reference.missing.startswith(
        "It is not known what its training clips were like: 8 clips of train"
    )
    assert (
        run_cli(
            ["score", str(tuned), str(next(iter(files_of(place).values()))), "--device", "cpu"],
            monkeypatch,
        )
        == 0
    )
    text = " ".join(capsys.readouterr())
    assert "earlier version" not in text


def test_what_the_training_clips_were_like_is_of_the_tuned_layers(
    tuned: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_clips, "FEWEST", 4)
    made = open_exported(tuned)
    start = Source(place / "c.run", HEAD).start("cpu", FEW.tuning(), quiet)
    found = tuned_reference(start, made.head, made.load_backbone(), None)
    assert found is not None
    assert found.training is not None
    assert (list(found.parts), found.missing) == (["dev"], "")
    assert (found.training.n, found.training.layer, found.training.mean.shape) == (8, 1, (32,))
    files = dict(list(files_of(place).items())[:8])
    means = [layers[1][0] for _, layers in layers_of(files, made.load_backbone(), made.options)]
    assert found.training.mean == pytest.approx(np.mean(means, axis=0), abs=1e-5)


def test_the_tuned_layers_are_extracted_and_swept_like_any(
    tuned: Path, place: Path, tmp_path: Path
) -> None:
    options = Options(str(tuned), max_seconds=0.8)
    cache = extract(
        tmp_path / "t.cache", load_corpus(str(place / "c.csv")), options, machine(), say=quiet
    )
    head = open_exported(tuned).head
    assert cache.layers == [0, 1, 2]
    of_cache = head.score(cache.pooled(head.layers))
    by_id = dict(zip(files_of(place), scored(tuned, place), strict=True))
    expected = [by_id[name.replace("_", " ")] for name in cache.utterances["utterance_id"]]
    assert np.abs(of_cache - expected).max() < 1e-4


@pytest.mark.parametrize(
    ("train", "groups"),
    [
        ("head", []),
        ("last:1", ["block-02"]),
        ("lora:2", ["block-02", "block-01"]),
    ],
)
def test_only_what_is_asked_for_learns(
    train: str, groups: list[str], place: Path, tmp_path: Path
) -> None:
    options = replace(FEW, train=train, layer_decay=0.5) if groups else replace(FEW, train=train)
    made = tuned_in(tmp_path / "t", Source(place / "c.run", HEAD), options)
    by_name = {group["name"]: group for group in made.record["groups"]}
    assert list(by_name) == ["head", *groups]
    backbone = load_run_backbone(
        Run(place / "c.run"), run_options(Run(place / "c.run"), made.exported.head)
    )
    backbone.truncate(2).save(tmp_path / "frozen")
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("frozen", "t"))
    changed = {
        name for name in before if not torch.equal(before[name].float(), after[name].float())
    }
    blocks = {
        f"block-{int(name.split('layers.')[1][0]) + 1:02d}" for name in changed if "layers." in name
    }
    assert blocks == set(groups)
    assert all("layers." in name for name in changed)
    if train.startswith("lora"):
        ends = {name.split(".", 3)[3].removesuffix(".weight") for name in changed}
        projections = {f"attention.{name}_proj" for name in ("q", "k", "v", "out")}
        assert ends == projections | {
            "feed_forward.intermediate_dense",
            "feed_forward.output_dense",
        }
        assert by_name["block-01"]["rate"] == pytest.approx(by_name["block-02"]["rate"] / 2)
        assert by_name["block-01"]["parameters"] == 2 * (4 * (32 + 32) + 2 * (32 + 64))


@pytest.mark.parametrize("what", ["dropout", "layerdrop", "masking", "front_end"])
def test_what_is_off_by_default_is_used_and_recorded_when_asked_for(
    what: str, place: Path, tuned: Path, tmp_path: Path
) -> None:
    made = tuned_in(tmp_path / "t", Source(place / "c.run", HEAD), replace(FEW, **{what: True}))
    names = [group["name"] for group in made.record["groups"]]
    assert ("front-end" in names) == (what == "front_end")
    assert bool(made.record["regularization"]) == (what != "front_end")
    first = [
        pd.read_csv(folder / "training.csv")["train_loss"].iloc[1]
        for folder in (tmp_path / "t", tuned)
    ]
    assert first[0] != first[1]


@pytest.mark.parametrize(
    "recipe",
    [
        "attm",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("one-stage", "attm-released")),
    ],
)
def test_every_recipe_tunes(recipe: str, place: Path, tmp_path: Path) -> None:
    epochs = 2 if recipe == "attm-released" else 1
    options = TuneOptions(recipe=recipe, epochs=epochs, batch=4)
    made = tuned_in(tmp_path / "t", Source(place / "c.run", HEAD), options)
    first = RECIPES[recipe].frozen_epochs
    assert made.record["epochs"] == first + epochs
    assert pd.read_csv(tmp_path / "t" / "training.csv")["epoch"].tolist() == list(
        range(first, first + epochs + 1)
    )
    assert len(made.record["averaged"]) == 1
    assert ("front-end" in [group["name"] for group in made.record["groups"]]) == (
        recipe == "attm-released"
    )


def test_a_linear_probe_is_tuned_from_where_it_is(place: Path, tmp_path: Path) -> None:
    run = Run(place / "c.run")
    made = tuned_in(tmp_path / "t", Source(run.folder, "linear-layer-02"), FEW)
    dev = run.rows("layer", "dev")
    assert made.record["dev"]["started"] == pytest.approx(
        dev.loc[dev["layer"] == 2, "value"].iloc[0]
    )
    assert made.exported.record["head"] == "single+linear-depth-02"


@pytest.mark.long
def test_a_new_head_is_trained_before_the_backbone_joins(place: Path, tmp_path: Path) -> None:
    options = Options(str(place / "model"), max_seconds=0.8)
    source = Source(corpus=str(place / "c.csv"), head="sls+mlp", depth=2, options=options)
    made = tuned_in(tmp_path / "t", source, FEW)
    log = pd.read_csv(tmp_path / "t" / "training.csv")
    assert log["epoch"].tolist() == [0, 1, 2, 3, 4]
    assert (log["rate_backbone"] > 0).tolist() == [False] * 4 + [True]
    further = tuned_in(tmp_path / "u", Source(continued=tmp_path / "t"), FEW)
    assert further.record["dev"]["started"] == pytest.approx(made.record["dev"]["tuned"])
    again = tuned_in(tmp_path / "v", Source(continued=tmp_path / "u"), FEW, with_eval=True)
    assert again.evaluated is not None
    of_u = open_exported(tmp_path / "u")
    eval_files = dict(list(files_of(place).items())[12:])
    before = score_audio(of_u.head, of_u.load_backbone(), of_u.options, eval_files, lambda *_: None)
    after = open_exported(tmp_path / "v").reference
    assert after is not None
    bonafide = after.parts["eval"].bonafide
    assert again.evaluated.frozen == eer(bonafide, list(before.values()))
    assert (
        again.evaluated.difference
        == eer(bonafide, after.parts["eval"].scores) - again.evaluated.frozen
    )
    assert "; as it started " in again.evaluated.sentence
    assert further.record["source"]["weights_sha256"] == made.exported.record["weights_sha256"]


def test_a_model_goes_on_without_the_audio_that_could_not_be_used(
    place: Path, tmp_path: Path
) -> None:
    table = pd.read_csv(place / "c.csv")
    table["path"] = [str(place / path) for path in table["path"]]
    (tmp_path / "broken.wav").touch()
    table.loc[table["split"] == "train", "path"] = [
        str(tmp_path / "broken.wav"),
        *table.loc[table["split"] == "train", "path"].iloc[1:],
    ]
    table.to_csv(tmp_path / "b.csv", index=False)
    options = Options(str(place / "model"), max_seconds=0.8)
    source = Source(corpus=str(tmp_path / "b.csv"), head="mean+linear", depth=1, options=options)
    said: list[str] = []
    tune(source, tmp_path / "t", FEW, CPU, with_eval=False, say=said.append)
    tune(
        Source(continued=tmp_path / "t"), tmp_path / "u", FEW, CPU, with_eval=False, say=said.append
    )
    assert sum(line.startswith("Left out of train: ") for line in said) == 2


@pytest.mark.parametrize(("target", "task"), [("voice", "classes"), ("age", "number")])
def test_other_targets_are_tuned_too(target: str, task: str, place: Path, tmp_path: Path) -> None:
    what = TargetOptions(target, task=task, min_count=1)
    depths = DepthOptions(
        heads=("mean+linear",), seeds=(0,), depths=(2,), epochs=2, weight_decays=(0.1,)
    )
    options = SweepOptions(
        strengths=(0.1,), control_seeds=(), resamples=100, depths=depths, target=what
    )
    run = sweep(place / "c.cache", tmp_path / "t.run", options, say=quiet)
    made = tuned_in(tmp_path / "t", Source(run.folder, "mean+linear", 2), FEW, with_eval=True)
    assert made.evaluated is not None
    assert made.evaluated.metric == run.metric.name
    dev = run.rows("depth", "dev")
    known = dev.loc[(dev["depth"] == 2) & (dev["metric"] == run.metric.name), "value"]
    assert made.record["dev"]["started"] == pytest.approx(known.iloc[0], abs=1e-5)
    with pytest.raises(ProbeError, match="only heads of bona fide against spoof score audio"):
        Server(tmp_path / "t")


def test_clips_of_a_model_that_padding_disturbs_are_batched_by_length(
    place: Path, tmp_path: Path
) -> None:
    options = Options(str(build("moonshine", tmp_path / "model")), max_seconds=0.8)
    source = Source(corpus=str(place / "c.csv"), head="mean+linear", depth=2, options=options)
    made = tuned_in(tmp_path / "t", source, FEW)
    assert made.exported.load_backbone().padding == "equal"
    log = pd.read_csv(tmp_path / "t" / "training.csv")
    assert log["epoch"].tolist() == [0, 1, 2, 3, 4]


def test_how_the_machine_is_used_changes_no_loss(place: Path, tuned: Path, tmp_path: Path) -> None:
    machine = TuneMachine("cpu", accumulate=3, checkpointing=True, workers=4)
    tuned_in(tmp_path / "t", Source(place / "c.run", HEAD), replace(FEW, epochs=2), machine)
    one, other = (pd.read_csv(folder / "training.csv") for folder in (tuned, tmp_path / "t"))
    assert np.allclose(one["train_loss"], other["train_loss"], rtol=1e-4, equal_nan=True)


def test_bfloat16_is_near_and_not_the_same(place: Path, tuned: Path, tmp_path: Path) -> None:
    tuned_in(tmp_path / "t", Source(place / "c.run", HEAD), replace(FEW, precision="bf16"))
    logs = [pd.read_csv(folder / "training.csv") for folder in (tuned, tmp_path / "t")]
    one, other = (log["train_loss"].iloc[1] for log in logs)
    assert one == pytest.approx(other, rel=0.05)
    assert one != pytest.approx(other, rel=1e-6)


def test_the_command_says_what_it_gained_and_what_is_next(
    place: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(place)
    arguments = [
        "tune",
        "c.run",
        "--head",
        HEAD,
        "--out",
        str(tmp_path / "t"),
        "--device",
        "cpu",
        "--batch",
        "4",
    ]
    assert run_cli([*arguments, "--epochs", "1"], monkeypatch) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Tuned: eval EER" in text
    assert "on the frozen backbone" in text
    assert f"--backbone {tmp_path / 't'} --corpus" in text
    assert "--max-seconds 0.8" in text
    made = tmp_path / "t"
    assert f"probe extract {made}.cache --backbone" in text
    assert f"probe sweep {made}.cache; probe compare c.run {made}.run" in text
    assert (tmp_path / "t" / "training.png").is_file()
    assert run_cli([*arguments, "--epochs", "1"], monkeypatch) == 0
    assert "Nothing to do" in capsys.readouterr().err
    assert run_cli([*arguments, "--epochs", "2"], monkeypatch) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_a_tuned_target_is_asked_for_next_and_no_audio_is_scored(
    place: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(place)
    made = tmp_path / "t"
    target = ["--target", "voice", "--min-count", "1"]
    words = ["tune", *ANEW, "--head", "mean+linear", "--depth", "1", "--epochs", "1", *target]
    words += ["--out", str(made), "--batch", "8", "--max-seconds", "0.8", "--device", "cpu"]
    assert run_cli([*words, "--skip-eval"], monkeypatch) == 0
    text = " ".join(capsys.readouterr().out.split())
    asked = "--target voice --min-count 1"
    assert f"probe sweep {made}.cache --out {made}.run {asked}" in text
    assert "probe score" not in text


def test_a_model_that_is_gone_on_from_names_the_next_and_says_whose_utterances(
    tuned: Path, place: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(place)
    words = [
        "tune",
        "--continue",
        tuned.name,
        "c.run",
        "--train",
        "head",
        "--epochs",
        "1",
        "--device",
        "cpu",
    ]
    assert run_cli(words, monkeypatch) == 0
    output = capsys.readouterr()
    assert f"Goes on from tuned, on the utterances of {place / 'c.run'}." in " ".join(
        output.err.split()
    )
    assert "Tuned: tuned.tuned" in output.out
    assert "; as it started " in " ".join(output.out.split())
    assert (place / "tuned.tuned" / "serving.json").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            [],
            "nothing to start from. Expected a run; or --backbone, --corpus and --head "
            "MERGE+BACKEND; or --continue",
        ),
        (["c.run", "--corpus", "demo"], "--corpus demo: is for a tuning from nothing"),
        (["c.run", "--seconds", "2"], "--seconds 2: is for a tuning from nothing"),
        (
            ["c.run", "--train", "last:9", "--depth", "2"],
            "--train last:9: the model has 2 blocks here",
        ),
        (
            ["c.run", "--train", "blocks:7", "--depth", "2"],
            "--train blocks:7: the model has blocks 1:2 here",
        ),
        (["c.run", "--train", "some"], "--train some: expected head, all, last:N, blocks:LIST"),
        (
            ["c.run", "--train", "head", "--front-end"],
            "--front-end: is of the backbone, of which nothing is trained",
        ),
        (
            [*ANEW, "--head", "mean+linear", "--depth", "99"],
            "--depth 99: model has 3 blocks. Expected no more",
        ),
        ([*ANEW, "--head", "mean+lin"], "--head mean+lin: back-end"),
        (["c.run", "--head", "linear-layer-00"], "needs no block"),
        (["c.run", "--head", "aasist"], "--head aasist: c.run has no such head"),
        (
            ["c.run", "--recipe", "slow"],
            "--recipe slow: expected quick, one-stage, attm or attm-released",
        ),
        (["c.cache"], "c.cache: a cache, not a run"),
        ([*ANEW, "--head", "mean+linear", "--max-seconds", "9", "--seconds", "1"], "Leave that"),
        (["--continue", "model"], "model: no exported model here"),
        (
            ["--corpus", "c.csv", "--heads", "mean+nothing", "--backbone", "model"],
            "--head mean+nothing: back-end",
        ),
    ],
)
def test_what_cannot_be_tuned_is_refused_with_its_flag(
    words: list[str], message: str, place: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(place)
    assert (
        run_cli(["tune", *words, "--out", str(tmp_path / "t"), "--device", "cpu"], monkeypatch) == 2
    )
    assert message in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []


def test_audio_or_a_cache_that_is_gone_is_named(place: Path, tmp_path: Path) -> None:
    run = Run(place / "c.run")
    (place / "audio").rename(place / "elsewhere")
    try:
        with pytest.raises(ProbeError, match=r"8 of 8 audio files of .* are not below"):
            tuned_in(tmp_path / "t", Source(run.folder, HEAD), FEW)
    finally:
        (place / "elsewhere").rename(place / "audio")
    (place / "c.cache").rename(place / "d.cache")
    try:
        with pytest.raises(
            ProbeError,
            match="the cache that it was trained on names the utterances, and is not there",
        ):
            tuned_in(tmp_path / "t", Source(run.folder, HEAD), FEW)
    finally:
        (place / "d.cache").rename(place / "c.cache")


def test_a_run_of_a_cache_of_some_layers_is_tuned_to_the_depth_of_its_head(tmp_path: Path) -> None:
    place = place_of(tmp_path, layers="0:3")
    made = tuned_in(tmp_path / "tuned", Source(place / "c.run", HEAD), FEW)
    assert made.exported.load_backbone().n_layers == 2
    assert np.isfinite(scored(tmp_path / "tuned", place)).all()

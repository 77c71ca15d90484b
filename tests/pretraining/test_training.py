from __future__ import annotations

import runpy
import shutil
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from filelock import FileLock
from planted import plant
from pretraining.small_pretraining import ARCHITECTURE, RECIPE

from cache.errors import ProbeError
from probing.backbones import load_backbone
from probing.devices import find_device
from probing.metrics import eer
from probing.provenance.pretraining.config import Recipe
from probing.provenance.pretraining.export import export_model
from probing.provenance.pretraining.run import Run, evaluate, export, open_run, pretrain
from probing.provenance.pretraining.stages import read_stages
from probing.provenance.pretraining.training import CHECKPOINT, RunBusy, RunMismatch, train
from probing.sweep import DepthOptions, SweepOptions, sweep


def test_an_interrupted_run_ends_as_an_uninterrupted_one(fresh: Run, shared: Path, tmp_path: Path):
    pretrain(fresh, steps=9, every=2)
    interrupted = tmp_path / "interrupted"
    interrupted.mkdir()
    for name in ("recordings.csv", "recordings.i16", "units-mfcc-8-0.npz"):
        (interrupted / name).symlink_to(fresh.work / name)
    for minutes_at_stop in (2, 3, 4):  # inside the front end's stage, at its end, after it
        ticks = iter(range(1000))
        opened = open_run(RECIPE, shared, interrupted, "cpu", ARCHITECTURE)
        before = opened.training.step
        train(
            opened.training,
            opened.batches("train"),
            opened.batches("heldout"),
            interrupted,
            steps=9,
            minutes=minutes_at_stop / 60,
            every=100,
            clock=lambda ticks=ticks: float(next(ticks)),
        )
        assert before < opened.training.step < 9
    resumed = open_run(RECIPE, shared, interrupted, "cpu", ARCHITECTURE)
    pretrain(resumed, steps=9, every=2)
    assert resumed.training.step == fresh.training.step == 9
    for (name, one), other in zip(
        fresh.training.model.state_dict().items(),
        resumed.training.model.state_dict().values(),
        strict=True,
    ):
        assert torch.equal(one, other), name
    one, other = (run.training.optimizer.state_dict()["state"] for run in (fresh, resumed))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key][name], other[key][name]) for key in one for name in one[key])


def test_the_model_learns_the_units(fresh: Run):
    recipe = replace(
        RECIPE, mix_speech=0.0, mix_noise=0.0, front_end_steps=0, learning_rate=3e-3, warm_up=5
    )
    fresh.training.recipe = recipe
    batch = fresh.batches("train").at(0)
    losses = [fresh.training.train_step(batch, 80)[0] for _ in range(40)]
    assert losses[-1] < 0.7 * losses[0]


def test_the_front_end_learns_first_and_alone(fresh: Run):
    before = {name: weight.clone() for name, weight in fresh.training.model.state_dict().items()}
    losses = [fresh.training.train_step(fresh.batches("train").at(0), 40)[0] for _ in range(3)]
    assert losses[-1] < losses[0]
    changed = {
        name.split(".")[0]
        for name, weight in fresh.training.model.state_dict().items()
        if not torch.equal(weight, before[name])
    }
    assert changed == {"feature_extractor", "feature_projection"}


def test_a_checkpoint_of_another_recipe_is_refused(fresh: Run, shared: Path):
    pretrain(fresh, steps=2)
    with pytest.raises(RunMismatch, match=r"batch: 3 there, 4 now.*new work folder"):
        open_run(replace(RECIPE, batch=4), shared, fresh.work, "cpu", ARCHITECTURE)


def test_two_trainings_do_not_share_a_folder(fresh: Run):
    with (
        FileLock(fresh.work / "training.lock"),
        pytest.raises(RunBusy, match="another work folder"),
    ):
        pretrain(fresh, steps=2)


def test_a_call_that_takes_no_step_writes_no_checkpoint(fresh: Run):
    pretrain(fresh, steps=4, minutes=0)
    assert not (fresh.work / CHECKPOINT).exists()


def test_a_run_leaves_a_log_and_a_curve(fresh: Run):
    pretrain(fresh, steps=6, every=2)
    log = pd.read_csv(fresh.work / "log.csv")
    assert log["step"].tolist() == [2, 4, 6]
    assert {"loss", "train_mfcc_accuracy", "heldout_mfcc_loss"} <= set(log.columns)
    assert (fresh.work / "curve.png").stat().st_size > 5_000
    assert torch.load(fresh.work / CHECKPOINT, weights_only=True)["step"] == 6


def test_the_learning_rate_rises_holds_and_falls_in_both_stages():
    recipe = Recipe(front_end_steps=100, warm_up=10, decay_share=0.5, learning_rate=1.0)
    rates = [recipe.rate(step, 300) for step in range(300)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[49] == pytest.approx(2.0)
    assert rates[99] == pytest.approx(0.04)
    assert rates[100] == pytest.approx(0.1)
    assert rates[199] == pytest.approx(1.0)
    assert rates[299] == pytest.approx(0.01)


def test_an_exported_model_loads_without_a_word_and_hears_the_same(
    fresh: Run, tmp_path: Path, capfd, speech
):
    hashes = export_model(fresh.training.model, tmp_path / "model")
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backbone = load_backbone(str(tmp_path / "model"))
    assert capfd.readouterr() == ("", "")
    assert (backbone.n_layers, backbone.dim, backbone.padding, backbone.random) == (
        3,
        32,
        "exact",
        False,
    )
    with torch.inference_mode():
        expected = fresh.training.model(speech[:1]).last_hidden_state
        stock = fresh.training.model.encoder.layer_norm(
            backbone.hidden_states([speech[0].numpy()]).clip(0)[-1]
        )
    # float16 weights; in a pause the norms of the front end blow the rounding up, so frames count
    # by their energy
    assert torch.linalg.norm(stock - expected[0]) < 0.05 * torch.linalg.norm(expected[0])
    assert set(hashes) == {"config.json", "model.safetensors", "preprocessor_config.json"}
    assert str(tmp_path) not in (tmp_path / "model" / "config.json").read_text()


@pytest.mark.long
def test_the_card_says_what_was_done_and_measured(fresh: Run, tmp_path: Path):
    pretrain(fresh, steps=4, every=2)
    evaluate(fresh, head_steps=3, n_heldout=2)
    with pytest.raises(ProbeError, match="no run here"):
        export(fresh, tmp_path / "model", [tmp_path / "none.run"])
    export(fresh, tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "not WavLM-Large" in card
    assert "CC BY-SA 3.0" in card
    assert "| mfcc units |" in card
    assert card.count("\n| 3 |") == 1
    evaluation = pd.read_csv(fresh.work / "evaluation.csv")
    assert set(evaluation["model"]) == {"trained", "random"}
    assert evaluation["value"].notna().all()


def test_the_card_compares_trained_and_random_weights_on_the_same_trials(
    fresh: Run, tmp_path: Path
):
    what = SweepOptions(
        strengths=(0.1,), control_seeds=(), resamples=200, depths=DepthOptions(heads=())
    )
    runs = {}
    for name, signal in {"trained": {1: 3.0}, "random": {}}.items():
        cache = plant(tmp_path / f"{name}.cache", signal, n_layers=1, n=(80, 40, 80))
        runs[name] = sweep(cache, tmp_path / f"small-{name}.run", what, say=lambda text: None)
    pretrain(fresh, steps=1)
    export(fresh, tmp_path / "model", [run.folder for run in runs.values()])
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    trials = {
        name: run.trials("linear-layer-01").sort_values("utterance_id")
        for name, run in runs.items()
    }
    bonafide = trials["random"]["label"].eq("bonafide")
    value = eer(bonafide, trials["random"]["score"]) - eer(bonafide, trials["trained"]["score"])
    assert value > 0.2
    assert f"\n| 1 | {100 * value:+.1f} [+" in card
    other = plant(tmp_path / "other.cache", {}, n_layers=1, n=(80, 40, 60))
    fewer = sweep(other, tmp_path / "other-random.run", what, say=lambda text: None)
    shutil.copytree(runs["trained"].folder, tmp_path / "other-trained.run")
    with pytest.raises(ProbeError, match="other utterances"):
        export(fresh, tmp_path / "second", [tmp_path / "other-trained.run", fewer.folder])
    assert not (tmp_path / "second").exists()


def test_the_command_teaches_and_refuses_in_one_line(tmp_path: Path, monkeypatch, capsys):
    # the command sets it, and it is to end with the test
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")

    def command(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["python -m probing.provenance.pretraining", *arguments])
        with pytest.raises(SystemExit) as ended:
            runpy.run_module("probing.provenance.pretraining", run_name="__main__", alter_sys=True)
        return int(ended.value.code or 0)

    assert command("--help") == 0
    assert "--minutes" in capsys.readouterr().out
    assert command("--shared", str(tmp_path), "--work", str(tmp_path / "work")) == 2
    said = capsys.readouterr().err
    assert "--shared" in said
    assert "Traceback" not in said


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(RuntimeError, match="device=cpu"):
        find_device("cuda:99")


@pytest.mark.long
def test_a_run_begins_with_given_weights_and_may_learn_its_own_units(
    fresh: Run, shared: Path, tmp_path: Path
):
    pretrain(fresh, steps=4, every=2)
    export(fresh, tmp_path / "model")
    begun = open_run(
        replace(RECIPE, units=("own",), front_end_steps=0),
        shared,
        tmp_path,
        "cpu",
        ARCHITECTURE,
        tmp_path / "model",
    )
    for (name, one), other in zip(
        fresh.training.model.state_dict().items(),
        begun.training.model.state_dict().values(),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3, msg=name)
    (units,) = begun.units
    assert len(set(units.labels.tolist())) == RECIPE.n_clusters
    pretrain(begun, steps=2)
    export(begun, tmp_path / "second")
    stages = read_stages(tmp_path / "second")
    assert [(stage.recipe.units, stage.steps, list(stage.accuracy)) for stage in stages] == [
        (("mfcc",), 4, ["mfcc"]),
        (("own",), 2, ["own"]),
    ]
    assert "2 steps teach the whole model" in (tmp_path / "second" / "README.md").read_text(
        encoding="utf-8"
    )
    fresh.training.save(tmp_path / "other.pt")
    with pytest.raises(RunMismatch, match=r"start: ''"):
        begun.training.load(tmp_path / "other.pt")


def test_a_damaged_record_of_the_stages_is_refused(tmp_path: Path):
    (tmp_path / "training.json").write_text('[{"recipe": {}}]', encoding="utf-8")
    with pytest.raises(ProbeError, match=r"training\.json: damaged"):
        read_stages(tmp_path)


def test_what_a_run_cannot_begin_with_is_refused(shared: Path, tmp_path: Path):
    with pytest.raises(ProbeError, match=r"no model.safetensors.*Give it: start"):
        open_run(RECIPE, shared, tmp_path, "cpu", ARCHITECTURE, tmp_path / "none")
    with pytest.raises(ProbeError, match="start=embedded"):
        open_run(replace(RECIPE, units=("own",)), shared, tmp_path, "cpu", ARCHITECTURE)

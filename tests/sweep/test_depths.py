"""Heads by depth: rows, resumption, memory, the frames tier, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planted import plant

from analysis.plots.kinds import PLOTS
from analysis.reports.report import save_all
from analysis.runs.loading import load
from cache import Cache, ProbeError
from probing.heads import training
from probing.heads.checkpoints import TrainingState
from probing.heads.head import load_head
from probing.heads.recipes import recipe_of
from probing.heads.stack import Model
from probing.metrics import eer
from probing.runs import Run
from probing.sweep import DepthOptions, SweepOptions, sweep
from probing.sweep.training_log import (
    TrainingLog,
    check_tracker,
    read_training,
    track,
    training_table,
)
from probing.targets.metrics import METRICS

HEADS = ("weighted-sum+linear", "attentive-compact+linear")
QUICK = SweepOptions(
    resamples=200,
    strengths=(1e-2,),
    control_seeds=(),
    depths=DepthOptions(heads=HEADS, seeds=(0, 1), weight_decays=(0.01, 1.0)),
)


@pytest.fixture(scope="module")
def run(cache_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return sweep(
        cache_folder, tmp_path_factory.mktemp("depths") / "hand.run", QUICK, say=lambda text: None
    )


def test_every_head_depth_and_seed_has_its_rows_and_the_mean_its_interval(run: Run) -> None:
    depths = run.results[run.results["experiment"] == "depth"]
    assert set(depths["head"]) == set(HEADS)
    assert sorted(depths["depth"].unique()) == [1, 2, 3]
    means = depths[depths["seed"].isna()].set_index(["head", "depth", "split"])["value"]
    of_seeds = depths[depths["seed"].notna()].groupby(["head", "depth", "split"])["value"].mean()
    pd.testing.assert_series_equal(means.sort_index(), of_seeds.sort_index(), check_names=False)
    whole = depths[depths["seed"].isna()]
    assert ((whole["low"] <= whole["value"]) & (whole["value"] <= whole["high"])).all()


def test_a_stored_head_gives_the_stored_scores(run: Run, cache_folder: Path) -> None:
    cache = Cache(cache_folder)
    for depth in (1, 3):
        for name in HEADS:
            head = load_head(run.folder / "heads" / f"{name}-depth-{depth:02d}.safetensors")
            table = cache.select({"split": "eval"})
            scores = head.score(cache.pooled(head.layers, table))
            stored = pd.read_csv(
                run.folder / "scores" / f"{head.name}.eval.txt", sep=" ", header=None
            )
            np.testing.assert_allclose(scores, stored[3], atol=1e-5)
            assert list(stored[0]) == list(table["utterance_id"])
            rows = run.results.query(
                "experiment == 'depth' and head == @name and depth == @depth and split == 'eval'"
            )
            assert np.isclose(rows["value"], eer(table["label"] == "bonafide", scores)).any()


def test_contributions_are_given_in_every_view(run: Run) -> None:
    rows = run.results[run.results["experiment"] == "contribution"]
    views = rows.groupby("head")["metric"].unique().map(set)
    assert views["weighted-sum+linear"] == {
        "weight",
        "weight_x_norm",
        "eer_without",
        "eer_permuted",
    }
    assert views["attentive-compact+linear"] == {
        "gate",
        "gate_sd",
        "gate_start",
        "eer_without",
        "eer_permuted",
    }
    weights = rows[(rows["metric"] == "weight") & (rows["seed"] == 0)]["value"]
    assert weights.sum() == pytest.approx(1)
    conditions = set(rows[rows["metric"] == "gate"]["condition"])
    assert conditions == {
        "all",
        "label=bonafide",
        "label=spoof",
        "attack=A00",
        "attack=A01",
        "attack=A02",
    }


def test_a_killed_sweep_goes_on_and_ends_as_if_it_had_not_been(
    run: Run, cache_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_EVERY_S", 0.0)
    save, saves = TrainingState.save, []

    def save_then_die(state: TrainingState, path: Path) -> None:
        save(state, path)
        saves.append(state.epoch)
        if len(saves) == 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(TrainingState, "save", save_then_die)
    with pytest.raises(KeyboardInterrupt):
        sweep(cache_folder, tmp_path / "r", QUICK, say=lambda text: None)
    assert not (tmp_path / "r").exists()
    again = sweep(cache_folder, tmp_path / "r", QUICK, say=lambda text: None)
    assert saves[7] == 8  # went on, not from the start
    pd.testing.assert_frame_equal(again.results, run.results)
    assert [path.name for path in again.folder.glob("training*")] == ["training.csv"]
    assert (again.folder / "training.csv").read_bytes() == (
        run.folder / "training.csv"
    ).read_bytes()


def test_the_training_of_every_head_is_kept_by_epoch_and_drawn(run: Run) -> None:
    table = read_training(run.folder)
    epochs = QUICK.depths.training().epochs
    of_models = table.groupby(["head", "depth", "seed"])
    assert len(of_models) == 2 * 3 * 2
    rows = run.results[(run.results["experiment"] == "depth") & (run.results["split"] == "dev")]
    on_dev = rows[rows["metric"] == "eer"].set_index(["head", "depth", "seed"])["value"]
    for (head, depth, seed), of in of_models:
        assert of["epoch"].tolist() == list(range(1, len(of) + 1))
        assert len(of) == epochs or of["dev_loss"].idxmin() < of.index[-1]
        assert of.index[of["kept"] == 1].tolist() == [of["dev_loss"].idxmin()]
        assert of["dev_eer"].notna().all()
        assert of["dev_eer"].nunique() > 1
        assert of["dev_eer"][of["kept"] == 1].tolist() == [
            pytest.approx(on_dev[head, depth, seed], abs=1e-5)
        ]
        assert of["train_loss"].iloc[-1] < of["train_loss"].iloc[0]
    drawn = PLOTS["training"].draw([load(run)])
    assert set(HEADS) <= {line.get_label() for line in drawn.get_lines()}
    _, below = drawn.figure.axes
    shown = {
        head: of["dev_eer"]
        for head, of in table[(table["depth"] == 3) & (table["seed"] == 0)].groupby("head")
    }
    curves = [line.get_ydata() for line in below.get_lines() if line.get_linestyle() == "-"]
    for head, curve in zip(HEADS, curves, strict=True):
        np.testing.assert_allclose(curve, 100 * shown[head])
    shown = PLOTS["training"].numbers([load(run)])
    assert set(zip(shown["head"], shown["depth"], shown["seed"], strict=True)) == {
        (head, 3, 0) for head in HEADS
    }


def test_a_table_of_many_models_leaves_epochs_out_but_none_that_was_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("probing.sweep.training_log.MOST_ROWS", 100)
    epochs = np.linspace(1, 0, 40, dtype=np.float32)[:, None].repeat(3, axis=1)
    epochs[33, 1] = -1
    logs = [TrainingLog(Model("mean", "linear", depth), epochs) for depth in range(5)]
    table = training_table(logs, QUICK.depths.training(), METRICS["eer"])
    assert len(table) == 5 * 21
    assert table["epoch"].unique().tolist() == [*range(1, 34, 2), 34, *range(35, 40, 2)]
    assert (table["kept"] == (table["epoch"] == 34)).all()


def test_the_successors_of_the_best_epochs_are_what_a_recipe_keeps() -> None:
    epochs = np.array(
        [[3, 3, 0.3], [2, 1, 0.2], [2, 2, 0.1], [1, 0, 0.1], [np.nan, np.nan, np.nan]], np.float32
    )
    recipe = replace(recipe_of("attm-released", "frames"), keep=2)
    table = TrainingLog(Model("mean", "linear", 1), epochs).table(recipe, METRICS["eer"])
    assert table["kept"].tolist() == [0, 0, 1, 0]  # the best epoch is the last and has no successor


def test_trackers_that_are_not_there_are_refused_and_tensorboard_has_a_run_a_model(
    run: Run, tmp_path: Path
) -> None:
    with pytest.raises(ProbeError, match="track=wandb: expected none or tensorboard"):
        check_tracker("wandb")
    pytest.importorskip("tensorboard")
    for _ in range(2):
        track(run.folder, tmp_path)
    assert (
        sorted(path.name for path in tmp_path.iterdir())[0]
        == "attentive-compact+linear-depth-01-seed-0"
    )
    assert all(len(list(path.iterdir())) == 1 for path in tmp_path.iterdir())


def test_memory_changes_no_result(run: Run, cache_folder: Path, tmp_path: Path) -> None:
    again = sweep(cache_folder, tmp_path / "r", QUICK, memory_gb=1e-4, say=lambda text: None)
    pd.testing.assert_frame_equal(again.results, run.results, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": ("best",)}, "heads=best: expected MERGE"),
        ({"heads": ("mean+lstm",)}, "tier=frames"),
        ({"tier": "words"}, "tier=words"),
        ({"recipe": "secret"}, "recipe=secret"),
        ({"seeds": ()}, "seeds=0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ProbeError, match=message):
        DepthOptions(**options)


def test_a_depth_or_tier_that_the_cache_does_not_have_is_refused(
    cache_folder: Path, tmp_path: Path
) -> None:
    deep = SweepOptions(
        resamples=100, strengths=(0.1,), control_seeds=(), depths=DepthOptions(depths=(9,))
    )
    with pytest.raises(ProbeError, match="depths=9"):
        sweep(cache_folder, tmp_path / "r", deep, say=lambda text: None)
    frames = SweepOptions(
        resamples=100,
        strengths=(0.1,),
        control_seeds=(),
        depths=DepthOptions(tier="frames", heads=("weighted-sum+lstm",)),
    )
    with pytest.raises(ProbeError, match="no tier 'frames'"):
        sweep(cache_folder, tmp_path / "r3", frames, say=lambda text: None)


def test_heads_that_weigh_no_layer_have_a_report_all_the_same(
    cache_folder: Path, tmp_path: Path
) -> None:
    options = replace(
        QUICK,
        depths=DepthOptions(heads=("mean+linear",), seeds=(0,), epochs=1, weight_decays=(0.1,)),
    )
    run = sweep(cache_folder, tmp_path / "run", options, say=lambda text: None)
    save_all(run)
    assert (run.folder / "report.html").exists()
    assert {path.stem for path in (run.folder / "figures").iterdir()} >= {
        "layer-curve",
        "depth-curve",
    }


def test_selected_layers_are_those_of_the_best_probes_on_dev_and_stored_with_the_head(
    tmp_path: Path,
) -> None:
    cache = plant(tmp_path / "planted.cache", {2: 1.5, 4: 2.0, 5: 2.5, 6: 1.0}, n=(100, 100, 60))
    heads = ("selected+linear", "se+linear", "gumbel+linear")
    depths = DepthOptions(heads=heads, seeds=(0,), depths=(2, 6), weight_decays=(0.1,), epochs=6)
    run = sweep(
        cache, tmp_path / "selected.run", replace(QUICK, depths=depths), say=lambda text: None
    )
    dev = run.results.query(
        "experiment == 'layer' and split == 'dev' and metric == 'eer' and layer > 0"
    )
    best = dev.sort_values(["value", "layer"])["layer"].tolist()
    for depth in (2, 6):
        head = load_head(run.folder / "heads" / f"selected+linear-depth-{depth:02d}.safetensors")
        weighed = (head.stack.merge.weights()[0] > 0).nonzero()[:, 0] + 1
        assert weighed.tolist() == sorted([layer for layer in best if layer <= depth][:4])
        stored = pd.read_csv(run.folder / "scores" / f"{head.name}.eval.txt", sep=" ", header=None)
        x = Cache(cache).pooled(head.layers, Cache(cache).select({"split": "eval"}))
        np.testing.assert_allclose(head.score(x), stored[3], atol=1e-5)
    gumbel = run.results.query(
        "experiment == 'contribution' and head == 'gumbel+linear' and metric == 'weight'"
    )
    assert sorted(gumbel["value"]) == [0, 0, 0, 0, 0, 1]

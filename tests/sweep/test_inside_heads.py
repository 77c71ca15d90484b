"""Heads that are trained on frames and segments, and in folds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from frames_that_tell import intervals, write_frames

from analysis.plots.localisation import localisation_table
from cache import Cache, ProbeError
from probing.heads.head import load_head
from probing.runs import Run
from probing.serving import ServingError, choose_head
from probing.sweep import head_sources as sources
from probing.sweep import sweep
from probing.sweep.depths import fit_depths
from probing.sweep.dividing import fold_parts
from probing.sweep.options import DepthOptions, SweepOptions
from probing.sweep.training_log import read_training
from probing.targets.options import TargetOptions

HEADS = DepthOptions(
    heads=("mean+linear", "attentive-compact+linear"), seeds=(0,), epochs=6, weight_decays=(0.01,)
)
QUIET = {"strengths": (1.0,), "control_seeds": (), "resamples": 200}


def values_at(run: Run, head: str) -> pd.Series:
    rows = run.rows("depth")
    return rows[(rows["head"] == head) & rows["seed"].isna()].set_index("depth")["value"]


@pytest.mark.parametrize("unit", ["frame", "segment"])
def test_heads_read_units(phones: tuple[Path, Path], tmp_path: Path, unit: str) -> None:
    cache, labels = phones
    options = SweepOptions(
        **QUIET, depths=HEADS, target=TargetOptions(labels=str(labels), target="phone", unit=unit)
    )
    run = sweep(cache, tmp_path / "u.run", options, say=lambda text: None)
    assert set(run.rows("depth")["head"]) == set(HEADS.heads)
    assert (values_at(run, "mean+linear") > 0.5).all()  # layer 1 is in both
    head = load_head(run.folder / "heads" / "mean+linear-depth-02.safetensors")
    assert (head.tier, head.dim, head.config()["tier"]) == ("unit", 5, "unit")
    split = options.splits(Cache(cache))["eval"]
    x = np.stack([sources.features_of(split, layer, split.table) for layer in head.layers])
    figures = split.task.trials(split.target, head.score(x)).figures()
    stored = run.scored(run.trials("mean+linear-depth-02")).figures()
    assert figures["balanced_accuracy"] == pytest.approx(stored["balanced_accuracy"])
    assert figures["cross_entropy"] == pytest.approx(stored["cross_entropy"], rel=1e-5)
    worse = run.rows("contribution").query(
        "metric == 'balanced_accuracy_without' and head == 'mean+linear'"
    )
    assert worse.set_index("layer")["value"].idxmin() == 1
    with pytest.raises(ServingError, match="one vector of a"):
        choose_head(run, any_target=True)


def test_units_beyond_the_memory_are_read_from_a_file_and_give_the_same(
    phones: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache, labels = phones
    target = TargetOptions(labels=str(labels), target="phone", unit="frame")
    splits = SweepOptions(target=target).splits(Cache(cache))
    found = []
    for i, memory_gb in enumerate((2.0, 1e-5)):
        (tmp_path / str(i)).mkdir()
        if i:
            monkeypatch.setattr(sources, "READ_VALUES", 700)  # blocks of evaluation
        found.append(
            fit_depths(Cache(cache), splits, HEADS, tmp_path / str(i), memory_gb=memory_gb)
        )
        assert not [path for path in (tmp_path / str(i)).iterdir() if not path.name.endswith(".pt")]
    for one, other in zip(*found, strict=True):
        assert one.model == other.model
        assert all(
            (one.scores[part]["chosen"] == other.scores[part]["chosen"]).all()
            for part in ("dev", "eval")
        )
        np.testing.assert_allclose(
            one.scores["eval"]["bits"], other.scores["eval"]["bits"], rtol=1e-5
        )


def test_heads_of_a_fold_are_those_trained_without_it(
    phones: tuple[Path, Path], tmp_path: Path
) -> None:
    cache, labels = phones
    target = TargetOptions(
        labels=str(labels), target="phone", unit="segment", split_by="clip", folds=3
    )
    options = SweepOptions(**QUIET, depths=HEADS, target=target)
    run = sweep(cache, tmp_path / "f.run", options, say=lambda text: None)
    splits = options.splits(Cache(cache))
    folds = splits["train"].folds
    assert folds is not None
    scored = run.trials("mean+linear-depth-02").set_index("utterance_id")["bits"]
    for rows in list(fold_parts(folds))[1:2]:
        parts = {part: splits[part].take(chosen) for part, chosen in rows.items()}
        assert all(split.folds is None for split in parts.values())
        (tmp_path / "one").mkdir()
        alone = fit_depths(Cache(cache), parts, replace(HEADS, depths=(2,)), tmp_path / "one")
        mine = next(head for head in alone if head.model.head == "mean+linear")
        expected = pd.Series(mine.scores["eval"]["bits"], parts["eval"].table["utterance_id"])
        np.testing.assert_allclose(scored[expected.index], expected, rtol=1e-4)
    assert (values_at(run, "mean+linear") > 0.5).all()
    weights = run.rows("contribution").query("metric == 'weight' and head == 'mean+linear'")
    assert weights["value"].sum() == pytest.approx(1)
    assert not list((run.folder / "heads").glob("mean*"))  # every fold has one of its own
    trained = read_training(run.folder)
    assert set(trained["fold"]) == {0, 1, 2}
    of_fold = trained.query("head == 'mean+linear' and depth == 2 and fold == 1")["dev_loss"]
    np.testing.assert_allclose(of_fold, mine.logs[0].epochs[: len(of_fold), 1], rtol=1e-4)


def test_folds_of_utterances_train_heads_for_spoofing_and_numbers(
    phones: tuple[Path, Path], tmp_path: Path
) -> None:
    cache, _ = phones
    table = (
        Cache(cache)
        .utterances[["utterance_id"]]
        .assign(size=np.random.default_rng(0).normal(size=48))
    )
    table.to_csv(tmp_path / "size.csv", index=False)
    target = TargetOptions(
        labels=str(tmp_path / "size.csv"), target="size", split_by="speaker", folds=3
    )
    run = sweep(
        cache,
        tmp_path / "n.run",
        SweepOptions(**QUIET, depths=HEADS, target=target),
        say=lambda text: None,
    )
    scored = run.trials("mean+linear-depth-02")
    assert len(scored) == 48
    assert scored["predicted"].between(-4, 4).all()
    with pytest.raises(ServingError, match="cross-validation"):
        choose_head(run, any_target=True)


def test_heads_locate_spoofed_frames(tmp_path: Path) -> None:
    stretches = intervals(("bonafide", "spoof"), 1)
    stretches.to_csv(tmp_path / "s.csv", index=False)
    cache = write_frames(tmp_path / "s.cache", stretches, ("bonafide", "spoof"))
    options = SweepOptions(
        **QUIET, depths=HEADS, target=TargetOptions(labels=str(tmp_path / "s.csv"), unit="frame")
    )
    run = sweep(cache, tmp_path / "s.run", options, say=lambda text: None)
    rows = run.rows("localisation").query("metric == 'range_eer' and head == 'mean+linear'")
    assert list(rows["depth"]) == [1, 2]
    assert (rows["value"] < 0.3).all()
    assert rows[["low", "high"]].notna().all(axis=None)
    assert localisation_table(run, head="mean+linear").index.tolist() == [1, 2]
    assert localisation_table(run)["range EER"].idxmin() == 1
    with pytest.raises(
        ProbeError, match=r"It has: attentive-compact\+linear, linear, mean\+linear"
    ):
        localisation_table(run, head="sls+linear")


def test_heads_of_units_are_trained_if_asked_for_and_of_their_vectors(
    phones: tuple[Path, Path],
) -> None:
    _, labels = phones
    target = TargetOptions(labels=str(labels), target="phone", unit="frame")
    assert SweepOptions(target=target).depths.heads == ()
    assert (
        SweepOptions(
            target=replace(target, unit="", labels="", split_by="speaker", folds=3)
        ).depths.heads
        == ()
    )
    assert SweepOptions(target=target, depths=HEADS).depths == HEADS
    with pytest.raises(ProbeError, match="tier=frames: heads of a frame see one vector"):
        SweepOptions(target=target, depths=DepthOptions(tier="frames"))
    with pytest.raises(ProbeError, match="heads=mean"):
        SweepOptions(target=target, depths=DepthOptions(heads=("mean+lstm",)))

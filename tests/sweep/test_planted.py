"""What was planted is found: the depth, the layers that carry it, and nothing where there is
nothing.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planted import plant

from analysis.runs.gates import gate_agreement, gate_changes
from cache import Cache, ProbeError
from cache.table import PLACE_COLUMNS
from cache.writer import CacheWriter
from probing.audio import MEASURES
from probing.runs import Run
from probing.sweep import SweepOptions, sweep
from probing.sweep.options import DepthOptions

N_LAYERS, COUNTS = 6, (400, 200, 600)
SUM, ATTENTIVE = "weighted-sum+linear", "attentive-compact+linear"


def swept(folder: Path, head: str, planted: Iterable[int], apart: float) -> Run:
    plant(folder / "c", dict.fromkeys(planted, apart), n_layers=N_LAYERS, n=COUNTS)
    depths = DepthOptions(heads=(head,), seeds=(0,), weight_decays=(0.1,))
    options = SweepOptions(strengths=(1e-2,), control_seeds=(), resamples=200, depths=depths)
    return sweep(folder / "c", folder / "r", options, say=lambda text: None)


def by_layer(run: Run, metric: str) -> pd.Series:
    rows = run.results[(run.results["metric"] == metric) & (run.results["condition"] == "all")]
    return rows.set_index("layer")["value"]


def largest(values: pd.Series, n: int) -> set[int]:
    return {int(layer) for layer in values.nlargest(n).index}


@pytest.mark.parametrize(
    ("head", "planted", "apart", "depth"),
    [
        (SUM, {2}, 3.0, 2),
        (SUM, {4}, 3.0, 4),
        (SUM, {6}, 3.0, None),
        (ATTENTIVE, {2, 4, 6}, 2.0, None),
    ],
)
def test_the_planted_layers_are_found(
    head: str, planted: set[int], apart: float, depth: int | None, tmp_path: Path
) -> None:
    run = swept(tmp_path, head, planted, apart)
    finding = run.record["depth_finding"]
    assert finding["depth"] == depth
    assert finding["reason"] == ("" if depth else "no-depth")
    assert finding["full"] == N_LAYERS
    for metric in ("eer_permuted", "eer_without"):
        assert largest(by_layer(run, metric), len(planted)) == planted
    if head == SUM:
        assert largest(by_layer(run, "weight"), len(planted)) == planted
        assert largest(by_layer(run, "weight_x_norm"), len(planted)) == planted


@pytest.mark.parametrize("planted", [2, pytest.param(4, marks=pytest.mark.long)])
def test_gates_alone_tell_of_a_layer_only_as_the_mean_change_of_many_seeds(
    planted: int, tmp_path: Path
) -> None:
    plant(tmp_path / "c", {planted: 3.0}, n_layers=N_LAYERS, n=COUNTS)
    depths = DepthOptions(
        heads=(ATTENTIVE,), seeds=tuple(range(10)), weight_decays=(0.1,), depths=(N_LAYERS,)
    )
    options = SweepOptions(strengths=(1e-2,), control_seeds=(), resamples=100, depths=depths)
    run = sweep(tmp_path / "c", tmp_path / "r", options, say=lambda text: None)
    changes = gate_changes(run)
    assert largest(changes.groupby("layer")["change"].mean(), 1) == {planted}
    tops = changes.loc[changes.groupby("seed")["share"].idxmax(), "layer"]
    assert (tops == planted).sum() < 9  # of ten: the highest gate of a seed is no finding
    agreement = gate_agreement(run).iloc[0]
    assert agreement["kendall_w"] < 0.7
    assert agreement["start_high"] > 0.9


def test_some_depths_are_still_compared_with_all_layers(tmp_path: Path) -> None:
    plant(tmp_path / "c", {2: 3.0}, n_layers=4)
    depths = DepthOptions(heads=(SUM,), seeds=(0,), weight_decays=(0.1,), depths=(2, 3), epochs=3)
    options = SweepOptions(strengths=(1e-2,), control_seeds=(), resamples=100, depths=depths)
    run = sweep(tmp_path / "c", tmp_path / "r", options, say=lambda text: None)
    assert set(run.results["depth"].dropna()) == {2, 3, 4}
    assert run.record["depth_finding"]["full"] == 4
    wrong = replace(options, depths=replace(depths, depths=(5,)))
    with pytest.raises(ProbeError, match="Expected depths among them"):
        sweep(tmp_path / "c", tmp_path / "s", wrong, say=lambda text: None)


@pytest.mark.parametrize("head", [SUM, ATTENTIVE])
def test_nothing_is_found_in_noise(head: str, tmp_path: Path) -> None:
    run = swept(tmp_path, head, (), 0.0)
    assert (run.record["depth_finding"]["reason"], run.record["depth_finding"]["depth"]) == (
        "chance",
        None,
    )
    assert "is not shown to be better than chance" in run.sentence


def test_a_planted_cache_is_what_it_says(tmp_path: Path) -> None:
    cache = Cache(plant(tmp_path / "c", {3: 2.0}, n=(2000, 20, 20), dim=4, correlation=0.8))
    table = cache.select({"split": "train"})
    x, bonafide = cache.pooled(table=table), (table["label"] == "bonafide").to_numpy()
    between = x[:, bonafide, 0].mean(1) - x[:, ~bonafide, 0].mean(1)
    apart = np.linalg.norm(between, axis=1)
    assert apart[3] == pytest.approx(2, abs=0.2)
    assert np.delete(apart, 3).max() < 0.25
    noise = x[:, bonafide, 0, 0]
    for a, b in ((0, 1), (4, 5), (4, 6)):
        assert np.corrcoef(noise[a], noise[b])[0, 1] == pytest.approx(0.8 ** (b - a), abs=0.06)
    assert x.std(axis=(1, 2, 3))[[0, 1, 6]] == pytest.approx(1, abs=0.05)
    assert set(table.groupby("speaker")["label"].nunique()) == {2}
    with pytest.raises(ValueError, match="expected layers among 0 to 6"):
        plant(tmp_path / "d", {7: 1.0})


def test_one_head_a_depth_and_seed_whatever_the_memory(tmp_path: Path) -> None:
    plant(tmp_path / "c", {2: 3.0}, n_layers=2)
    depths = DepthOptions(heads=(ATTENTIVE,), seeds=(0, 1), weight_decays=(0.1, 3.0), epochs=2)
    options = SweepOptions(strengths=(1e-2,), control_seeds=(), resamples=100, depths=depths)
    runs = [
        sweep(tmp_path / "c", tmp_path / f"r{gb}", options, memory_gb=gb, say=lambda text: None)
        for gb in (1.0, 1e-5)
    ]
    pd.testing.assert_frame_equal(runs[0].results, runs[1].results, atol=0.02)


def test_utterances_that_could_not_be_used_take_no_part_and_the_run_says_how_many(
    tmp_path: Path,
) -> None:
    folder = plant(tmp_path / "c", {1: 3.0}, n_layers=1)
    known = Cache(folder)
    marked = known.utterances.tail(3).assign(utterance_id=["x", "y", "z"])
    corpus = pd.concat([known.utterances, marked]).drop(columns=[*PLACE_COLUMNS, *MEASURES])
    with CacheWriter(folder, replace(known.manifest, shards=()), corpus) as writer:
        for index, rows in writer.pending():
            writer.finish_shard(
                index,
                None,
                dict.fromkeys(rows["utterance_id"], "hidden states are not finite: all"),
            )
    messages: list[str] = []
    options = SweepOptions(
        strengths=(1e-2,), control_seeds=(), resamples=200, depths=DepthOptions(heads=())
    )
    run = sweep(folder, tmp_path / "r", options, say=messages.append)
    assert (
        f"{folder}: 3 utterances could not be used and take no "
        "part (3 hidden states are not finite)." in messages
    )
    assert run.record["unusable"] == {str(folder): {"hidden states are not finite": 3}}
    assert not {"x", "y", "z"} & set(run.trials("linear-layer-01")["utterance_id"])
    assert sum(run.record["counts"]["eval"].values()) == (known.utterances["split"] == "eval").sum()

"""Many models trained together end as each alone, whatever the memory and the interruptions."""

import gc
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from threading import active_count

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from cache import Cache
from cache.manifest import Manifest
from cache.writer import CacheWriter
from probing.audio import MEASURES
from probing.heads import training
from probing.heads.recipes import Recipe
from probing.heads.scoring import scores_of
from probing.heads.sources import FRAME_COPIES, Batch, FrameSource, PooledSource, Source, prefetched
from probing.heads.stack import HeadStack, Model, make_stacks
from probing.heads.training import train
from probing.metrics import eer

N, N_LAYERS, DIM = 60, 3, 4
BONAFIDE = np.arange(N) % 2 == 0
RECIPE = Recipe(batch=16, epochs=4, min_epochs=1, learning_rates=(3e-3,), keep=2)
FRAMES = replace(RECIPE, n_frames=5)


def planted(seed: int, strength: float = 2) -> NDArray[np.float64]:
    x = np.random.default_rng(seed).normal(size=(N_LAYERS, N, 2 * DIM))
    x[1, BONAFIDE, 0] += strength
    return 5 + 3 * x


def models(
    merge: str = "attentive-compact", backend: str = "linear", depths: tuple[int, ...] = (1, 2, 3)
) -> list[Model]:
    return [
        Model(merge, backend, depth, seed, 3e-3, decay)
        for depth in depths
        for seed in (0, 1)
        for decay in (0.01, 3)
    ]


def fit(
    stacks: list[HeadStack],
    train_source: Source,
    dev_source: Source,
    recipe: Recipe,
    **more: object,
) -> list[Tensor]:
    """Scores on dev of stacks trained here."""
    train(stacks, train_source, BONAFIDE, dev_source, BONAFIDE, recipe, **more)  # type: ignore[arg-type]
    return scores_of(stacks, dev_source)


@pytest.fixture(scope="module")
def frames_cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Both tiers of N utterances a split, 2 to 8 frames each."""
    folder, generator = tmp_path_factory.mktemp("heads") / "frames.cache", np.random.default_rng(0)
    labels = ["bonafide" if bonafide else "spoof" for bonafide in BONAFIDE]
    corpus = pd.concat(
        pd.DataFrame(
            {
                "utterance_id": [f"{split}-{i:02d}" for i in range(N)],
                "path": "none.wav",
                "split": split,
                "label": labels,
                "speaker": [f"{split}-{i % 10}" for i in range(N)],
                "attack": ["-" if label == "bonafide" else "A01" for label in labels],
            }
        )
        for split in ("train", "dev")
    )
    tiers = {"pooled": "float32", "frames": "float32"}
    about = {"backbone": "hand made", "random_weights": False}
    manifest = Manifest(
        {"made": "by hand"}, tuple(range(N_LAYERS + 1)), DIM, tiers, MEASURES, about
    )
    with CacheWriter(folder, manifest, corpus, shard_size=50) as writer:
        for index, table in list(writer.pending()):
            n, counts = len(table), generator.integers(2, 9, len(table))
            measures = {name: generator.normal(size=n) for name in MEASURES}
            shard = writer.start_shard(
                index, list(table["utterance_id"]), [800] * n, list(counts), measures
            )
            for layer in range(N_LAYERS + 1):
                for row, (count, label) in enumerate(zip(counts, table["label"], strict=True)):
                    x = generator.normal(size=(count, DIM)) + (label == "bonafide") * (layer == 2)
                    shard.write(row, "frames", layer, x, 1)
                    shard.write(row, "pooled", layer, np.stack([x.mean(0), x.std(0)])[None], 1)
            writer.finish_shard(index, shard, {})
    return Cache(folder)


def frame_sources(cache: Cache, n_frames: int | None = 5) -> tuple[FrameSource, FrameSource]:
    first, second = (
        FrameSource(cache, cache.select({"split": split}), n_frames) for split in ("train", "dev")
    )
    return first, second


@pytest.mark.parametrize(
    "head", ["weighted-sum+linear", "sls+mlp", "attentive-compact+linear", "attentive+linear"]
)
def test_a_stack_trains_as_each_model_alone(head: str) -> None:
    merge, backend = head.split("+")
    members = models(merge, backend, (N_LAYERS,) if merge == "attentive" else (1, 2, 3))
    together = HeadStack(members, N_LAYERS, 2 * DIM, False)
    fit([together], PooledSource(planted(0)), PooledSource(planted(1)), RECIPE)
    for m, model in enumerate(members):
        # and of no deeper stack
        alone, seen = HeadStack([model], model.depth, 2 * DIM, False), slice(model.depth)
        fit([alone], PooledSource(planted(0)[seen]), PooledSource(planted(1)[seen]), RECIPE)
        for name, value in alone.named_parameters():
            assert torch.allclose(value, together.take(m).get_parameter(name), atol=1e-4), (
                model,
                name,
            )


def test_a_stack_of_frames_trains_as_each_model_alone(frames_cache: Cache) -> None:
    members = models("attentive-compact", "lstm", (1, 3))[::2]
    together = fit([HeadStack(members, N_LAYERS, DIM, True)], *frame_sources(frames_cache), FRAMES)[
        0
    ]
    for m, model in enumerate(members):
        alone = fit(
            [HeadStack([model], N_LAYERS, DIM, True)], *frame_sources(frames_cache), FRAMES
        )[0]
        assert torch.allclose(alone[0], together[m], atol=1e-3)


def test_the_classes_are_learned_from_the_layer_that_tells_them() -> None:
    quick = [replace(model, learning_rate=0.03) for model in models()]
    stack = HeadStack(quick, N_LAYERS, 2 * DIM, False)
    sources = [PooledSource(planted(seed, 6)) for seed in (0, 1)]
    scores = fit([stack], *sources, replace(RECIPE, epochs=30, patience=30))[0].double().numpy()
    for model, values in zip(stack.models, scores, strict=True):
        assert (eer(BONAFIDE, values) < 0.36) == (model.depth > 1), model


@pytest.mark.parametrize("at", [1, 3])
@pytest.mark.parametrize("tier", ["pooled", "frames"])
def test_an_interrupted_training_ends_as_one_that_was_not(
    tier: str, at: int, frames_cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_EVERY_S", 0.0)
    frames = tier == "frames"
    lines: list[str] = []
    sources = (
        frame_sources(frames_cache)
        if frames
        else (PooledSource(planted(0)), PooledSource(planted(1)))
    )

    def stacks() -> list[HeadStack]:
        dim = DIM if frames else 2 * DIM
        return [
            HeadStack(models(merge), N_LAYERS, dim, frames)
            for merge in ("weighted-sum", "attentive-compact")
        ]

    def killed(text: str) -> None:
        if text.startswith(f"epoch {at + 1},"):
            raise KeyboardInterrupt

    expected = fit(stacks(), *sources, FRAMES)
    checkpoint = tmp_path / "training.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(stacks(), *sources, FRAMES, checkpoint=checkpoint, say=killed)
    found = fit(stacks(), *sources, FRAMES, checkpoint=checkpoint, say=lines.append)
    assert len(lines) == RECIPE.epochs - at
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))
    assert [path.name for path in tmp_path.iterdir()] == ["training.pt"]


def test_a_figure_on_dev_is_logged_of_every_epoch_and_changes_no_weight(tmp_path: Path) -> None:
    sources = PooledSource(planted(0)), PooledSource(planted(1))
    checkpoint = tmp_path / "training.pt"

    def rates(scores: Tensor) -> NDArray[np.float64]:
        return np.array([eer(BONAFIDE, of_model) for of_model in scores.numpy()])

    def trained(recipe: Recipe, **more: object) -> tuple[HeadStack, Tensor]:
        stack = HeadStack(models(), N_LAYERS, 2 * DIM, False)
        (log,) = train([stack], sources[0], BONAFIDE, sources[1], BONAFIDE, recipe, **more)  # type: ignore[arg-type]
        return stack, log

    recipe = replace(RECIPE, keep=1, epochs=6, patience=2)
    (bare, without), (stack, log) = trained(recipe), trained(recipe, figure=rates)
    assert all(torch.equal(value, stack.learned()[name]) for name, value in bare.learned().items())
    assert log.shape == (6, 3, len(models()))
    assert torch.equal(without[:, :2].nan_to_num(), log[:, :2].nan_to_num())
    assert without[:, 2].isnan().all()
    assert torch.equal(log[:, 2].isnan(), log[:, 1].isnan())
    best = log[:, 1].nan_to_num(torch.inf).argmin(0)
    reached = rates(scores_of([stack], sources[1])[0])
    np.testing.assert_allclose(log[best, 2, torch.arange(len(models()))], reached, atol=1e-6)
    # a checkpoint of an earlier version has losses only, and is gone on from
    trained(replace(recipe, epochs=2), checkpoint=checkpoint)
    content = torch.load(checkpoint, weights_only=True)
    content["stacks"][0]["log"] = torch.full((6, 2, len(models())), torch.nan).index_copy_(
        0, torch.arange(2), content["stacks"][0]["log"][:2, :2]
    )
    torch.save(content, checkpoint)
    again = trained(recipe, checkpoint=checkpoint, figure=rates)[1]
    assert torch.equal(again[:, :2].nan_to_num(), log[:, :2].nan_to_num())
    assert again[:2, 2].isnan().all()
    assert torch.equal(again[2:, 2].nan_to_num(), log[2:, 2].nan_to_num())


def test_a_checkpoint_of_other_models_is_not_gone_on_from(tmp_path: Path) -> None:
    sources = PooledSource(planted(0)), PooledSource(planted(1))
    checkpoint = tmp_path / "training.pt"
    fit(
        [HeadStack(models()[:2], N_LAYERS, 2 * DIM, False)], *sources, RECIPE, checkpoint=checkpoint
    )
    for members in (models()[2:4], models()):
        expected = fit([HeadStack(members, N_LAYERS, 2 * DIM, False)], *sources, RECIPE)[0]
        found = fit(
            [HeadStack(members, N_LAYERS, 2 * DIM, False)], *sources, RECIPE, checkpoint=checkpoint
        )[0]
        assert torch.equal(found, expected)


@pytest.mark.parametrize("part_size", [1, 7])
def test_parts_of_a_batch_give_the_result_of_the_whole(frames_cache: Cache, part_size: int) -> None:
    expected = fit(
        [HeadStack(models(), N_LAYERS, DIM, True)], *frame_sources(frames_cache), FRAMES
    )[0]
    sources = frame_sources(frames_cache)
    for source in sources:
        source.part_size = part_size
    found = fit([HeadStack(models(), N_LAYERS, DIM, True)], *sources, FRAMES)[0]
    assert torch.allclose(found, expected, atol=1e-3)


def test_batches_in_flight_are_within_the_memory(frames_cache: Cache) -> None:
    table = frames_cache.select({"split": "train"})
    n_bytes = 4 * N_LAYERS * DIM * int(table["n_frames"].max())
    for utterances in (7, 30):
        source = FrameSource(
            frames_cache, table, memory_gb=FRAME_COPIES * utterances * n_bytes / 1e9
        )
        for batch in source.batches(np.arange(N), 64):
            assert len(batch.rows) <= utterances
            time.sleep(0.01)  # the thread reads as far ahead as it may
            held = [4 * item.x.numel() for item in gc.get_objects() if type(item) is Batch]
            assert 1 <= len(held) < FRAME_COPIES
            assert sum(held) <= FRAME_COPIES * utterances * n_bytes


def test_fewer_models_share_a_step_where_memory_is_small_and_end_alike(frames_cache: Cache) -> None:
    members = models("weighted-sum", "lstm", (1, 3))[::2]
    one, many = (
        make_stacks(members, N_LAYERS, DIM, True, memory_gb=gb, vectors=80) for gb in (1.0, 4e-3)
    )
    assert [len(stack.models) for stack in one] == [4]
    assert 1 < len(many) <= 4
    expected = fit(one, *frame_sources(frames_cache), replace(FRAMES, epochs=1))
    found = fit(many, *frame_sources(frames_cache), replace(FRAMES, epochs=1))
    assert torch.allclose(torch.cat(found), torch.cat(expected), atol=1e-3)


def test_crops_are_within_the_utterance_and_the_first_frames_when_scoring(
    frames_cache: Cache,
) -> None:
    source, _ = frame_sources(frames_cache, 3)
    clips = frames_cache.frames(list(source.table["utterance_id"]), source.layers)
    for seed in (None, 0, 1):
        for batch in source.batches(np.arange(N)[::-1], 7, seed):
            assert batch.mask is not None
            for row, x, mask in zip(batch.rows, batch.x, batch.mask, strict=True):
                clip = torch.from_numpy(clips[row])
                n = int(mask.sum())
                assert n == min(3, clip.shape[1])
                starts = [0] if seed is None else range(clip.shape[1] - n + 1)
                assert any(torch.equal(x[:, :n], clip[:, start : start + n]) for start in starts)
                assert mask[:n].all()
                assert not x[:, n:].any()


def test_streamed_is_as_in_memory(frames_cache: Cache) -> None:
    table = frames_cache.select({"split": "dev"})
    kept, streamed = (
        PooledSource(cache=frames_cache, table=table, memory_gb=gb) for gb in (1.0, 0.0)
    )
    assert kept.x is not None
    assert streamed.x is None
    order = np.random.default_rng(0).permutation(N)
    for one, other in zip(kept.batches(order, 7), streamed.batches(order, 7), strict=True):
        assert np.array_equal(one.rows, other.rows)
        assert torch.equal(one.x, other.x)
    assert all(torch.equal(*pair) for pair in zip(kept.moments(), streamed.moments(), strict=True))
    x = frames_cache.pooled(kept.layers, table).reshape(N_LAYERS, N, -1).astype(np.float64)
    assert np.allclose(kept.moments()[0], x.mean(1), atol=1e-5)
    assert np.allclose(kept.moments()[1], x.std(1), atol=1e-5)


def test_a_feature_that_never_changes_is_left_at_its_scale() -> None:
    x = planted(0)
    x[0, :, 3] = 1e6
    mean, scale = PooledSource(x).moments()
    assert mean[0, 3] == 1e6
    assert scale[0, 3] == 1


def test_reading_ahead_gives_the_items_passes_errors_on_and_stops_its_thread() -> None:
    def items(n: int) -> Iterator[int]:
        yield from range(n)
        raise OSError("disk gone")

    before = active_count()
    assert list(prefetched(range(100))) == list(range(100))
    reader = prefetched(items(5))
    assert list(islice(reader, 5)) == list(range(5))
    with pytest.raises(OSError, match="disk gone"):
        next(reader)
    reader = prefetched(iter(range(10**9)))
    assert next(reader) == 0
    reader.close()  # type: ignore[attr-defined]
    assert active_count() == before

"""A head saved and loaded is the same head, and files that are no head are refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from probing.heads.head import Head, HeadUnusable, load_head
from probing.heads.merges import MERGES
from probing.heads.stack import HeadStack, Model
from probing.runs import RunWriter

DEPTH, DIM = 3, 4


def made(merge: str = "attentive-compact", frames: bool = False) -> Head:
    stack = HeadStack(
        [Model(merge, "lstm" if frames else "linear", DEPTH, 1)],
        DEPTH,
        DIM * (1 if frames else 2),
        frames,
    )
    stack.start()
    stack.mean.normal_()
    return Head(stack, 5 if frames else None, {"backbone": "ümlaut"})


def written(head: Head, folder: Path) -> Path:
    writer = RunWriter(folder / "r", {})
    writer.add_heads(head.name, head.tensors(), head.config())
    return writer.partial / "heads" / f"{head.name}.safetensors"


@pytest.mark.parametrize("frames", [True, False])
@pytest.mark.parametrize("merge", MERGES)
def test_a_loaded_head_scores_the_same(merge: str, frames: bool, tmp_path: Path) -> None:
    head = made(merge, frames)
    loaded = load_head(written(head, tmp_path))
    x = (
        np.random.default_rng(0)
        .normal(size=(DEPTH, 9, DIM) if frames else (DEPTH, 9, 2, DIM))
        .astype(np.float32)
    )
    assert np.array_equal(loaded.score(x), head.score(x))
    assert loaded.score(x).shape == ((1,) if frames else (9,))
    assert (loaded.config(), loaded.name) == (head.config(), head.name)
    if frames:
        assert np.array_equal(head.score(x), head.score(x[:, :5]))


def test_a_head_of_an_earlier_version_says_that_its_run_has_other_scores(tmp_path: Path) -> None:
    for frames in (True, False):
        head = made(frames=frames)
        assert (head.prior, head.note) == (0.5, "")
        path = written(head, tmp_path / str(frames))
        change(path, lambda config: config.pop("prior"))
        old = load_head(path)
        assert old.prior is None
        # those with one logit score as they did
        assert ("scored by the logit of bona fide" in old.note) == frames


@pytest.mark.parametrize(
    "shape", [(DEPTH, 9, DIM), (DEPTH - 1, 9, 2, DIM), (DEPTH, 9, 2, DIM + 1), (DEPTH, 9, 1, DIM)]
)
def test_other_layers_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(HeadUnusable, match="layers 1 to 3 of the pooled tier"):
        made().score(np.zeros(shape))


def without(name: str) -> Callable[[Path], None]:
    return lambda path: change(path, lambda config: config.pop(name))


def change(path: Path, how: Callable[[dict], object]) -> None:
    config = json.loads(path.with_suffix(".json").read_text())
    how(config)
    path.with_suffix(".json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.with_suffix(".json").unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:-7]),
        lambda path: path.write_bytes(b""),
        lambda path: path.with_suffix(".json").write_text("{"),
        lambda path: path.with_suffix(".json").write_text("[1, 2]"),
        lambda path: path.with_suffix(".json").write_bytes(b"\xff\xfe"),
        lambda path: change(path, lambda config: config.update(form="linear")),
        lambda path: change(path, lambda config: config.update(merge="median")),
        lambda path: change(path, lambda config: config.update(backend="forest")),
        lambda path: change(path, lambda config: config.update(depth=2)),
        lambda path: change(path, lambda config: config.update(depth=0)),
        lambda path: change(path, lambda config: config.update(dim="wide")),
        lambda path: save_file({"merge.query": np.zeros((1, 8), np.float32)}, path),
        without("tier"),
        without("rank"),
        without("about"),
    ],
)
def test_files_that_are_no_head_are_refused(damage: Callable[[Path], None], tmp_path: Path) -> None:
    path = written(made(), tmp_path)
    damage(path)
    with pytest.raises(HeadUnusable, match=r"(?s)no head that can be read .* probe sweep CACHE"):
        load_head(path)

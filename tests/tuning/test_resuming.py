"""A tuning that is killed, refused by the disk or stopped by its loss loses nothing, and ends as
one that was not.
"""

import math
import os
import resource
import signal
import socket
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from faults.kills import ended, forked
from small_extraction import quiet
from tuned_models import CPU, place_of, tuned_in

from cache import ProbeError
from cache.errors import CacheBusy
from cache.lock import LOCK, lock_folder
from probing.tuning import Source, TuneMachine, TuneOptions, tune
from probing.tuning.memory import out_of_memory

OFTEN = TuneMachine("cpu", checkpoint_minutes=1e-9)  # behind every step
CHANCE = {
    "dropout": True,
    "layerdrop": True,
    "crop_seconds": 0.4,
    "augment": "rawboost:5,speed:0.9-1.1",
}
WHAT = TuneOptions(epochs=2, batch=3, rate=1e-3, train="lora:2", **CHANCE)
WRONG = replace(WHAT, train="last:9")
FILES = ("model.safetensors", "head.safetensors")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    place = place_of(tmp_path_factory.mktemp("resuming"))
    return Source(place / "c.run", "weighted-sum+linear", 2)


def same(one: Path, other: Path) -> bool:
    logs = [pd.read_csv(folder / "training.csv").drop(columns="seconds") for folder in (one, other)]
    weights = all((one / name).read_bytes() == (other / name).read_bytes() for name in FILES)
    return weights and logs[0].equals(logs[1])


def test_a_killed_tuning_ends_with_the_same_bytes(source: Source, tmp_path: Path) -> None:
    tune(source, tmp_path / "right", WHAT, CPU, say=quiet)
    folder = tmp_path / "killed"
    checkpoint = folder.with_name("killed.partial") / "checkpoint.pt"
    for within in (0.0, 0.15, 0.3):

        def work() -> None:
            tune(source, folder, WHAT, OFTEN, say=quiet)

        assert ended(forked(work, tmp_path / "log"), within, checkpoint.is_file) is None, (
            tmp_path / "log"
        ).read_text()
        assert not folder.exists()
    tune(source, folder, WHAT, OFTEN, say=quiet)
    assert same(tmp_path / "right", folder)
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".partial")] == []


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != LOCK}


@pytest.mark.long
def test_what_a_killed_tuning_left_is_gone_on_from_or_replaced_when_asked(
    source: Source, tmp_path: Path
) -> None:
    messages: list[str] = []

    def stop(text: str) -> None:
        messages.append(text)
        if text.startswith("Epoch 5"):
            raise KeyboardInterrupt

    def start(options: TuneOptions, *, overwrite: bool = False) -> None:
        tune(source, tmp_path / "t", options, CPU, overwrite=overwrite, say=stop)

    with pytest.raises(KeyboardInterrupt):
        start(WHAT)
    other, left = replace(WHAT, seed=1), contents(tmp_path / "t.partial")
    for refused, message in (
        (other, r"t\.partial: holds a tuning that was killed"),
        (WRONG, "has 2 blocks here"),
    ):
        with pytest.raises(ProbeError, match=message):
            start(refused, overwrite=refused is WRONG)
        assert contents(tmp_path / "t.partial") == left
    with pytest.raises(KeyboardInterrupt):
        start(WHAT)
    assert messages[-2].startswith("Goes on from epoch 5,")
    with pytest.raises(KeyboardInterrupt):
        start(other, overwrite=True)
    assert not messages[-2].startswith("Goes on")
    with pytest.raises(KeyboardInterrupt):
        start(other)
    assert messages[-2].startswith("Goes on from epoch 5,")


@pytest.mark.parametrize("name", ["notes.txt", "configuration.json"])
def test_a_folder_that_is_no_tunings_is_not_touched(
    name: str, source: Source, tmp_path: Path
) -> None:
    mine = tmp_path / "t.partial" / name
    mine.parent.mkdir()
    mine.write_text('{"options": {}}')
    for overwrite in (False, True):
        with pytest.raises(
            ProbeError, match=r"t\.partial: is there and is nothing that a tuning left"
        ):
            tune(source, tmp_path / "t", WHAT, CPU, overwrite=overwrite, say=quiet)
    assert contents(mine.parent) == {name: b'{"options": {}}'}
    assert list(tmp_path.iterdir()) == [mine.parent]


@pytest.mark.long
def test_two_processes_give_the_losses_of_one(source: Source, tmp_path: Path) -> None:
    options = TuneOptions(epochs=2, batch=5, rate=1e-3)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def work(rank: int) -> None:
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        tune(source, tmp_path / "two", options, CPU, with_eval=False, say=quiet)

    children = [forked(partial(work, rank), tmp_path / f"log-{rank}") for rank in (0, 1)]
    codes = [ended(child) for child in children]
    assert codes == [0, 0], (tmp_path / "log-0").read_text()
    tuned_in(tmp_path / "one", source, options)
    one, two = (pd.read_csv(tmp_path / name / "training.csv") for name in ("one", "two"))
    for name in ("train_loss", "dev_loss"):
        assert np.allclose(one[name], two[name], rtol=1e-4, equal_nan=True)
    assert (one["train_loss"].iloc[2] - one["train_loss"].iloc[1]) ** 2 > 1e-8  # it did learn


def test_one_process_at_a_time_writes_a_model(source: Source, tmp_path: Path) -> None:
    lock = lock_folder(tmp_path / "t.partial")
    try:
        with pytest.raises(CacheBusy):
            tuned_in(tmp_path / "t", source, WHAT)
    finally:
        lock.release()


def test_a_loss_that_is_no_number_stops_and_names_the_last_good_checkpoint(
    source: Source, tmp_path: Path
) -> None:
    wild = TuneOptions(epochs=3, batch=3, rate=1e38, head_rate=1e38)
    expected = r"became (nan|inf) at step .* last good checkpoint is .*checkpoint.pt, after"
    with pytest.raises(ProbeError, match=expected) as refused:
        tune(source, tmp_path / "t", wild, OFTEN, say=quiet)
    assert "bf16" not in str(refused.value)
    state = torch.load(tmp_path / "t.partial" / "checkpoint.pt", weights_only=True)
    assert all(
        value.isfinite().all()
        for value in (*state["head"].values(), *state["optimizer"]["weights"].values())
    )
    assert math.isfinite(state["progress"]["loss"])
    assert not (tmp_path / "t").exists()


def test_a_full_disk_is_said_and_what_was_finished_stays(source: Source, tmp_path: Path) -> None:
    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
        try:
            tuned_in(tmp_path / "t", source, TuneOptions(epochs=1), OFTEN)
        except ProbeError as error:
            os.write(1, str(error).encode())

    assert ended(forked(work, tmp_path / "log")) == 0
    text = (tmp_path / "log").read_text()
    assert "cannot be written to (File too large)" in text
    assert "goes on where it stopped" in text
    tuned_in(tmp_path / "t", source, TuneOptions(epochs=1), OFTEN)


def test_too_little_memory_is_said_with_what_to_lower() -> None:
    advice = "checkpointing=True, a larger accumulate=4, a smaller batch"
    with (
        pytest.raises(ProbeError, match=advice),
        out_of_memory(TuneMachine("cpu", accumulate=2), 64),
    ):
        torch.empty(1 << 50)
    with pytest.raises(RuntimeError, match="tensor size"), out_of_memory(CPU, 64):
        torch.zeros(2) @ torch.zeros(3)

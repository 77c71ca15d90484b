"""Extraction by Ray: the cache of a single machine, also when a worker is killed, and clear errors
around it.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest
import soundfile
from processes import run_probe, start
from processes import wait_for as wait_until
from small_extraction import (
    extracted,
    machine,
    manifest_of,
    quiet,
    run_cli,
    with_frames,
    write_clips,
)

from cache import Cache, ProbeError, verify
from probing.corpora import load_corpus
from probing.extraction import Cluster, Options, extract, extract_on_cluster
from probing.extraction.ray_connection import OBJECT_STORE_BYTES

PROBE = [sys.executable, "-W", "ignore", "-c", "from analysis.commands.app import main; main()"]


def kill_when_at_work(said: list[str], folder: Path, shards_there: tuple[int, ...]) -> None:
    """Each time so many shards are there, kill the worker that was ready first of those that were
    not killed yet.
    """
    killed = set[int]()
    for n in shards_there:
        while len(list(folder.glob("shard-*.h5"))) < n:
            time.sleep(0.005)
        ready = [
            int(found[1])
            for text in said
            if (found := re.match(r"Worker \d+: process (\d+)", text))
        ]
        worker = next(process for process in ready if process not in killed)
        os.kill(worker, signal.SIGKILL)
        killed.add(worker)


def assert_equal(cache: Cache, single: Cache) -> None:
    """Two finished, sound caches are the same to the bit, and so are the names of their files."""
    assert cache.finished
    assert verify(cache.folder) == []
    pd.testing.assert_frame_equal(cache.utterances, single.utterances)
    pd.testing.assert_frame_equal(cache.failures, single.failures)
    assert (cache.fingerprint, cache.about) == (single.fingerprint, single.about)
    for k in single.layers:
        for tier in single.tiers:
            np.testing.assert_array_equal(cache.layer(k, tier)[0], single.layer(k, tier)[0])
    assert sorted(path.name for path in cache.folder.iterdir()) == sorted(
        path.name for path in single.folder.iterdir()
    )


@pytest.mark.long
# of Ray, about processes it leaves to end by themselves
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_two_workers_one_of_them_killed_make_the_cache_of_a_single_machine(
    backbone: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    write_clips(tmp_path / "audio")
    (tmp_path / "audio" / "broken.wav").write_bytes(b"")
    corpus, options = load_corpus(str(manifest_of(tmp_path / "audio"))), with_frames(backbone)
    how = machine(shard_size=1, batch_size=1)
    folder, said = tmp_path / "c", list[str]()
    killer = Thread(target=kill_when_at_work, args=(said, folder, (1,)), daemon=True)
    killer.start()
    cache = extract_on_cluster(folder, corpus, options, how, Cluster(actors=2), say=said.append)
    killer.join(1)
    assert not killer.is_alive()
    assert any(
        re.match(r"Worker \d \(process \d+ on .*\) died; its \d shards are done again", text)
        for text in said
    ), said
    single = extract(tmp_path / "single", corpus, options, how, say=quiet)
    assert_equal(cache, single)
    assert cache.manifest.history[-1]["utterances"] >= 16


def in_its_terminal(words: list[str]) -> None:
    """`probe WORDS`, whose Ctrl-C goes to all that it starts and to nothing else."""
    os.setsid()
    run_probe(words)


@pytest.mark.long
@pytest.mark.parametrize("actors", [1, 2])
def test_ctrl_c_in_a_terminal_ends_workers_and_all_and_the_same_command_goes_on(
    actors: int, backbone: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    folder = tmp_path / "c"
    how = ["--split", "dev", "--shard-size", "4", "--device", "cpu", "--backbone", str(backbone)]
    how += ["--engine", "ray", "--actors", str(actors)]
    process = start(in_its_terminal, ["extract", str(folder), *how], folder=tmp_path)
    wait_until(process, lambda: list(folder.glob("shard-*.h5")))
    assert not process.ended(), process.said
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    code, said = process.wait(60), process.said
    assert (code, "The same command goes on where it stopped" in said) == (130, True), said
    assert verify(folder) == []
    begun = Cache(folder)
    cache = extract(
        folder, load_corpus("demo", splits=["dev"]), Options(str(backbone)), machine(), say=quiet
    )
    assert cache.finished
    assert 0 < extracted(cache) == len(cache) - len(begun)


def test_an_address_where_nothing_answers_is_refused_at_once(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"  # taken, but nobody listens
        assert (
            run_cli(
                ["extract", str(tmp_path / "c"), "--engine", "ray", "--address", address],
                monkeypatch,
            )
            == 2
        )
    assert f"--address {address}: no Ray there" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_without_ray_it_says_what_to_type(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run_cli(["extract", str(tmp_path / "c"), "--engine", "ray"], monkeypatch) == 2
    message = capsys.readouterr().err
    assert "Ray is not installed. Install it: pip install -c constraints.txt -e '.[ray]'" in message
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engine", "spark"], "--engine spark: expected local or ray"),
        (["--address", "auto"], "Add --engine ray"),
        (["--actors", "2"], "Add --engine ray"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    arguments, message, tmp_path: Path, monkeypatch, capsys
) -> None:
    assert run_cli(["extract", str(tmp_path / "c"), *arguments], monkeypatch) == 2
    assert message in capsys.readouterr().err


def test_a_cluster_has_at_least_one_worker() -> None:
    with pytest.raises(ProbeError, match="actors=0: expected 1 or more"):
        Cluster(actors=0)


# Ray asks a raylet for a sign of life every few seconds, and gives it up after 15 s or so; here it
# does so sooner.
SOONER = {
    "initial_delay_ms": "1000",
    "period_ms": "1000",
    "timeout_ms": "1000",
    "failure_threshold": "3",
}


def begun(command: list[str], folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start an extraction by Ray."""
    start = [*PROBE, "extract", str(folder)]
    with open(log, "wb") as out:
        environment = os.environ | {
            f"RAY_health_check_{name}": value for name, value in SOONER.items()
        }
        return subprocess.Popen(
            [*start, *command, "--engine", "ray"], stderr=out, stdout=out, env=environment
        )


def children(process: subprocess.Popen[bytes], name: str) -> list[int]:
    """Processes of this name that a process has started."""
    shown = subprocess.run(
        ["ps", "-o", "pid=,comm=", "--ppid", str(process.pid)], capture_output=True, text=True
    )
    return [
        int(line.split()[0])
        for line in shown.stdout.splitlines()
        if line.split()[1].startswith(name)
    ]


def wait_for(process: subprocess.Popen[bytes], log: Path, there) -> None:
    while not there():
        assert process.poll() is None, log.read_text()
        time.sleep(0.01)


@pytest.mark.long
def test_when_rays_own_process_is_killed_the_driver_says_so_and_the_same_command_goes_on(
    backbone: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    folder, log = tmp_path / "c", tmp_path / "log"
    how = ["--split", "dev", "--shard-size", "4", "--device", "cpu", "--backbone", str(backbone)]
    process = begun(how, folder, log)
    try:
        wait_for(process, log, lambda: "Loading the model" in log.read_text())
        [raylet] = children(process, "raylet")
        os.kill(raylet, signal.SIGKILL)
        code = process.wait(90)
    finally:
        process.kill()
    said = log.read_text()
    assert (code, "Traceback" in said) == (2, False), said
    assert re.search(
        r"error: Ray (has ended|failed): .*the same command goes on where it stopped", said
    ), said
    corpus = load_corpus("demo", splits=["dev"])
    assert extract(folder, corpus, Options(str(backbone)), machine(), say=quiet).finished


@pytest.mark.long
@pytest.mark.parametrize("when", ["starting", "loading"])
def test_sigterm_while_ray_starts_or_the_model_is_loaded_ends_with_a_word_and_code_143(
    when: str, backbone: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    folder, log = tmp_path / "c", tmp_path / "log"
    process = begun(["--split", "dev", "--device", "cpu", "--backbone", str(backbone)], folder, log)
    try:
        reached = {
            "starting": lambda: children(process, "gcs_server"),
            "loading": lambda: "Loading the model" in log.read_text(),
        }
        wait_for(process, log, reached[when])
        process.terminate()
        code = process.wait(60)
    finally:
        process.kill()
    said = log.read_text()
    assert (code, "Traceback" in said) == (143, False), said
    assert "Ended by SIGTERM. The same command goes on where it stopped." in said


@pytest.mark.long
# of Ray, about processes it leaves to end by themselves
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_four_workers_two_of_them_killed_make_the_cache_of_a_single_machine_of_2000_utterances(
    backbone: Path, tmp_path: Path
) -> None:
    ray = pytest.importorskip("ray")
    audio = tmp_path / "audio"
    audio.mkdir()
    generator = np.random.default_rng(0)
    for i in range(2000):
        soundfile.write(
            audio / f"{i:04d}.wav",
            generator.normal(0, 0.1, int(generator.integers(1600, 3200))),
            16000,
        )
    corpus, options = load_corpus(str(manifest_of(audio))), with_frames(backbone)
    how = machine(shard_size=20)
    folder, said = tmp_path / "c", list[str]()
    killer = Thread(target=kill_when_at_work, args=(said, folder, (1, 30)), daemon=True)
    ray.init(
        "local",
        num_cpus=4,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        log_to_driver=False,
    )
    try:
        killer.start()
        cache = extract_on_cluster(folder, corpus, options, how, Cluster(actors=4), say=said.append)
    finally:
        ray.shutdown()
    killer.join(1)
    assert not killer.is_alive()
    assert sum("shards are done again" in text for text in said) == 2, said
    assert len(cache) == 2000
    assert_equal(cache, extract(tmp_path / "single", corpus, options, how, say=quiet))

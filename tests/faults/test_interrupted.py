"""Ctrl-C ends a command within seconds with exit code 130, keeps what was finished, and says how to
go on.
"""

import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from planted import plant
from processes import probe, wait_for
from random_store import Recipe, names
from small_extraction import DEMO, extracted, machine, manifest_of, quiet, run_cli, write_clips
from tiny_models import build

from analysis.commands.interruption import InterruptibleGroup, Terminated, terminate
from cache import Cache, verify
from probing.corpora import load_corpus
from probing.extraction import Options, extract
from probing.runs import Run
from probing.sweep import DepthOptions, SweepOptions, sweep
from probing.threads import Threads

WITHIN_S = 60  # on a machine busy with other things; by itself it takes one or two


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str], Callable[[], bool]], int]:
    """Run a command here, press Ctrl-C (or send another signal) once it is `ready`, and give the
    exit code.
    """

    def run(arguments: list[str], ready: Callable[[], bool], sent: int = signal.SIGINT) -> int:
        ended, pressed = threading.Event(), [0.0]

        def press() -> None:
            while not ready():
                if ended.wait(0.001):
                    return
            pressed[0] = time.monotonic()
            signal.pthread_kill(threading.main_thread().ident, sent)  # type: ignore[arg-type]

        thread = threading.Thread(target=press)
        thread.start()
        try:
            code = run_cli(arguments, monkeypatch)
        finally:
            ended.set()
            thread.join()
        assert pressed[0], "the command ended before it could be interrupted"
        assert time.monotonic() - pressed[0] < WITHIN_S
        return code

    return run


def at_work(threads: str) -> Callable[[], bool]:
    """Whether there are threads of this name."""
    return lambda: any(thread.name.startswith(threads) for thread in threading.enumerate())


def after(seconds: float) -> Callable[[], bool]:
    start = time.monotonic() + seconds
    return lambda: time.monotonic() > start


@dataclass(frozen=True)
class Place:
    """16 clips, a small model, and their cache in shards of one utterance."""

    manifest: Path
    model: Path
    cache: Path

    def corpus(self) -> list[str]:
        return [
            "--corpus",
            str(self.manifest),
            "--backbone",
            str(self.model),
            "--shard-size",
            "1",
            "--device",
            "cpu",
        ]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    home = tmp_path_factory.mktemp("interrupted")
    write_clips(home / "audio")
    manifest = manifest_of(home / "audio")
    table = pd.read_csv(manifest)
    table.assign(split=["train"] * 8 + ["dev"] * 4 + ["eval"] * 4).to_csv(manifest, index=False)
    model = build("wavlm", home / "model")
    extract(
        home / "c",
        load_corpus(str(manifest)),
        Options(str(model)),
        machine(shard_size=1),
        say=quiet,
    )
    return Place(manifest, model, home / "c")


@pytest.mark.parametrize(("sent", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_extraction_keeps_its_shards_and_goes_on(
    sent: signal.Signals, exit_code: int, place: Place, tmp_path: Path
) -> None:
    folder = tmp_path / "c"
    process = probe("extract", folder, *place.corpus(), folder=tmp_path)
    wait_for(process, lambda: any(folder.glob("*.h5")))
    process.send(sent)
    code, said = process.wait(WITHIN_S), process.said
    assert code == exit_code, said
    assert "The same command goes on where it stopped." in said
    assert "Traceback" not in said
    kept = len(Cache(folder))
    assert 0 < kept < 16
    assert verify(folder) == []
    assert not list(folder.glob("*.partial"))
    corpus, options = load_corpus(str(place.manifest)), Options(str(place.model))
    assert (
        extracted(extract(folder, corpus, options, machine(shard_size=1), say=quiet)) == 16 - kept
    )


def test_an_interrupted_repair_leaves_a_cache_that_can_be_read_and_goes_on(
    place: Place, tmp_path: Path, interrupt, capsys, monkeypatch
) -> None:
    folder = tmp_path / "c"
    shutil.copytree(place.cache, folder)
    right = Cache(place.cache).layer(2)[0]
    for index in range(2, 16):
        (folder / f"shard-{index:05d}.h5").unlink()
    command = ["cache", "repair", str(folder), "--device", "cpu"]
    assert interrupt(command, lambda: any(folder.glob("shard-*-1.h5"))) == 130
    assert "goes on where it stopped" in capsys.readouterr().err
    mended, cache = {int(path.name[6:11]) for path in folder.glob("shard-*-1.h5")}, Cache(folder)
    assert 0 < len(mended) < 14
    x, table = cache.layer(2, where=cache.utterances["shard"].isin(mended))
    np.testing.assert_allclose(x, right[table["shard"]], rtol=1e-4, atol=1e-5)
    assert {fault.shard for fault in verify(folder)} == set(range(2, 16)) - mended
    assert run_cli(command, monkeypatch) == 0
    assert verify(folder) == []
    assert extracted(Cache(folder)) == 14 - len(mended)
    np.testing.assert_allclose(Cache(folder).layer(2)[0], right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("sent", "exit_code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long)],
)
def test_an_interrupted_sweep_writes_no_half_run_and_goes_on(
    sent: signal.Signals, exit_code: int, tmp_path: Path, interrupt, capsys, monkeypatch
) -> None:
    cache = plant(tmp_path / "c.cache", {2: 2.0}, n_layers=3, n=(80, 40, 80))
    heads = [
        "--heads",
        "weighted-sum+linear,mean+linear",
        "--seeds",
        "1",
        "--epochs",
        "2",
        "--resamples",
        "100",
    ]
    command = ["sweep", str(cache), "--control-seeds", "0", "--strengths", "0.1", *heads]
    assert (
        interrupt(command, lambda: any((tmp_path / "c.run.partial").glob("training/*")), sent)
        == exit_code
    )
    assert "goes on where it stopped" in capsys.readouterr().err
    assert not (tmp_path / "c.run").exists()
    assert run_cli(command, monkeypatch) == 0
    assert Run(tmp_path / "c.run").sentence


def test_an_interrupted_verify_says_so(tmp_path: Path, interrupt, capsys) -> None:
    Recipe(dim=64).write(tmp_path / "c", names(3000), 30)
    started, maps = after(0.5), Path("/proc/self/maps")

    def reading() -> bool:
        """Whether a shard is mapped; half a second in where that cannot be seen."""
        return str(tmp_path / "c") in maps.read_text() if maps.exists() else started()

    assert interrupt(["cache", "verify", str(tmp_path / "c")], reading) == 130
    assert "nothing was changed" in capsys.readouterr().err


def test_an_interrupted_evaluation_writes_nothing(tmp_path: Path, interrupt, capsys) -> None:
    scores = np.random.default_rng(0).normal(size=5000)
    lines = [
        f"u{i} - {('bonafide', 'spoof')[i % 2]} {score:.6f}\n" for i, score in enumerate(scores)
    ]
    files = [tmp_path / name for name in ("scores.txt", "others.txt")]
    for file in files:
        file.write_text("".join(lines))
    command = ["evaluate", str(files[0]), "--against", str(files[1])]
    command += ["--resamples", "200000", "--out", str(tmp_path / "out")]
    assert interrupt(command, at_work("resample")) == 130
    assert "nothing was changed" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_threads_that_are_interrupted_begin_nothing_more() -> None:
    begun, go_on = list[int](), threading.Event()

    def work(number: int) -> None:
        begun.append(number)
        go_on.wait(WITHIN_S)

    def interrupted() -> None:
        with Threads(2) as pool:
            # an executor's own map does not clean up if it is interrupted among these
            for number in range(100):
                pool.submit(work, number)
            threading.Timer(0.05, go_on.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(begun) == 2


def test_an_interrupted_scoring_writes_no_scores(
    place: Place, tmp_path: Path, interrupt, capsys
) -> None:
    what = SweepOptions(
        strengths=(0.1,), control_seeds=(), resamples=100, depths=DepthOptions(heads=())
    )
    sweep(place.cache, tmp_path / "c.run", what, say=quiet)
    command = ["score", str(tmp_path / "c.run"), str(DEMO), "--out", str(tmp_path / "scores.txt")]
    assert interrupt(command, at_work("decode")) == 130
    assert "nothing was changed" in capsys.readouterr().err
    assert not (tmp_path / "scores.txt").exists()


def test_a_ctrl_c_that_falls_into_a_destructor_is_not_lost(capsys) -> None:
    class Falls:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    app = typer.Typer(cls=InterruptibleGroup)

    @app.command()
    def first() -> None:
        Falls()  # dropped at once: what its destructor raises is only reported
        time.sleep(WITHIN_S)

    @app.command()
    def second() -> None:
        """A group has more than one."""

    started = time.monotonic()
    with pytest.raises(SystemExit) as ended:
        app(["first"])
    assert ended.value.code == 130
    assert time.monotonic() - started < WITHIN_S
    assert "nothing was changed" in capsys.readouterr().err


def test_an_alarm_that_a_library_sets_on_sigterm_does_not_abort_what_is_put_away() -> None:
    """As Ray does: its handler runs first and has SIGALRM abort the process three seconds later."""
    signal.alarm(3)
    try:
        with pytest.raises(Terminated):
            terminate()
    finally:
        left = signal.alarm(0)
    assert left == 0

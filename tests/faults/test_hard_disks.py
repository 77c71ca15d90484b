"""A full disk, a limit on the size of files, a folder that is read-only: a clear error, and nothing
is lost.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from random_store import Recipe, names

from analysis.commands import compare as compare_command
from analysis.commands import evaluate as evaluate_command
from analysis.commands.app import main
from cache import Cache, ProbeError, verify
from cache.atomic import replaced
from probing.corpora import load_corpus

NOBODY = 65534
PLANNED = names(400)


def write(folder: Path) -> None:
    Recipe(dim=64).write(folder, PLANNED, 20)


def refused(work: Callable[[], object]) -> str:
    """The message of the ProbeError that some work ends with."""
    with pytest.raises(ProbeError) as caught:
        work()
    return str(caught.value)


def as_nobody(work: Callable[[], None]) -> str:
    """Do some work in a child that is not root, for whom permissions count; what its ProbeError
    says.
    """
    read, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = "no error"
        try:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            work()
        except ProbeError as error:
            said = str(error)
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        finally:
            os.write(write_end, said.encode())
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read, "rb") as handle:
        said = handle.read().decode()
    os.waitpid(pid, 0)
    return said


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "none", str(place)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("file systems cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def passable(folder: Path) -> None:
    """Let everybody read a folder of pytest, which keeps them to its user."""
    for place in [folder, *folder.parents[:-1]]:
        place.chmod(place.stat().st_mode | 0o055)


@contextmanager
def files_of_at_most(n_bytes: int) -> Iterator[None]:
    """Writing more than `n_bytes` to one file fails, as under a quota."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_said_and_what_was_finished_is_sound(
    small_disk: Path, tmp_path: Path
) -> None:
    folder = small_disk / "c"
    said = refused(lambda: write(folder))
    assert "No space left on device" in said
    assert "goes on where it stopped" in said
    kept = len(Cache(folder))
    assert 0 < kept < len(PLANNED)
    assert verify(folder) == []
    assert len(Cache(folder).layer(0)[0]) == kept
    refused(lambda: write(folder))  # still full: still nothing lost
    assert len(Cache(folder)) >= kept
    assert verify(folder) == []
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    write(folder)
    assert Cache(folder).finished
    assert verify(folder) == []


def test_a_limit_on_the_size_of_files_is_said_and_the_rerun_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    Recipe(dim=64).write(folder, PLANNED, 20, most_shards=2)
    with files_of_at_most(20_000):
        assert "File too large" in refused(lambda: write(folder))
    assert len(Cache(folder)) == 40
    assert verify(folder) == []
    write(folder)
    assert Cache(folder).finished


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become somebody else")
def test_a_read_only_cache_can_be_read_and_is_not_written_to(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    Recipe().write(folder, names(8))
    passable(tmp_path)
    before = sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir())
    said = as_nobody(lambda: Recipe().write(folder, names(12)))
    assert (
        f"{folder}: cannot be written to (Permission denied). Name a folder you may write to."
        == said
    )

    def read() -> None:
        cache = Cache(folder)
        raise ProbeError(f"{len(cache.layer(0)[0])} read, {len(verify(folder))} faults")

    assert as_nobody(read) == "8 read, 0 faults"
    assert sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir()) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become somebody else")
def test_a_sweep_into_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    from probing.runs import RunWriter

    passable(tmp_path)
    said = as_nobody(lambda: RunWriter(tmp_path / "c.run", {}))  # type: ignore[arg-type,return-value]
    assert "cannot be written to (Permission denied)" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become somebody else")
def test_a_folder_of_a_corpus_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for folder in ("real", "fake/a", "fake/b"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x.wav").touch()
    passable(tmp_path)
    (tmp_path / "fake" / "b").chmod(0)

    assert len(load_corpus(f"folder:{tmp_path}")) == 3  # root may read all

    def read() -> None:
        corpus = load_corpus(f"folder:{tmp_path}")
        raise ProbeError(f"{len(corpus)} utterances; {'; '.join(corpus.notes)}")

    assert as_nobody(read) == "2 utterances; folders that cannot be read were passed over: fake/b"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become somebody else")
def test_what_may_not_be_read_is_no_matter_of_room_on_the_disk(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    passable(tmp_path)
    (tmp_path / "closed").chmod(0)
    monkeypatch.setattr(
        "sys.argv", ["probe", "extract", str(tmp_path / "c"), "--corpus", str(tmp_path / "closed")]
    )
    with pytest.raises(SystemExit):
        main()
    assert "no audio" in capfd.readouterr().err  # root may read it
    assert as_nobody(main) == "SystemExit: 2"
    said = " ".join(capfd.readouterr().err.split())
    assert "Permission denied. Give yourself the right to it, or name another" in said


def test_the_commands_say_no_space_left_with_exit_code_2(small_disk: Path) -> None:
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        "from analysis.commands.app import main; main()",
        "evaluate",
    ]
    scores = small_disk.parent / "scores.txt"
    scores.write_text("".join(f"u{i} - {('bonafide', 'spoof')[i % 2]} {i}\n" for i in range(50)))
    (small_disk / "filler").write_bytes(bytes(600 * 1024 - 4096))
    run = subprocess.run(
        [*command, str(scores), "--out", str(small_disk / "out")], capture_output=True, text=True
    )
    assert run.returncode == 2
    assert "No space left on device" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a small model with its cache, as `work/c` and `made/c.run`."""
    from faults.hostile import run_folder
    from planted import plant

    home = tmp_path_factory.mktemp("outputs")
    run_folder(home / "made")
    for place in ("c.run", "small", "probe"):
        (home / "made" / place).rename(home / place)
    shutil.copytree(home / "c.run", home / "d.run")
    plant(home / "p.cache", {1: 1.0}, n_layers=1, n=(40, 40, 40))
    return home


COMMANDS = {
    "plot": (["plot", "c.run", "layers", "--out"], "p.pdf"),
    "compare": (["compare", "c.run", "d.run", "--resamples", "100", "--out"], "compared"),
    "report": (["report", "c.run", "--no-measures", "--out"], "page.html"),
    "export": (["export", "c.run", "--depth", "2"], "exported"),
    "score": (["score", "c.run", "work/c", "--out"], "scores.txt"),
    "evaluate": (
        ["evaluate", "c.run/scores/linear-layer-01.eval.txt", "--resamples", "100", "--out"],
        "evaluated",
    ),
    "describe": (["describe", "p.cache", "--out"], "bits.csv"),
    "similarity": (["similarity", "work/c", "--out"], "similar.png"),
    "transfer": (["transfer", "work/c", "--out"], "transfer.csv"),
    "sweep": (["sweep", "work/c", "--heads", "none", "--resamples", "100", "--out"], "full.run"),
    "sweep with heads": (
        [
            "sweep",
            "work/c",
            "--heads",
            "weighted-sum+linear",
            "--epochs",
            "2",
            "--resamples",
            "100",
            "--out",
        ],
        "heads.run",
    ),
    "extract": (["extract", "--corpus", "work/c.csv", "--backbone", "work/model"], "full.cache"),
}


GO_ON = ("sweep", "sweep with heads", "extract")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_that_the_disk_is_full_and_leaves_what_was_there(
    name: str,
    made: Path,
    small_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments, out = COMMANDS[name]
    place = small_disk / out
    outputs = {"evaluate": evaluate_command.OUTPUTS, "compare": compare_command.OUTPUTS}.get(name)
    there = [place / file for file in outputs.always] if outputs else [place]
    if name in ("plot", "compare", "report", "score", "evaluate", "describe"):
        for old in there:
            old.parent.mkdir(exist_ok=True)
            old.write_text("old")
    with suppress(OSError), open(small_disk / "filler", "wb", buffering=0) as filler:
        while filler.write(bytes(4096)):
            pass
    if name in (*GO_ON, "export"):  # full in the midst of the work
        os.truncate(small_disk / "filler", (small_disk / "filler").stat().st_size - 20_480)
    before = {path: path.read_bytes() for path in small_disk.rglob("*") if path.is_file()}
    monkeypatch.chdir(made)
    monkeypatch.setattr("sys.argv", ["probe", *arguments, str(place)])
    from analysis.commands.app import main

    with pytest.raises(SystemExit) as ended:
        main()
    said = " ".join(capsys.readouterr().err.split())
    assert ended.value.code == 2, said
    assert said.count("error: ") == 1
    assert said.count("cannot be written to") == 1
    assert str(place) in said.replace(" ", "")
    assert "No space left on device" in said
    assert "ake room" in said
    assert "Traceback" not in said
    if name in GO_ON:
        assert "goes on where it stopped" in said
    else:
        assert {
            path: path.read_bytes() for path in small_disk.rglob("*") if path.is_file()
        } == before
        assert not list(small_disk.rglob("*.partial"))


def test_outputs_replace_a_folder_of_theirs_and_keep_what_is_not_theirs(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from analysis.commands.app import main

    monkeypatch.chdir(made)

    def compare(folder: Path, code: int = 0) -> None:
        words = ["compare", "c.run", "d.run", "--resamples", "100", "--out", str(folder)]
        monkeypatch.setattr("sys.argv", ["probe", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert (ended.value.code or 0) == code

    compare(tmp_path / "a" / "new")
    written = {path.name for path in (tmp_path / "a" / "new").iterdir()}
    assert {"comparison.csv", "pairs.csv", "ranking.png", "layer-curve.svg"} <= written
    own = tmp_path / "own"
    own.mkdir()
    for name in written:
        (own / name).write_text("old")
    (own / "pareto.png").write_text("of an earlier comparison")
    compare(own)
    assert {path.name for path in own.iterdir()} == written
    assert (own / "pairs.csv").read_bytes() != b"old"
    (own / "thesis.tex").write_text("years of work")
    (own / "pairs.csv").write_text("old")
    compare(own, code=2)  # somebody works in there
    assert {path.name for path in own.iterdir()} == {*written, "thesis.tex"}
    assert (own / "thesis.tex").read_text() == "years of work"
    assert (own / "pairs.csv").read_text() == "old"
    link = tmp_path / "link.txt"
    link.symlink_to(tmp_path / "target.txt")
    with replaced(link) as partial:
        partial.write_text("through a link")
    assert link.is_symlink()
    assert (tmp_path / "target.txt").read_text() == "through a link"

"""SIGKILL at random moments of extract, repair, sweep and tune, and what must hold after each.

The commands run in forked children, so that a kill costs no imports. The parent computes nothing
with torch.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from random_store import flip

from cache import Cache, CacheCorrupt, CacheMissing, verify
from cache.lock import LOCK

TOLERANCE = 1e-4  # of the RMS of a layer


@dataclass
class Tally:
    """Kills of a command: those that met it at work, how often it was run to its end, and what did
    not hold.
    """

    command: str
    kills: int = 0
    at_work: int = 0
    rounds: int = 0
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        said = (
            f"{self.command}: {self.kills} kills, {self.at_work} "
            f"at work, {self.rounds} runs to the end"
        )
        return f"{said}, {len(self.failures)} failures" + "".join(
            f"\n  {what}" for what in self.failures
        )


def forked(work: Callable[[], object], log: Path) -> int:
    """Do `work` in a child; gives its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        work()
        code = 0
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def command(arguments: list[str]) -> Callable[[], object]:
    """`probe ARGUMENTS`."""

    def work() -> None:
        from analysis.commands.app import main

        sys.argv = ["probe", *arguments]
        main()

    return work


def ended(
    pid: int, within: float = float("inf"), since: Callable[[], bool] = lambda: True
) -> int | None:
    """Wait for a child; its exit code, or None where it was killed `within` seconds after `since`
    was first true.
    """
    stop = None
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if stop is None and since():
            stop = time.monotonic() + within
        if stop is not None and time.monotonic() >= stop:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        time.sleep(0.001)


def has_lock(pid: int, folder: Path) -> bool:
    """Whether a process wrote into the lock of a folder that it has it; nobody else may write there
    then.
    """
    try:
        return bool(json.loads((folder / LOCK).read_bytes())["pid"] == pid)
    except (OSError, ValueError):
        return False


def seconds_of(arguments: list[str], log: Path, locked: Path) -> tuple[float, float]:
    """Run a command to its end; gives the seconds until it had its lock, and how long it could be
    seen to have it.
    """
    began, pid, seen = time.monotonic(), forked(command(arguments), log), list[float]()

    def look() -> bool:
        if has_lock(pid, locked):
            seen.append(time.monotonic())
        return False

    if (code := ended(pid, since=look)) or not seen:
        raise SystemExit(
            f"probe {' '.join(arguments)}: exit code {code}\n{log.read_text()[-2000:]}"
        )
    return seen[0] - began, seen[-1] - seen[0]


def kill_again_and_again(
    tally: Tally,
    arguments: list[str],
    n: int,
    seconds: tuple[float, float],
    locked: Path,
    begin: Callable[[], None],
    hold: Callable[[bool], str | None],
    moments: random.Random,
    log: Path,
) -> None:
    """Kill a command `n` times.

    Args:
        tally: counts.
        arguments: of the command.
        n: kills.
        seconds: until it has its lock, and while it has it, undisturbed; four kills of five come at
            random in the second, the others at any time.
        locked: the folder of the lock.
        begin: makes the place ready for a new run; called again whenever the command got to its
            end.
        hold: says what does not hold after a kill (False) or at the end (True).
        moments: draws the shares.
        log: where the command speaks to.
    """
    begin()
    while tally.kills < n:
        pid = forked(command(arguments), log)
        at_work = partial(has_lock, pid, locked)
        if moments.random() < 0.8:
            code = ended(pid, moments.uniform(0, 1.05 * seconds[1]), at_work)
        else:
            code = ended(pid, moments.uniform(0, sum(seconds)))
        finished = code is not None
        if finished and code:
            tally.failures.append(f"exit code {code}: {log.read_text()[-500:]}")
        tally.at_work += not finished and at_work()
        what = hold(finished) if not code else "it failed"
        if what:
            tally.failures.append(f"after {tally.kills} kills: {what}")
        if finished or what:
            tally.rounds += finished
            begin()
        if not finished:
            tally.kills += 1
    if ended(forked(command(arguments), log)):
        tally.failures.append(f"the last run: {log.read_text()[-500:]}")
    elif what := hold(True):
        tally.failures.append(f"at the end: {what}")
    tally.rounds += 1


def unlike(cache: Cache, right: Cache, table: pd.DataFrame) -> str | None:
    """What of these utterances of a cache is not as in the right one."""
    known = right.utterances.set_index("utterance_id").loc[table["utterance_id"]].reset_index()
    if list(known["label"]) != list(table["label"]) or list(known["n_frames"]) != list(
        table["n_frames"]
    ):
        return "the table says something else"
    one, other = cache.pooled(table=table), right.pooled(table=known)
    scale = np.sqrt(np.mean(np.square(right.pooled(), dtype=np.float64)))
    if np.abs(one.astype(np.float64) - other).max(initial=0) > TOLERANCE * scale:
        return "other pooled statistics"
    for name in table["utterance_id"]:
        if (
            np.abs(cache.frames([name])[0].astype(np.float64) - right.frames([name])[0]).max()
            > TOLERANCE * scale
        ):
            return f"other frames of {name}"
    return None


def kill_extract(home: Path, options: list[str], n: int, seed: int = 0) -> Tally:
    """Kills of `probe extract`: what was finished before is there after, sound and right."""
    tally, folder, log = Tally("extract"), home / "extracted", home / "log"
    right_folder = home / "right"
    seconds = seconds_of(["extract", str(right_folder), *options], log, right_folder)
    right, kept = Cache(right_folder), [0]

    def begin() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        kept[0] = 0

    def hold(finished: bool) -> str | None:
        try:
            cache = Cache(folder)
        except CacheMissing:
            return "a finished cache is missing" if finished or kept[0] else None
        if len(cache) < kept[0]:
            return f"{kept[0]} utterances were finished, {len(cache)} are left"
        kept[0] = len(cache)
        if faults := verify(folder):
            return f"verify: {faults[0]}"
        if finished:
            same = cache.finished and cache.utterances.equals(right.utterances)
            left = [path.name for path in folder.iterdir() if path.name.endswith(".partial")]
            if not same or left or not cache.failures.equals(right.failures):
                return f"not the undisturbed cache: {len(cache)} utterances, {left}"
        return unlike(cache, right, cache.utterances)

    arguments = ["extract", str(folder), *options]
    kill_again_and_again(
        tally, arguments, n, seconds, folder, begin, hold, random.Random(seed), log
    )
    return tally


def kill_repair(home: Path, right_folder: Path, n: int, seed: int = 1) -> Tally:
    """Kills of `probe cache repair`: no more is damaged than before, and what can be
    read is right.
    """
    tally = Tally("repair")
    folder = home / "repaired"
    log = home / "log"
    moments = random.Random(seed)
    right = Cache(right_folder)
    arguments = ["cache", "repair", str(folder), "--device", "cpu"]
    bad = [set[object]()]

    def begin() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(right_folder, folder)
        shards = sorted(folder.glob("*.h5"))
        for path in moments.sample(shards, max(1, len(shards) * 2 // 3)):
            harm(path, moments)
        if moments.random() < 0.25:
            (folder / moments.choice(["utterances.parquet", "failures.csv"])).write_bytes(b"PAR1")
        bad[0] = faulty(folder)

    def hold(finished: bool) -> str | None:
        before, bad[0] = bad[0], faulty(folder)
        if not bad[0] <= before:
            return f"more is damaged than before: {bad[0] - before}"
        if finished and bad[0]:
            return f"still damaged: {bad[0]}"
        if "utterances.parquet" in bad[0]:
            return None
        try:
            cache = Cache(folder)
            pending = len(right) - len(cache)
            if pending and finished:
                return f"{pending} utterances are missing"
            for shard, table in cache.utterances.groupby("shard"):
                if shard not in bad[0] and (what := unlike(cache, right, table)):
                    return what
        except CacheCorrupt as error:
            return f"a reader is refused what is sound: {error}"
        return None

    begin()
    seconds = seconds_of(arguments, log, folder)
    kill_again_and_again(tally, arguments, n, seconds, folder, begin, hold, moments, log)
    return tally


def harm(path: Path, moments: random.Random) -> None:
    """Damage a shard in one of several ways."""
    how = moments.choice(["delete", "truncate", "flip", "flip"])
    if how == "delete":
        path.unlink()
    elif how == "truncate":
        os.truncate(path, moments.randrange(path.stat().st_size))
    else:
        flip(path, moments.randrange(path.stat().st_size), moments.randrange(8))


def faulty(folder: Path) -> set[object]:
    """Numbers of the shards, and names of the other files, that verify complains of."""
    return {fault.file if fault.shard is None else fault.shard for fault in verify(folder)}


def kill_sweep(home: Path, cache: Path, options: list[str], n: int, seed: int = 2) -> Tally:
    """Kills of `probe sweep`: a run is there whole or not at all, and is that of an undisturbed
    sweep.
    """
    tally, run, right, log = Tally("sweep"), home / "c.run", home / "right.run", home / "log"
    locked = home / "c.run.partial"
    seconds = seconds_of(
        ["sweep", str(cache), "--out", str(right), *options], log, home / "right.run.partial"
    )

    def begin() -> None:
        for path in (run, locked):
            shutil.rmtree(path, ignore_errors=True)

    def hold(finished: bool) -> str | None:
        if not finished:
            return None if not run.exists() or results(run).equals(results(right)) else "half a run"
        for path in sorted((right / "scores").iterdir()):
            if path.read_bytes() != (run / "scores" / path.name).read_bytes():
                return f"other scores: {path.name}"
        return None if results(run).equals(results(right)) else "other results"

    arguments = ["sweep", str(cache), "--out", str(run), *options]
    kill_again_and_again(
        tally, arguments, n, seconds, locked, begin, hold, random.Random(seed), log
    )
    return tally


def kill_tune(home: Path, run: Path, options: list[str], n: int, seed: int = 4) -> Tally:
    """Kills of `probe tune`: the model is there whole or not at all, and has the weights of an
    undisturbed tuning.
    """
    tally, folder, right, log = Tally("tune"), home / "tuned", home / "tuned.right", home / "log"
    locked = home / "tuned.partial"
    arguments = ["tune", str(run), *options, "--out"]
    seconds = seconds_of([*arguments, str(right)], log, home / "tuned.right.partial")

    def begin() -> None:
        for path in (folder, locked):
            shutil.rmtree(path, ignore_errors=True)

    def hold(finished: bool) -> str | None:
        if not folder.exists():
            return "the model is missing" if finished else None
        for name in ("model.safetensors", "head.safetensors"):
            if (folder / name).read_bytes() != (right / name).read_bytes():
                return f"other weights: {name}"
        rows, expected = (
            pd.read_csv(place / "training.csv").drop(columns="seconds") for place in (folder, right)
        )
        return None if rows.equals(expected) else "another course of the training"

    kill_again_and_again(
        tally, [*arguments, str(folder)], n, seconds, locked, begin, hold, random.Random(seed), log
    )
    return tally


def results(run: Path) -> pd.DataFrame:
    """The figures of a run but for those of the clock."""
    table = pd.read_parquet(run / "results.parquet")
    return table[table["metric"] != "latency_ms"].reset_index(drop=True)


def kill_output(
    home: Path, name: str, arguments: list[str], out: Path, n: int, seed: int = 3
) -> Tally:
    """Kills of a command that writes one output, a file or a folder: it is the old one or the new
    one, never a part.

    Four kills of five come while what is written lies beside its place, the others at any time.
    """
    tally, log, moments = Tally(name), home / "log", random.Random(seed)
    began = time.monotonic()
    if code := ended(forked(command(arguments), log)):
        raise SystemExit(
            f"probe {' '.join(arguments)}: exit code {code}\n{log.read_text()[-2000:]}"
        )
    seconds, new = time.monotonic() - began, content_of(out)
    old = {path: content + b"old" for path, content in new.items()}

    def writing() -> bool:
        return bool(list(out.parent.glob(f"{out.name}*.partial")))

    while tally.kills < n:
        for path, content in old.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        pid = forked(command(arguments), log)
        if moments.random() < 0.8:
            code = ended(pid, moments.uniform(0, 0.03), writing)
        else:
            code = ended(pid, moments.uniform(0, seconds))
        tally.at_work += code is None and writing()
        tally.kills += code is None
        tally.rounds += code is not None
        found = content_of(out)
        if found not in (old, new) or (code is not None and (code or found != new)):
            tally.failures.append(
                f"after {tally.kills} kills, exit code {code}: {sorted(found)}, cut"
            )
    if ended(forked(command(arguments), log)) or content_of(out) != new or writing():
        tally.failures.append("the last run leaves another output, or a part beside it")
    return tally


def content_of(out: Path) -> dict[Path, bytes]:
    """Every file of an output."""
    paths = [out] if out.is_file() else sorted(path for path in out.rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in paths}

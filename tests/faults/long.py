"""The promises of the store, tried hard: many kills, every byte flipped, many thousand fuzz cases.

    python tests/faults/long.py                       everything, an hour or two of one core
    python tests/faults/long.py kills --n 200         SIGKILLs, shared by extract, repair and sweep
    python tests/faults/long.py tunings --n 20        SIGKILLs of tune, which must end with the \
        same bytes
    python tests/faults/long.py outputs --n 60        SIGKILLs, shared by compare, plot, report, \
        export and score
    python tests/faults/long.py flips                 one bit of every byte of every file of a \
        small cache
    python tests/faults/long.py edits                 every key of a run removed and changed, for \
        every reader
    python tests/faults/long.py sealed --n 500        one bit at random places of a run and two \
        exports
    python tests/faults/long.py fuzz --n 50000        hostile files for every reader

Prints how many there were and what failed. Exit code 0: nothing did.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1]), str(HERE.parents[1] / "support")]

import processes  # noqa: E402
from faults import damage, kills  # noqa: E402


def run_kills(n: int) -> list[str]:
    """Kill extract, repair and sweep."""
    import torch
    import transformers.models.wavlm.modeling_wavlm  # noqa: F401
    from planted import plant
    from random_store import Recipe  # noqa: F401 - imported before the children are
    from small_extraction import manifest_of, write_clips
    from tiny_models import build

    import probing.extraction
    import probing.serving
    import probing.sweep  # noqa: F401

    torch.set_num_threads(1)
    failures = []
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        write_clips(home / "audio")
        (home / "audio" / "broken.wav").write_bytes(b"")
        manifest = manifest_of(home / "audio")
        if kills.ended(kills.forked(lambda: build("wavlm", home / "model"), home / "log")):
            sys.exit((home / "log").read_text())
        options = [
            "--corpus",
            str(manifest),
            "--backbone",
            str(home / "model"),
            "--frames",
            "--shard-size",
            "2",
        ]
        options += ["--device", "cpu"]
        planted = plant(home / "c.cache", {2: 2.0}, n_layers=3, n=(80, 40, 80))
        heads = [
            "--heads",
            "weighted-sum+linear",
            "--seeds",
            "2",
            "--epochs",
            "3",
            "--resamples",
            "100",
        ]
        sweep = [*heads, "--control-seeds", "1", "--strengths", "0.1,1"]
        for kill in (
            lambda: kills.kill_extract(home, options, n - 2 * (n // 3)),
            lambda: kills.kill_repair(home, home / "right", n // 3),
            lambda: kills.kill_sweep(home, planted, sweep, n // 3),
        ):
            tally = kill()
            print(tally, flush=True)
            failures += tally.failures
    return failures


def run_tunings(n: int) -> list[str]:
    """Kill tune, with everything on that is drawn at random."""
    import peft  # noqa: F401 - imported before the children are
    import torch
    from tuned_models import place_of

    import probing.tuning.tuning  # noqa: F401

    torch.set_num_threads(1)
    failures = []
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        if kills.ended(kills.forked(lambda: place_of(home / "place"), home / "log")):
            sys.exit((home / "log").read_text())
        common = [
            "--head",
            "weighted-sum+linear-depth-02",
            "--device",
            "cpu",
            "--batch",
            "3",
            "--epochs",
            "6",
        ]
        common += ["--rate", "1e-3", "--crop-seconds", "0.4", "--checkpoint-minutes", "1e-9"]
        chance = ["--augment", "rawboost:5,speed:0.9-1.1", "--dropout", "--layerdrop"]
        for more, k in ((["--train", "all"], n - n // 2), (["--train", "lora:2", *chance], n // 2)):
            tally = kills.kill_tune(home, home / "place" / "c.run", [*common, *more], k)
            print(" ".join(more), tally, flush=True)
            failures += tally.failures
            shutil.rmtree(home / "tuned.right")
    return failures


def run_outputs(n: int) -> list[str]:
    """Kill the commands that write an output of a run."""
    import torch
    from faults.hostile import run_folder

    import probing.serving  # noqa: F401 - imported before the children are

    torch.set_num_threads(1)
    failures = []
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        made = home / "made"
        if kills.ended(kills.forked(lambda: run_folder(made), home / "log")):
            sys.exit((home / "log").read_text())
        run, cache = str(made / "c.run"), str(home / "work" / "c")
        shutil.copytree(run, home / "d.run")
        for command, arguments, out in (
            ("compare", [run, str(home / "d.run"), "--resamples", "100", "--out"], "compared"),
            ("plot", [run, "layers", "--out"], "layers.pdf"),
            ("report", [run, "--no-measures", "--out"], "page.html"),
            ("export", [run], "small"),
            ("score", [run, cache, "--out"], "scores.txt"),
        ):
            place = home / "out" / out
            place.parent.mkdir(exist_ok=True)
            last = ["--depth", "2"] if command == "export" else []
            tally = kills.kill_output(
                home, command, [command, *arguments, str(place), *last], place, -(-n // 5)
            )
            print(tally, flush=True)
            failures += tally.failures
    return failures


def run_flips(n: int) -> list[str]:
    """Flip a bit of every `n`-th byte of every file of a small cache, in turn."""
    failures, flips = [], 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "c"
        damage.write_small(folder)
        right = damage.everything(folder)
        for file in damage.FILES:
            size = (folder / file).stat().st_size
            for position in range(0, size, n):
                with damage.changed(folder / file, position, 1 << (position % 8)):
                    what = damage.what_went_wrong(folder, file, right)
                flips += 1
                if what:
                    failures.append(f"{file}, byte {position}: {what}")
            print(f"{file}: {len(range(0, size, n))} of {size} bytes flipped", flush=True)
    print(
        f"flips: {flips}, {len(failures)} failures" + "".join(f"\n  {what}" for what in failures),
        flush=True,
    )
    return failures


def run_sealed(n: int) -> list[str]:
    """Flip a bit at `n` random places of the files of a run and of two exports."""
    import torch
    from faults import sealed

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        tallies = sealed.flips(n, Path(name))
    print("\n".join(str(tally) for tally in tallies))
    failures = [what for tally in tallies for what in tally.failures]
    print(
        f"sealed: {sum(tally.flips for tally in tallies)} flips, {len(failures)} silent or failed",
        flush=True,
    )
    return failures


def run_fuzz(n: int, only: str | None = None) -> list[str]:
    """Give spoilt files to every reader."""
    import resource

    import torch
    from faults import hostile

    torch.set_num_threads(1)
    with open("/proc/self/statm") as statm:
        taken = int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (taken + hostile.MEMORY, taken + hostile.MEMORY))
    with tempfile.TemporaryDirectory() as name:
        cases, failures = hostile.fuzz(n, Path(name), only)
    print(
        f"fuzz: {cases} cases, {len(failures)} failures"
        + "".join(f"\n  {what}" for what in failures),
        flush=True,
    )
    return failures


def run_edits(n: int) -> list[str]:
    """Edit every n-th key and column of a run, and have everything read it."""
    import matplotlib
    from faults.edited_runs import try_all
    from hand_made import write_cache

    from cache import Cache
    from probing.sweep import DepthOptions, SweepOptions, sweep

    matplotlib.use("agg")
    heads = DepthOptions(
        heads=("attentive-compact+linear", "weighted-sum+linear"), seeds=(0,), epochs=1
    )
    options = SweepOptions(
        resamples=100, strengths=(0.1,), control_seeds=(0,), depths=heads, by=("attack",)
    )
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        cache = Cache(write_cache(home / "c.cache"))
        run = sweep(cache, home / "c.run", options).folder
        counts, failures = try_all(
            run, run, home, cache, lambda number: number % n == 0, lambda reader: True
        )
    print(
        f"edits: {counts}, {len(failures)} failures" + "".join(f"\n  {what}" for what in failures),
        flush=True,
    )
    return failures


PARTS = {
    "kills": (run_kills, 200),
    "tunings": (run_tunings, 20),
    "outputs": (run_outputs, 60),
    "flips": (run_flips, 1),
    "sealed": (run_sealed, 500),
    "edits": (run_edits, 1),
    "fuzz": (run_fuzz, 50_000),
}


def in_process(part: str, n: int, folder: Path) -> tuple[int, str]:
    """Exit code and output of a part, in a process of its own; `folder` is where it begins."""
    process = processes.start(_part, part, n, folder=folder)
    return process.wait(), process.said


def _part(part: str, n: int) -> None:
    sys.argv = [str(HERE), part, "--n", str(n)]
    sys.exit(main())


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", choices=PARTS, help="[default: all]")
    parser.add_argument(
        "--n", type=int, help="how many kills or cases; of flips and edits: only every n-th"
    )
    parser.add_argument("--format", help="fuzz only this format, as 'scores'")
    asked = parser.parse_args()
    if asked.format:
        return 1 if run_fuzz(asked.n or 1000, asked.format) else 0
    failures = []
    for part, (work, default) in PARTS.items():
        if asked.part in (None, part):
            failures += work(asked.n or default)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

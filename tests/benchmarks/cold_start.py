"""How much processor time a command takes that is refused, or only tells about itself, beside that
of another build.

    python tests/benchmarks/cold_start.py [--beside TREE] [--only sweep] [--rounds 5]

Every command but the first ones is given a file that is missing or an option that has no such
value. What is refused before PyTorch and transformers are imported takes well under a second and a
half. With --beside, the same commands are run in another checkout of the project as well, in turn,
and the ratio of the medians is printed.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from cache.manifest import Manifest
from cache.writer import CacheWriter

ROOT = Path(__file__).parents[2]
TELLING = ["--help", "--version", "sweep --help"]
WRONG = [
    "demo --clips 1",
    "demo --resamples 1",
    "demo --device gpu",
    "demo --out text",
    "demo --out empty.cache",
    "extract x.cache --corpus MISSING.csv",
    "extract x.cache --corpus nonsense",
    "extract x.cache --corpus asvspoof2019-la:MISSING",
    "extract x.cache --split nosuch",
    "extract x.cache --seconds 0",
    "extract x.cache --frames-dtype int3",
    "extract x.cache --precision fp8",
    "extract x.cache --layers 3:1",
    "extract x.cache --drop top",
    "extract x.cache --part 9/8",
    "extract x.cache --device gpu",
    "extract x.cache --engine slurm",
    "extract x.cache --backbone ./MISSING",
    "extract x.cache --batch-size 0",
    "extract full",
    "extract damaged.cache",
    "extract x.cache --no-such-option",
    "sweep MISSING",
    "sweep MISSING --strengths much",
    "sweep MISSING --margin nan",
    "sweep MISSING --heads best",
    "sweep MISSING --depths 3-4",
    "sweep MISSING --tier words",
    "sweep MISSING --resamples 1",
    "sweep MISSING --device gpu",
    "sweep empty.cache",
    "sweep empty.cache --compare MISSING",
    "sweep empty.cache --out text",
    "evaluate MISSING",
    "evaluate text --keys MISSING",
    "evaluate text --corpus MISSING.csv",
    "score MISSING MISSING --out s.txt",
    "score MISSING text --out MISSING/s.txt",
    "score MISSING text --out s.txt --device gpu",
    "export MISSING new",
    "export MISSING new --device gpu",
    "compare MISSING MISSING",
    "report MISSING",
    "plot MISSING layers --out x.png",
    "plot MISSING layers --out x.gif",
    "similarity MISSING --out x.png",
    "similarity MISSING --out x.png --layers a",
    "similarity MISSING --out x.png --measure cosine",
    "transfer MISSING",
    "transfer MISSING --layers a",
    "transfer empty.cache --scores nope",
    "calibrate text --prior 2",
    "similarity empty.cache --variance 3 --out x.png",
    "describe MISSING",
    "describe MISSING --layers a",
    "inspect MISSING x --out x.png",
    "inspect MISSING x --out x.gif",
    "verify MISSING",
    "cache info MISSING",
    "cache verify MISSING",
    "cache repair MISSING",
    "cache repair MISSING --wait inf",
    "cache repair damaged.cache",
    "cache merge MISSING",
    "corpus check MISSING.csv",
    "reproduce attm --asvspoof2019-la MISSING",
    "reproduce attm --device gpu",
]


def seconds(command: list[str], folder: Path, tree: Path) -> tuple[float, int, str]:
    """Processor time of a command and its children, its exit code, and the last line of
    its errors.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "PYTHONPATH": str(tree)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, done.returncode, (done.stderr.strip().splitlines() or [""])[-1]


def prepare(folder: Path) -> None:
    """Write what the commands name that is not missing: a score file, a folder of something else,
    a cache without utterances, and a damaged one.
    """
    (folder / "text").write_text("u1 1.0\nu2 0.5\n")
    for name in ("full/notes.txt", "damaged.cache/cache.json"):
        (folder / name).parent.mkdir()
        (folder / name).write_text("{")
    columns = {"utterance_id": ["u"], "path": ["u.wav"], "split": ["train"], "label": ["spoof"]}
    manifest = Manifest(
        fingerprint={}, layers=(0,), dim=1, tiers={"pooled": "float32"}, measures=(), about={}
    )
    with CacheWriter(folder / "empty.cache", manifest, pd.DataFrame(columns), 1):
        pass


def main() -> None:
    """Print one line a command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beside", type=Path, help="another checkout, to compare with")
    parser.add_argument("--only", default="", help="commands that begin so")
    parser.add_argument("--rounds", type=int, default=5, help="of which the median is taken")
    given = parser.parse_args()
    trees = [ROOT, *([given.beside.resolve()] if given.beside else [])]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        prepare(folder)
        nothing = min(seconds([sys.executable, "-c", "pass"], folder, ROOT)[0] for _ in range(5))
        print(f"python -c pass: {nothing:.3f} s of processor")
        for text in (text for text in TELLING + WRONG if text.startswith(given.only)):
            command = [sys.executable, "-m", "analysis.commands.app", *text.split()]
            for tree in trees:
                seconds(command, folder, tree)  # once to write bytecode
            rounds = [
                [seconds(command, folder, tree) for tree in trees] for _ in range(given.rounds)
            ]
            used, *there = (
                statistics.median(times[i][0] for times in rounds) for i in range(len(trees))
            )
            _, code, said = rounds[0][0]
            beside = f" {there[0]:5.2f} s there, x {there[0] / used:.1f};" if there else ""
            print(
                f"{used:5.2f} s = {used / nothing:3.0f} x;{beside} exit "
                f"{code}  probe {text}  |  {said[:90]}",
                flush=True,
            )


if __name__ == "__main__":
    main()

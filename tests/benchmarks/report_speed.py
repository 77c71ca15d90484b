"""How long `probe report` of a run of many utterances takes, here and in another checkout, in
processor seconds.

    OMP_NUM_THREADS=1 python tests/benchmarks/report_speed.py [--beside TREE] [--utterances 180000]

The run is a sweep of a synthetic cache: 13 layers x 4, 13 attacks, 107 speakers, as many eval
utterances as asked for. The command runs from start to end, imports and all. Rounds take turns;
medians count.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from evaluate_speed import ROOT, run
from figures import figure

from cache.manifest import Manifest
from cache.writer import CacheWriter
from probing.audio import MEASURES
from probing.sweep import DepthOptions, SweepOptions, sweep

N_LAYERS = 13
DIM = 4


def main() -> None:
    """Print the seconds, the ratio and the size of the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--beside", type=Path, help="another checkout, to compare with")
    parser.add_argument("--utterances", type=int, default=180_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    trees = {"here": ROOT, **({"there": given.beside.resolve()} if given.beside else {})}
    with tempfile.TemporaryDirectory() as folder:
        made = swept(Path(folder), given.utterances)
        seconds: dict[str, list[float]] = {name: [] for name in trees}
        for _ in range(given.rounds):
            for name, tree in trees.items():
                page = Path(folder) / f"{name}.html"
                command = [
                    "-m",
                    "analysis.commands.app",
                    "report",
                    str(made),
                    "--no-measures",
                    "--out",
                    str(page),
                ]
                seconds[name].append(run(command, tree)[0])
        for name, spent in seconds.items():
            size = (Path(folder) / f"{name}.html").stat().st_size
            figure(
                f"probe report, processor seconds, {name}",
                statistics.median(spent),
                f"a page of {size / 1e3:.0f} kB",
            )
        if given.beside:
            ratios = [
                there / here for here, there in zip(seconds["here"], seconds["there"], strict=True)
            ]
            figure(
                "probe report, there / here",
                statistics.median(ratios),
                ", ".join(f"{ratio:.2f}" for ratio in ratios),
            )


def swept(folder: Path, n: int) -> Path:
    """A run of a cache with n eval utterances."""
    generator = np.random.default_rng(0)
    split = np.repeat(["train", "dev", "eval"], [n // 20, n // 20, n])
    number = np.arange(len(split))
    bonafide = generator.random(len(split)) < 0.1
    corpus = pd.DataFrame(
        {
            "utterance_id": [f"u{i:07d}" for i in number],
            "path": [f"{i}.wav" for i in number],
            "split": split,
            "label": np.where(bonafide, "bonafide", "spoof"),
            "speaker": [f"{of}-{i % 107}" for of, i in zip(split, number, strict=True)],
            "attack": np.where(bonafide, "-", [f"A{i % 13:02d}" for i in number]),
        }
    )
    about = {"backbone": "synthetic", "random_weights": False, "corpus": "synthetic"}
    manifest = Manifest(
        {"made": "here"}, tuple(range(N_LAYERS)), DIM, {"pooled": "float32"}, MEASURES, about
    )
    with CacheWriter(folder / "many.cache", manifest, corpus, shard_size=20_000) as writer:
        for index, table in list(writer.pending()):
            k = len(table)
            measures = {name: generator.normal(size=k) for name in MEASURES}
            shard = writer.start_shard(
                index, list(table["utterance_id"]), [800] * k, [2] * k, measures
            )
            for layer in range(N_LAYERS):
                x = generator.normal(size=(k, 2, DIM))
                x[:, 0, 0] += 1.5 * np.exp(-((layer - 5) ** 2) / 8) * (table["label"] == "bonafide")
                shard.write(0, "pooled", layer, x, k)
            writer.finish_shard(index, shard, {})
    options = SweepOptions(strengths=(0.1,), control_seeds=(0,), depths=DepthOptions(heads=()))
    sweep(
        folder / "many.cache",
        folder / "many.run",
        options,
        say=lambda text: print(text, file=sys.stderr),
    )
    return folder / "many.run"


if __name__ == "__main__":
    main()

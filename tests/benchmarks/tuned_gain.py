"""What tuning gains: a backbone frozen and tuned, at half and full depth, several seeds, paired on
eval.

    python tests/benchmarks/tuned_gain.py FOLDER --corpus my.csv [--backbone embedded] \
        [--seeds 3] [--epochs 10]
    python tests/benchmarks/tuned_gain.py FOLDER --corpus my.csv --augment rawboost:5
    python tests/benchmarks/tuned_gain.py FOLDER --corpus my.csv --train lora:8

Extracts and sweeps (once), tunes the head of the run at each depth with each seed, and prints a
table; FOLDER keeps everything, and the same command goes on where it stopped. At the end the layers
of the last tuned model at full depth are extracted and swept, and compared with the frozen ones.
Hours on two cores; a GPU is used where there is one.
"""

import argparse
from pathlib import Path

import numpy as np
from figures import figure

from analysis import cka, compare, save_figure
from probing.corpora import load_corpus
from probing.extraction import Machine, Options, extract
from probing.metrics.intervals import LEVEL
from probing.progress import duration, size
from probing.sweep import DepthOptions, SweepOptions, finished_run, sweep
from probing.tuning import Source, TuneMachine, TuneOptions, tune

HEAD = "weighted-sum+linear"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--audio-root", type=Path)
    parser.add_argument("--backbone", default="embedded")
    parser.add_argument(
        "--seconds", type=float, default=None, help="of every clip, repeated where it is short"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--depths", type=int, nargs="*", help="[default: half and all]")
    parser.add_argument("--train", default="all")
    parser.add_argument("--augment", default="")
    parser.add_argument("--rate", type=float, default=None)
    parser.add_argument("--head-rate", type=float, default=None)
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--layers", action="store_true", help="also extract and compare the tuned layers"
    )
    given = parser.parse_args()

    corpus = load_corpus(given.corpus, audio_root=given.audio_root)
    options = Options(given.backbone, seconds=given.seconds)
    given.folder.mkdir(parents=True, exist_ok=True)
    cache, run = swept(given.folder / "frozen", corpus, options, given.device)
    depths = given.depths or [run.n_blocks // 2, run.n_blocks]
    machine = TuneMachine(given.device)
    gains: dict[int, list[float]] = {depth: [] for depth in depths}
    print(
        "| depth | seed | frozen EER % | tuned EER % | tuned less frozen, points | time | memory |"
    )
    print("|---|---|---|---|---|---|---|")
    for depth in depths:
        for seed in range(given.seeds):
            what = TuneOptions(
                given.train,
                epochs=given.epochs,
                augment=given.augment,
                rate=given.rate,
                head_rate=given.head_rate,
                seed=seed,
            )
            name = "-".join(
                ["tuned", f"{depth:02d}", str(seed), given.train, given.augment or "plain"]
            )
            folder = given.folder / name.replace(":", "")
            tuned = tune(Source(run.folder, HEAD, depth), folder, what, machine)
            assert tuned is not None
            found = tuned.evaluated
            assert found is not None
            assert found.frozen is not None
            assert found.difference is not None
            assert found.low_difference is not None
            assert found.high_difference is not None
            gains[depth].append(100 * found.difference)
            ends = f"[{100 * found.low_difference:.1f}, {100 * found.high_difference:.1f}]"
            print(
                f"| {depth} | {seed} | {100 * found.frozen:.1f} | {100 * found.value:.1f} "
                f"[{100 * found.low:.1f}, {100 * found.high:.1f}] | "
                f"{100 * found.difference:+.1f} {ends} | {duration(tuned.record['seconds'])} | "
                f"{size(tuned.record['memory_bytes'])} |",
                flush=True,
            )
    for depth, points in gains.items():
        note = (
            f"{len(points)} seeds, {min(points):+.1f} to "
            f"{max(points):+.1f}; intervals are of {LEVEL:.0%}"
        )
        figure(
            f"tuned less frozen at depth {depth}, points of EER, mean", float(np.mean(points)), note
        )
    if given.layers:
        tuned_options = Options(str(folder), seconds=given.seconds)
        other, tuned_run = swept(given.folder / "tuned-layers", corpus, tuned_options, given.device)
        found = compare([run.folder, tuned_run.folder])
        print(found.sentence)
        save_figure(found.layer_curve(), given.folder / "layers-before-and-after.png")
        alike = np.diag(np.asarray(cka(cache, other=other)))
        print(
            "CKA of each layer with itself: "
            + ", ".join(f"{k} {value:.2f}" for k, value in enumerate(alike))
        )


def swept(place: Path, corpus, options: Options, device: str):
    """The cache of a backbone and its run, made once."""
    cache = extract(place.with_suffix(".cache"), corpus, options, Machine(device))
    what = SweepOptions(depths=DepthOptions(heads=(HEAD,)))
    run = finished_run(cache, place.with_suffix(".run"), what)
    return cache, run or sweep(cache, place.with_suffix(".run"), what, overwrite=True)


if __name__ == "__main__":
    main()

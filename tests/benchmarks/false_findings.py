"""How often a sweep finds in pure noise: a depth, a better head than chance, a better layer than
chance.

Every seed is a cache of noise with speakers and attacks, and a sweep from the training of heads to
the finding; for each unit of the bootstrap it says how many runs named a depth, called full depth
better than chance, or have any layer better than chance, with intervals of one layer and with those
of all layers at once:

    OMP_NUM_THREADS=1 python tests/benchmarks/false_findings.py [--seeds 200] [--first 0]
"""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from scipy.stats import binomtest

from probing.progress import progress_line
from probing.runs.simultaneous import layer_bands
from probing.sweep import SweepOptions, sweep
from probing.sweep.options import DepthOptions

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from planted import plant

WHAT = (
    "named a depth",
    "called full depth better than chance",
    "had a layer better than chance, intervals of one layer",
    "had a layer better than chance, intervals of all layers at once",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="seed")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument(
        "--eval", type=int, default=200, help="utterances, 10 a speaker, of three attacks"
    )
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--heads", nargs="+", default=["weighted-sum+linear"])
    parser.add_argument("--units", nargs="+", default=["speaker", "speaker,attack"])
    arguments = parser.parse_args()

    depths = DepthOptions(heads=tuple(arguments.heads), seeds=(0,), weight_decays=(0.1,), epochs=8)
    counts: dict[str, Counter[str]] = {unit: Counter() for unit in arguments.units}
    with progress_line("Noise", arguments.seeds, "caches") as line:
        for seed in range(arguments.first, arguments.first + arguments.seeds):
            with tempfile.TemporaryDirectory() as folder:
                n = 120, 80, arguments.eval
                cache = plant(
                    Path(folder) / "c", {}, n_layers=arguments.layers, n=n, dim=4, seed=seed
                )
                for unit in arguments.units:
                    options = SweepOptions(
                        strengths=(1e-2,),
                        control_seeds=(),
                        resamples=arguments.resamples,
                        depths=depths,
                        interval_by=unit,
                    )
                    run = sweep(cache, Path(folder) / f"{unit}.run", options, say=lambda text: None)
                    finding = run.record["depth_finding"]
                    false = (
                        finding["depth"] is not None,
                        finding["reason"] != "chance",
                        (run.rows("layer")["high"] < 0.5).any(),
                        (layer_bands(run)["high"] < 0.5).any(),
                    )
                    counts[unit].update(
                        what for what, found in zip(WHAT, false, strict=True) if found
                    )
            line.advance(1)
    for unit, of_unit in counts.items():
        print(f"By {unit}:")
        for what in WHAT:
            count, n_seeds = of_unit[what], arguments.seeds
            test = binomtest(count, n_seeds, 0.05, alternative="greater")
            ends = binomtest(count, n_seeds).proportion_ci(method="wilson")
            print(
                f"  {count} of {n_seeds} {what}: {count / n_seeds:.1%} [{ends.low:.1%}, "
                f"{ends.high:.1%}], p = {test.pvalue:.2g} against at most 5 %"
            )


if __name__ == "__main__":
    main()

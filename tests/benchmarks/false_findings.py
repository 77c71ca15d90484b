"""How often a sweep finds in pure noise: the share of runs that name a depth, or call full depth better than chance.

Every seed is a cache of noise with speakers, and a sweep from the training of heads to the finding:

    OMP_NUM_THREADS=1 python tests/benchmarks/false_findings.py [--seeds 100] [--first 0]
"""

import argparse
import tempfile
from pathlib import Path

from scipy.stats import binomtest

from probing.planted import plant
from probing.sweep import SweepOptions, sweep
from probing.sweep.depths import DepthOptions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="seed")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--eval", type=int, default=200, help="utterances, 10 a speaker")
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--heads", nargs="+", default=["weighted-sum+linear"])
    arguments = parser.parse_args()

    depths = DepthOptions(heads=tuple(arguments.heads), seeds=(0,), weight_decays=(0.1,), epochs=8)
    options = SweepOptions(strengths=(1e-2,), control_seeds=(), resamples=arguments.resamples, depths=depths)
    findings = []
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        with tempfile.TemporaryDirectory() as folder:
            cache = plant(
                Path(folder) / "c", {}, n_layers=arguments.layers, n=(120, 80, arguments.eval), dim=4, seed=seed
            )
            run = sweep(cache, Path(folder) / "r", options, say=lambda text: None)
            findings.append(run.record["depth_finding"])
    for what, count in (
        ("named a depth", sum(finding["depth"] is not None for finding in findings)),
        ("called full depth better than chance", sum(finding["reason"] != "chance" for finding in findings)),
    ):
        test = binomtest(count, len(findings), 0.05, alternative="greater")
        ends = binomtest(count, len(findings)).proportion_ci(method="wilson")
        print(
            f"{count} of {len(findings)} {what}: {count / len(findings):.1%} [{ends.low:.1%}, {ends.high:.1%}], "
            f"p = {test.pvalue:.2g} against at most 5 %"
        )


if __name__ == "__main__":
    main()

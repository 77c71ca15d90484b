"""How often a sweep names a depth if all depths are equally good, beside what `probe sweep --plan`
foretells.

Scores are drawn directly, as `probing.sweep.planning` assumes them, and go through the bootstrap
and the finding:

    OMP_NUM_THREADS=1 python tests/benchmarks/power.py [--corpora 200] [--margin 0.1]
"""

import argparse

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from probing.metrics import draw, eer, eer_resamples
from probing.metrics.clusters import Clusters, Factor
from probing.progress import progress_line
from probing.sweep.depth_finding import find_depth
from probing.sweep.planning import OF_CLUSTER, RATES, SHARED, plan


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpora", type=int, default=200)
    parser.add_argument("--margin", default="0.1")
    parser.add_argument("--speakers", type=int, nargs="+", default=[20, 50, 200], help="a class")
    parser.add_argument("--trials", type=int, default=10, help="a speaker")
    parser.add_argument("--depths", type=int, default=3)
    parser.add_argument("--resamples", type=int, default=200)
    arguments = parser.parse_args()

    print("| speakers a class | " + " | ".join(f"EER {100 * rate:g} %" for rate in RATES) + " |")
    print("|" + " --- |" * (1 + len(RATES)))
    for n in arguments.speakers:
        speaker = np.repeat(np.arange(2 * n), arguments.trials)
        bonafide, clusters = speaker < n, Clusters((Factor("speaker", speaker),))
        foretold = plan(bonafide, clusters, arguments.margin).table["power"]
        named = np.zeros(len(RATES))
        with progress_line(f"{n} speakers", arguments.corpora, "corpora") as line:
            for seed in range(arguments.corpora):
                generator = np.random.default_rng([seed, n])

                def noise(
                    generator: np.random.Generator = generator, speaker: NDArray[np.intp] = speaker
                ) -> NDArray:
                    of_speaker = generator.normal(size=speaker[-1] + 1)[speaker] * OF_CLUSTER**0.5
                    return (
                        of_speaker + generator.normal(size=len(speaker)) * (1 - OF_CLUSTER) ** 0.5
                    )

                common, drawn = noise(), draw(bonafide, clusters, n=arguments.resamples, seed=seed)
                own = {
                    k: SHARED**0.5 * common + (1 - SHARED) ** 0.5 * noise()
                    for k in range(1, arguments.depths + 1)
                }
                for i, rate in enumerate(RATES):
                    scores = {k: of - 2 * norm.ppf(rate) * bonafide for k, of in own.items()}
                    rates = {k: eer(bonafide, of) for k, of in scores.items()}
                    resampled = {k: eer_resamples(bonafide, of, drawn) for k, of in scores.items()}
                    named[i] += (
                        find_depth("", "", rates, resampled, arguments.margin, drawn).depth
                        is not None
                    )
                line.advance(1)
        cells = [
            f"{x / arguments.corpora:.0%} ({y:.0f} %)" for x, y in zip(named, foretold, strict=True)
        ]
        print(f"| {n} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()

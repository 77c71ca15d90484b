"""How long the equal error rate and its bootstrap take, beside scikit-learn's roc_curve, in one
run.

The rounds take turns, so that whatever else the machine does falls on all alike; medians count:

    OMP_NUM_THREADS=1 python tests/benchmarks/metrics_speed.py [--trials 600000] [--rounds 5] \
        [--speakers 93]
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import roc_curve

from probing.metrics import compare, draw, eer, eer_resamples


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--trials",
        type=int,
        default=600_000,
        help="3.7 %% of them bona fide, as in ASVspoof 2021 DF",
    )
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument(
        "--speakers", type=int, default=93, help="clusters of the clustered bootstrap"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    generator, n = np.random.default_rng(arguments.seed), arguments.trials
    bonafide = generator.random(n) < 0.037
    scores = generator.normal(size=n) + 3.2 * bonafide
    worse = scores - 0.02 * bonafide + 0.2 * generator.normal(size=n)
    speakers = generator.integers(0, arguments.speakers, n)
    of_utterances = draw(bonafide, n=arguments.resamples)
    of_speakers = draw(bonafide, speakers, n=arguments.resamples)

    def roc_eer() -> float:
        false_alarm, hit, _ = roc_curve(bonafide, scores)
        return float(false_alarm[np.argmin(np.abs(1 - hit - false_alarm))])

    work: dict[str, Callable[[], object]] = {
        "roc_curve of scikit-learn": roc_eer,
        "EER": lambda: eer(bonafide, scores),
        "bootstrap by speaker, draw": lambda: draw(bonafide, speakers, n=arguments.resamples),
        "bootstrap by speaker": lambda: eer_resamples(bonafide, scores, of_speakers),
        "bootstrap by utterance": lambda: eer_resamples(
            bonafide, scores, of_utterances, alone=True
        ),
        "the same, for pairs": lambda: eer_resamples(bonafide, scores, of_utterances),
        "paired comparison by speaker": lambda: compare(bonafide, scores, worse, of_speakers),
    }
    seconds: dict[str, list[float]] = {name: [] for name in work}
    processor: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(arguments.rounds):
        for name, run in work.items():
            wall, busy = time.perf_counter(), time.process_time()
            run()
            seconds[name].append(time.perf_counter() - wall)
            processor[name].append(time.process_time() - busy)
    reference = statistics.median(seconds["roc_curve of scikit-learn"])
    print(f"{n} trials, {arguments.resamples} resamples, median of {arguments.rounds}")
    for name, times in seconds.items():
        median, busy = statistics.median(times), statistics.median(processor[name])
        spread = f"{min(times):.3f} to {max(times):.3f}"
        print(
            f"{name:30} {median:8.3f} s ({spread}; processor {busy:.3f} s), "
            f"{median / reference:8.2f} x roc_curve"
        )
    print(f"naive bootstrap with roc_curve, estimated: {arguments.resamples * reference:.0f} s")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")


if __name__ == "__main__":
    main()

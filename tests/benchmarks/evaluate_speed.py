"""How long `probe evaluate` takes, and a bootstrap by utterance, here and in another checkout, in
processor seconds.

    OMP_NUM_THREADS=1 python tests/benchmarks/evaluate_speed.py [--beside TREE] \
        [--scores FILE --asv-scores FILE]

The command evaluates published scores by attack, with t-DCF and intervals, from start to end,
imports and all. The bootstrap is of 1,000 resamples, beside scikit-learn's roc_curve of the same
trials. Rounds take turns; medians count.
"""

import argparse
import inspect
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from figures import figure

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "scores"


def main() -> None:
    """Print one line a piece of work, and the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--beside", type=Path, help="another checkout, to compare with")
    parser.add_argument("--scores", type=Path, default=DATA / "rawgat_mul.eval.txt.gz")
    parser.add_argument("--asv-scores", type=Path, default=DATA / "asvspoof2019_la.asv.eval.txt.gz")
    parser.add_argument(
        "--trials", type=int, default=600_000, help="of the bootstrap, 3.7 %% of them bona fide"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bootstrap", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.bootstrap:
        print(*bootstrap_and_curve(given.trials))
        return
    trees = {"here": ROOT, **({"there": given.beside.resolve()} if given.beside else {})}
    files = [str(given.scores.resolve()), "--asv-scores", str(given.asv_scores.resolve())]
    evaluate = ["-m", "analysis.commands.app", "evaluate", *files, "--by", "attack"]
    bootstrap = [__file__, "--bootstrap", "--trials", str(given.trials)]
    commands: dict[str, list[float]] = {name: [] for name in trees}
    ratios: dict[str, list[float]] = {name: [] for name in trees}
    for tree in trees.values():
        run(evaluate, tree)  # once to write bytecode
    for _ in range(given.rounds):
        for name, tree in trees.items():
            commands[name].append(run(evaluate, tree)[0])
            resampling, curve = (float(word) for word in run(bootstrap, tree)[1].split())
            ratios[name].append(resampling / curve)
    for name in trees:
        spread = ", ".join(f"{value:.2f}" for value in commands[name])
        figure(
            f"probe evaluate, processor seconds, {name}", statistics.median(commands[name]), spread
        )
        spread = ", ".join(f"{value:.1f}" for value in ratios[name])
        figure(
            f"1,000 resamples by utterance / one roc_curve, {name}",
            statistics.median(ratios[name]),
            spread,
        )
    if given.beside:
        of_rounds = [
            there / here for here, there in zip(commands["here"], commands["there"], strict=True)
        ]
        figure(
            "probe evaluate, there / here",
            statistics.median(of_rounds),
            ", ".join(f"{value:.2f}" for value in of_rounds),
        )


def run(arguments: list[str], tree: Path) -> tuple[float, str]:
    """Processor time of Python and its children in a checkout, and what it prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "PYTHONPATH": str(tree)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def bootstrap_and_curve(n: int) -> tuple[float, float]:
    """Processor seconds of 1,000 equal error rates of resamples by utterance, drawing included, and
    of roc_curve.
    """
    import numpy as np
    from sklearn.metrics import roc_curve

    from probing.metrics import draw, eer_resamples

    generator = np.random.default_rng(0)
    bonafide = generator.random(n) < 0.037
    scores = generator.normal(size=n) + 3.2 * bonafide
    alone = {"alone": True} if "alone" in inspect.signature(eer_resamples).parameters else {}
    roc_curve(bonafide, scores)
    seconds = []
    for work in (
        lambda: eer_resamples(bonafide, scores, draw(bonafide, n=1000), **alone),
        lambda: roc_curve(bonafide, scores),
    ):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return seconds[0], seconds[1]


if __name__ == "__main__":
    main()

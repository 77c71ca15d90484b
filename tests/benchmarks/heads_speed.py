"""Heads trained side by side against the same heads trained one after another by the same code.

    python tests/benchmarks/heads_speed.py results/demo.cache

All depths x heads x 3 seeds x 5 weight decays on the pooled tier; early stopping is off, so that
every model takes the same number of steps. One after another is measured on a sample of models
spread over all of them, and scaled by their number, each on a source of the layers it sees and no
others; each round measures both, and the ratio is the median over rounds. The EERs of both ways are
compared model by model. Some minutes on two cores.
"""

import argparse
import time
from dataclasses import replace

import numpy as np
import torch
from figures import figure, median_ratio

from cache import Cache
from probing.heads.recipes import QUICK
from probing.heads.scoring import scores_of
from probing.heads.sources import PooledSource
from probing.heads.stack import Model, make_stacks
from probing.heads.training import train
from probing.metrics import eer
from probing.sweep.splits import read_splits


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cache")
    parser.add_argument(
        "--heads", default="single+linear,weighted-sum+linear,attentive-compact+linear"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--sample", type=int, default=12, help="models trained one after another in each round"
    )
    arguments = parser.parse_args()
    cache = Cache(arguments.cache)
    splits = read_splits(cache)
    whole = {
        part: PooledSource(cache=cache, table=split.table, memory_gb=8)
        for part, split in splits.items()
    }
    n_layers, dim = whole["train"].n_layers, whole["train"].dim
    recipe = replace(QUICK, patience=QUICK.epochs)  # every model takes the same number of steps

    def fit(models: list[Model]) -> tuple[float, np.ndarray]:
        deepest = max(model.depth for model in models)
        sources = {part: PooledSource(source.x[:deepest].numpy()) for part, source in whole.items()}
        started = time.perf_counter()
        stacks = make_stacks(models, deepest, dim, False, memory_gb=3)
        truth = splits["train"].bonafide, splits["dev"].bonafide
        train(stacks, sources["train"], truth[0], sources["dev"], truth[1], recipe)
        seconds = time.perf_counter() - started
        rates = {}
        for stack, scores in zip(stacks, scores_of(stacks, sources["eval"]), strict=True):
            rates.update(
                zip(
                    stack.models,
                    [eer(splits["eval"].bonafide, found) for found in scores.numpy()],
                    strict=True,
                )
            )
        return seconds, np.array([rates[model] for model in models])

    print(f"{cache}\n{torch.get_num_threads()} threads, {recipe.epochs} epochs")
    total = np.zeros((arguments.rounds, 2))
    for head in arguments.heads.split(","):
        merge, _, backend = head.partition("+")
        models = [
            Model(merge, backend, depth, seed, rate, decay)
            for depth in range(1, n_layers + 1)
            for seed in range(3)
            for rate in recipe.learning_rates
            for decay in recipe.weight_decays
        ]
        sample = np.unique(np.linspace(0, len(models) - 1, arguments.sample).astype(int))
        seconds, worst = np.zeros((arguments.rounds, 2)), 0.0
        for i in range(arguments.rounds):
            together, rates = fit(models)
            alone = [fit([models[m]]) for m in sample]
            seconds[i] = together, sum(taken for taken, _ in alone) * len(models) / len(sample)
            worst = max(
                worst,
                *(abs(rate[0] - rates[m]) for m, (_, rate) in zip(sample, alone, strict=True)),
            )
        total += seconds
        _print(head, len(models), seconds)
        figure(f"{head}: EER together against alone, most points of difference", 100 * worst)
    _print("all heads", len(models) * len(arguments.heads.split(",")), total)


def _print(name: str, n_models: int, seconds: np.ndarray) -> None:
    """Both ways in seconds, (rounds, 2), and their ratio."""
    together, alone = np.median(seconds, axis=0)
    print(f"{name}: {n_models} models together {together:.1f} s, one after another {alone:.0f} s")
    figure(
        f"{name}: one after another / together",
        *median_ratio([tuple(row) for row in seconds], 1, 0),
    )


if __name__ == "__main__":
    main()

"""How long the transferability scores of all layers of a cache take, beside training a logistic
regression on each.

The probe is scikit-learn's LogisticRegression at one strength on one layer, multiplied by the
layers: what a score is to save (a sweep trains one for each of several strengths). Columns are
correlated as those of hidden states are: the variances of their principal components fall as 1 / k.
The rounds take turns; medians count:

    python tests/benchmarks/transferability_speed.py [--layers 25] [--dim 1024] [--rows 5000] \
        [--rounds 5]
"""

import argparse
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from figures import compared, figure
from stored_states import store, table_of

from analysis.transferability import transfer_scores


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layers", type=int, default=25)
    parser.add_argument(
        "--dim",
        type=int,
        default=1024,
        help="of a layer; features are mean and deviation, twice that",
    )
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    generator = np.random.default_rng(0)
    table = table_of(arguments.rows)
    pooled = np.empty((arguments.layers, arguments.rows, 2, arguments.dim), np.float32)
    width = 2 * arguments.dim
    mixing = (
        np.linalg.qr(generator.normal(size=(width, width)))[0]
        / np.sqrt(np.arange(1, width + 1))[:, None]
    )
    for layer in range(arguments.layers):
        rows = generator.normal(size=(arguments.rows, width)) @ mixing
        pooled[layer] = rows.reshape(pooled.shape[1:])
        pooled[layer, :, 0, 0] += 0.02 * layer * (table["label"] == "spoof")
    with tempfile.TemporaryDirectory() as folder:
        cache = store(Path(folder) / "c", pooled, table)
        del pooled

        def probe() -> object:
            x = cache.layer(0)[0].reshape(arguments.rows, -1).astype(np.float64)
            y = cache.utterances["label"] == "spoof"
            return LogisticRegression(C=0.01, max_iter=1000).fit(
                StandardScaler().fit_transform(x), y
            )

        work: dict[str, tuple[int, Callable[[], object]]] = {
            "LogME": (1, lambda: transfer_scores(cache, where=None, scores=["logme"])),
            "LogME, H-score, TransRate, GBC": (1, lambda: transfer_scores(cache, where=None)),
            "logistic regression, 1 layer": (arguments.layers, probe),
        }
        print(
            f"{arguments.layers} layers x {arguments.rows} rows x "
            f"{2 * arguments.dim}, median of {arguments.rounds}"
        )
        busy = compared(work, arguments.rounds, "all layers")
    probes = busy["logistic regression, 1 layer"]
    figure("logistic regression of one strength / LogME", probes / busy["LogME"], "processor")
    figure(
        "logistic regression of one strength / four scores",
        probes / busy["LogME, H-score, TransRate, GBC"],
        "processor",
    )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()

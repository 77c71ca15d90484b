"""How long CKA and PWCCA of all pairs of layers take from a cache on disk, beside the direct
computation of one pair.

The direct computation is that of the definitions on rows in memory: centred Gram matrices for CKA,
QR and singular value decompositions for PWCCA. It is timed on one pair and multiplied by the pairs.
Rounds take turns; medians count:

    python tests/benchmarks/similarity_speed.py [--layers 25] [--dim 1024] [--rows 5000] \
        [--rounds 5]
"""

import argparse
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from figures import compared, figure
from stored_states import store

from analysis.similarity import cka, pwcca


def direct_cka(x: np.ndarray, y: np.ndarray) -> float:
    """Linear CKA by centred Gram matrices."""
    grams = [z @ z.T for z in (x - x.mean(0), y - y.mean(0))]
    return float((grams[0] * grams[1]).sum() / np.linalg.norm(grams[0]) / np.linalg.norm(grams[1]))


def direct_pwcca(x: np.ndarray, y: np.ndarray) -> float:
    """PWCCA by orthonormal bases of the rows."""
    x, y = x - x.mean(0), y - y.mean(0)
    q = np.linalg.qr(x)[0]
    u, rho, _ = np.linalg.svd(q.T @ np.linalg.qr(y)[0], full_matrices=False)
    weight = np.abs((q @ u).T @ x).sum(axis=1)
    return float((weight * rho).sum() / weight.sum())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layers", type=int, default=25)
    parser.add_argument("--dim", type=int, default=1024)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory-gb", type=float, default=2.0)
    arguments = parser.parse_args()
    generator = np.random.default_rng(0)
    pooled = np.empty((arguments.layers, arguments.rows, 2, arguments.dim), np.float32)
    x = generator.normal(size=pooled.shape[1:])
    for layer in range(arguments.layers):  # each layer a little further from the first
        pooled[layer] = x
        x += 0.3 * generator.normal(size=x.shape)
    with tempfile.TemporaryDirectory() as folder:
        cache = store(Path(folder) / "c", pooled)
        one, other = (pooled[k, :, 0].astype(np.float64) for k in (0, arguments.layers // 2))
        del pooled, x
        pairs = arguments.layers * (arguments.layers - 1) // 2
        work: dict[str, tuple[int, Callable[[], object]]] = {
            "CKA, minibatches of 512": (1, lambda: cka(cache, memory_gb=arguments.memory_gb)),
            "CKA, direct": (pairs, lambda: direct_cka(one, other)),
            "PWCCA": (1, lambda: pwcca(cache, memory_gb=arguments.memory_gb)),
            "PWCCA, direct": (pairs, lambda: direct_pwcca(one, other)),
        }
        print(
            f"{arguments.layers} layers x {arguments.rows} rows x {arguments.dim}, {pairs} "
            f"pairs, of {arguments.rounds}"
        )
        busy = compared(work, arguments.rounds, "all pairs")
        gap = abs(
            float(pwcca(cache, [0, arguments.layers // 2]).iloc[0, 1]) - direct_pwcca(one, other)
        )
    figure(
        "CKA of all pairs, direct / ours",
        busy["CKA, direct"] / busy["CKA, minibatches of 512"],
        "processor",
    )
    figure("PWCCA of all pairs, direct / ours", busy["PWCCA, direct"] / busy["PWCCA"], "processor")
    print(f"PWCCA of one pair differs from the direct one by {gap:.1e}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()

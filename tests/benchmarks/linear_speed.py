"""How fast linear probes are: beside a scikit-learn loop with the same folds and strengths, or in a
sweep at scale.

Without options: layers of demo size, strength chosen over 5 folds, both sides in as many processes
as there are cores, in turn. With --scale: `probe sweep` on a synthetic cache of 25,000 utterances x
25 layers x 2,048 pooled values.

    python tests/benchmarks/linear_speed.py [--runs 5] [--layers 13] [--utterances 995] [--dim 192]
    python tests/benchmarks/linear_speed.py --scale [--layers 25] [--utterances 25000] \
        [--dim 1024] [--memory-gb 2]
"""

import argparse
import os
import resource
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from cache.manifest import Manifest
from cache.writer import CacheWriter
from probing.audio import MEASURES
from probing.metrics import eer
from probing.probes import LinearProbeCV
from probing.sweep import DepthOptions, SweepOptions, sweep

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
SHARD_SIZE = 25_000
FOLDS = 5


def features(n: int, p: int, shard: int = 0) -> np.ndarray:
    """(N, P) float32 whose principal variances fall as 1/k, in random directions that are the same
    in every shard.
    """
    generator = np.random.default_rng(0)
    axes = np.linalg.qr(generator.standard_normal((p, p), dtype=np.float32))[0]
    generator = np.random.default_rng(shard) if shard else generator
    return (
        generator.standard_normal((n, p), dtype=np.float32)
        / np.sqrt(1 + np.arange(p, dtype=np.float32))
        @ axes
    )


def layer_of(base: np.ndarray, bonafide: np.ndarray, layer: int) -> np.ndarray:
    """The features in another order of rows, and the classes apart in a direction of the layer's
    own.
    """
    generator = np.random.default_rng([layer, 1])
    direction = (
        generator.standard_normal(base.shape[1], dtype=np.float32)
        * base.std()
        * (0.05 + 0.02 * (layer % 5))
    )
    return base[generator.permutation(len(base))] + bonafide[:, None] * direction


def ours(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights and bias, the strength chosen over folds."""
    probe = LinearProbeCV(STRENGTHS, FOLDS).fit(x, y)
    return probe.coef_[0], probe.intercept_


def scikit_learns(
    x: np.ndarray, y: np.ndarray, tolerance: float = 1e-4
) -> tuple[np.ndarray, np.ndarray]:
    """The same by a loop over scikit-learn's estimators, each fold standardised once, at their own
    tolerance.
    """

    def fit(z: np.ndarray, labels: np.ndarray, strength: float) -> LogisticRegression:
        return LogisticRegression(
            C=strength, class_weight="balanced", max_iter=10_000, tol=tolerance
        ).fit(z, labels)

    rates = []
    for train, test in StratifiedKFold(FOLDS).split(x, y):
        scaler = StandardScaler().fit(x[train])
        z, held_out = scaler.transform(x[train]), scaler.transform(x[test])
        rates.append(
            [eer(y[test], fit(z, y[train], c).decision_function(held_out)) for c in STRENGTHS]
        )
    scaler = StandardScaler().fit(x)
    probe = fit(scaler.transform(x), y, STRENGTHS[int(np.mean(rates, axis=0).argmin())])
    weight = probe.coef_[0] / scaler.scale_
    return weight, probe.intercept_ - weight @ scaler.mean_


def beside_scikit_learn(n_layers: int, n: int, p: int, runs: int) -> None:
    """Print medians of interleaved runs, and how far the EER on the half that no fit
    saw differs.
    """
    bonafide = np.arange(n) % 2 == 0
    base = features(n, p)
    layers = [layer_of(base, bonafide, layer).astype(np.float64) for layer in range(n_layers)]
    seen, sides, times, probes = n // 2, (ours, scikit_learns), [], {}
    with Parallel(n_jobs=os.cpu_count(), max_nbytes=None) as pool:
        for run in range(runs + 1):  # the first starts the processes and does not count
            seconds = []
            for side in sides:
                started = time.perf_counter()
                probes[side] = pool(delayed(side)(x[:seen], bonafide[:seen]) for x in layers)
                seconds.append(time.perf_counter() - started)
            if run:
                times.append(seconds)
        probes["solved"] = pool(
            delayed(scikit_learns)(x[:seen], bonafide[:seen], 1e-8) for x in layers
        )
    rates = {
        side: np.array(
            [
                eer(bonafide[seen:], x[seen:] @ w + b)
                for x, (w, b) in zip(layers, found, strict=True)
            ]
        )
        for side, found in probes.items()
    }
    ratios = [theirs / own for own, theirs in times]
    print(
        f"{n_layers} layers, {seen} utterances x {p} values, "
        f"{FOLDS} folds x {len(STRENGTHS)} strengths"
    )
    for i, name in enumerate(("LinearProbeCV", "scikit-learn loop")):
        print(f"{name:<18} {statistics.median(t[i] for t in times):8.2f} s")
    print(
        f"times faster       {statistics.median(ratios):8.2f}     (pairs: "
        f"{', '.join(f'{r:.2f}' for r in ratios)})"
    )
    for name, one, other in (
        ("EER off", ours, "solved"),
        ("  the loop's", scikit_learns, "solved"),
        ("EER between both", ours, scikit_learns),
    ):
        difference = 100 * np.abs(rates[one] - rates[other])
        print(
            f"{name:<18} {difference.mean():8.3f} points on average, {difference.max():.3f} at most"
        )
    print("  (off: from the loop with a tolerance of 1e-8 in place of scikit-learn's 1e-4)")
    print(f"EER                {100 * rates[ours].min():8.2f} to {100 * rates[ours].max():.2f} %")


def write_cache(folder: Path, n_layers: int, n: int, dim: int) -> None:
    """A cache of `n` utterances: 60 % train, 20 % dev, 20 % eval, a fifth bona fide; pooled tier
    float16.
    """
    table = pd.DataFrame({"utterance_id": [f"{i:06d}" for i in range(n)]})
    table["path"] = table["utterance_id"] + ".wav"
    table["split"] = np.array(["train", "train", "train", "dev", "eval"])[np.arange(n) % 5]
    table["label"] = np.where(np.arange(n) // 5 % 5 == 0, "bonafide", "spoof")
    table["attack"], table["speaker"] = "-", ""
    about = {"backbone": "synthetic", "random_weights": True, "corpus": "synthetic"}
    manifest = Manifest(
        {"synthetic": n}, tuple(range(n_layers)), dim, {"pooled": "float16"}, MEASURES, about
    )
    generator = np.random.default_rng(0)
    with CacheWriter(folder, manifest, table, shard_size=SHARD_SIZE) as writer:
        for index, rows in list(writer.pending()):
            n_rows = len(rows)
            measures = {name: generator.normal(size=n_rows) for name in MEASURES}
            shard = writer.start_shard(
                index, list(rows["utterance_id"]), [800] * n_rows, [2] * n_rows, measures
            )
            base = features(n_rows, 2 * dim, index)
            for layer in range(n_layers):
                x = layer_of(base, (rows["label"] == "bonafide").to_numpy(), layer)
                shard.write(0, "pooled", layer, x.reshape(n_rows, 2, dim), n_rows)
            writer.finish_shard(index, shard, {})


def at_scale(
    n_layers: int, n: int, dim: int, memory_gb: float, n_controls: int, kept: Path | None
) -> None:
    """Print what a sweep takes; the cache is written by another process, so that the peak is the
    sweep's.
    """
    scratch = Path(tempfile.mkdtemp(dir=kept and kept.parent))
    folder = kept or scratch / "cache"
    try:
        needed = 2 * 2 * n_layers * n * dim
        if not folder.exists():
            if shutil.disk_usage(scratch).free < 1.2 * needed:
                raise SystemExit(f"{scratch}: the cache needs {needed / 1e9:.1f} GB")
            writer = os.fork()
            if not writer:
                status = 1
                try:
                    write_cache(folder, n_layers, n, dim)
                    status = 0
                finally:
                    os._exit(status)
            if os.waitpid(writer, 0)[1]:
                raise SystemExit("the cache could not be written")
        options = SweepOptions(STRENGTHS, tuple(range(n_controls)), depths=DepthOptions(heads=()))
        started, cpu = time.perf_counter(), time.process_time()
        run = sweep(folder, scratch / "run", options, memory_gb=memory_gb, say=lambda text: None)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    finally:
        shutil.rmtree(scratch)
    rates = run.results.query("experiment == 'layer' and split == 'eval'")["value"]
    print(
        f"{n_layers} layers, {n} utterances x {2 * dim} values, "
        f"{1 + n_controls} labellings, 5 strengths"
    )
    print(
        f"sweep              {seconds:8.1f} s, {cpu:.1f} s of "
        f"processor time, {os.cpu_count()} cores"
    )
    print(
        f"peak memory        {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:8.2f} GiB"
    )
    print(f"EER                {100 * rates.min():8.2f} to {100 * rates.max():.2f} %")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", action="store_true", help="a sweep of a large cache instead")
    parser.add_argument("--layers", type=int, help="13, at scale 25")
    parser.add_argument(
        "--utterances",
        type=int,
        help="995, at scale 25000; half of them are fitted, at scale 60 %%",
    )
    parser.add_argument(
        "--dim", type=int, help="192, at scale 1024; mean and deviation make twice as many values"
    )
    parser.add_argument("--runs", type=int, default=5, help="pairs of runs; the medians count")
    parser.add_argument("--memory-gb", type=float, default=2.0, help="as probe sweep --memory-gb")
    parser.add_argument(
        "--cache", type=Path, help="at scale: use the cache of this folder, written first and kept"
    )
    parser.add_argument(
        "--controls", type=int, default=0, help="shuffled labellings beside the true one, at scale"
    )
    arguments = parser.parse_args()
    n_layers, n, dim = (
        given or default
        for given, default in zip(
            (arguments.layers, arguments.utterances, arguments.dim),
            (25, 25_000, 1024) if arguments.scale else (13, 995, 192),
            strict=True,
        )
    )
    if arguments.scale:
        at_scale(n_layers, n, dim, arguments.memory_gb, arguments.controls, arguments.cache)
    else:
        beside_scikit_learn(n_layers, n, 2 * dim, arguments.runs)


if __name__ == "__main__":
    main()

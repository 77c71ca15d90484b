"""Probes of any target beside a loop of scikit-learn on the same features: the same figure, and
both times.

    OMP_NUM_THREADS=1 python tests/benchmarks/targets_speed.py CACHE [--repeats 5] [--folds 5]

Classes: the column lang (or --classes COLUMN) of the cache; a number: n_samples (or --number
COLUMN). Both in folds by speaker, as `probe sweep CACHE --target COLUMN --split-by speaker --folds
5` has them: of every layer, fold and one of four labellings (the true one, three shuffled) all six
strengths are trained, that which is best on the fold after it is taken, and every utterance is
scored by the probe that has not seen its fold. The loop is of
LogisticRegression(class_weight="balanced") or Ridge behind a StandardScaler, to the same tolerance.
Median seconds of `repeats` runs, taken in turn, by the clock and of the processor.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cache import Cache
from probing.sweep.dividing import fold_parts
from probing.sweep.fitting import Labelling, cross_validate
from probing.sweep.linear import features_of, shuffled
from probing.sweep.options import SweepOptions
from probing.sweep.split import EVAL, Split
from probing.targets.metrics import CLASSES
from probing.targets.options import TargetOptions
from probing.targets.task import Values

STRENGTHS = SweepOptions().strengths
TOLERANCE = 1e-6
Array = NDArray[np.float64]


def labellings(split: Split) -> list[Labelling]:
    """The true targets and three controls with shuffled ones, as a sweep has them."""
    return [
        dict.fromkeys(("train", "dev"), split.target),
        *shuffled({"train": split, "dev": split}, range(3)),
    ]


def with_scikit_learn(x: Array, split: Split) -> Array:
    """Scores of every utterance by the probe that was trained without its fold; controls are
    trained too.
    """
    found = [_in_folds(x, split, labels["train"]) for labels in labellings(split)]
    return found[0]


def _in_folds(x: Array, split: Split, y: Values) -> Array:
    task = split.task
    assert split.folds is not None
    found = np.empty((len(y), len(task.classes)) if task.name == CLASSES else len(y))
    for rows in fold_parts(split.folds):
        best: tuple[float, Array] | None = None
        for c in STRENGTHS:
            if task.name == CLASSES:
                probe = LogisticRegression(
                    C=c, class_weight="balanced", tol=TOLERANCE, max_iter=5000
                )
            else:
                probe = Ridge(alpha=1 / c)
            model = make_pipeline(StandardScaler(), probe).fit(x[rows["train"]], y[rows["train"]])
            score = model.decision_function if task.name == CLASSES else model.predict
            loss = task.loss(y[rows["dev"]], score(x[rows["dev"]]))
            if best is None or loss < best[0]:
                best = loss, score(x[rows[EVAL]])
        assert best is not None
        found[rows[EVAL]] = best[1]
    return found


def ours(x: Array, split: Split) -> Array:
    """The same by one solve."""
    assert split.folds is not None
    return cross_validate(x, split.folds, labellings(split), STRENGTHS, task=split.task)[0].scores[
        EVAL
    ]


def timed(
    work: Callable[[Array, Split], Array], layers: list[Array], split: Split
) -> tuple[float, list[Array]]:
    """Processor seconds, and scores by layer."""
    started = time.process_time()
    found = [work(x, split) for x in layers]
    return time.process_time() - started, found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cache", type=Path)
    parser.add_argument("--classes", default="lang")
    parser.add_argument("--number", default="n_samples")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--layers", type=int, default=3, help="how many, from the first to the last"
    )
    parser.add_argument(
        "--times", type=int, default=1, help="take every utterance so many times, with noise"
    )
    parser.add_argument("--only", choices=("classes", "number"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")

    cache = Cache(arguments.cache)
    chosen = sorted(
        {int(k) for k in np.linspace(cache.layers[0], cache.layers[-1], arguments.layers).round()}
    )
    print(
        "| target | utterances | features | classes | scikit-learn "
        "s | ours s | ratio | largest difference |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    columns = {"classes": arguments.classes, "number": arguments.number}
    for column in [column for name, column in columns.items() if arguments.only in (None, name)]:
        target = TargetOptions(target=column, split_by="speaker", folds=arguments.folds)
        split = SweepOptions(target=target).splits(cache)["train"]
        layers = [features_of(split, layer, split.table).astype(np.float64) for layer in chosen]
        if arguments.times > 1:
            generator = np.random.default_rng(0)
            layers = [np.tile(x, (arguments.times, 1)) for x in layers]
            layers = [x + x.std(axis=0) * generator.normal(size=x.shape) for x in layers]
            assert split.folds is not None
            target, folds = (
                np.tile(values, arguments.times) for values in (split.target, split.folds)
            )
            split = replace(split, target=target, folds=folds)
        times: dict[str, list[float]] = {"loop": [], "ours": []}
        for _ in range(arguments.repeats):
            seconds, expected = timed(with_scikit_learn, layers, split)
            times["loop"].append(seconds)
            seconds, found = timed(ours, layers, split)
            times["ours"].append(seconds)
        metric = split.task.metric
        apart = max(
            abs(split.task.value(split.target, one) - split.task.value(split.target, two))
            for one, two in zip(expected, found, strict=True)
        )
        loop, mine = np.median(times["loop"]), np.median(times["ours"])
        n_classes = len(split.task.classes) or ""
        print(
            f"| {column} | {len(split.target)} | {layers[0].shape[1]} | {n_classes} | {loop:.1f} "
            f"| {mine:.1f} | {loop / mine:.1f} | {metric.difference(apart)} of {metric.called} |"
        )


if __name__ == "__main__":
    main()

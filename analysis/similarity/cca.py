"""Canonical correlation of layers with what is known of the utterances (Pasad, Chou and Livescu,
ASRU 2021 and 2023).

Directions are fitted on one part of the utterances, the regularisation is chosen on a second and
correlations are measured on a third, so that unrelated rows give 0 however wide the layer is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.caches.views import FRAMES_PER_UTTERANCE, View, parts, view
from analysis.similarity.targets import Target, target_of
from cache import Cache, ProbeError
from cache.reader import Where
from probing.progress import progress_line

EPSILONS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
RELEASED_EPSILONS = (1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5)
CONVENTIONS = {
    "centred": "columns at variance 1, about their means; weights by what each direction explains "
    "of the view of fewer columns",
    "released": "as the released code of Pasad et al.: columns at their own variance, raw means "
    "added to the directions, which are made orthogonal; "
    "weights by the raw columns of the view of fewer",
}
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Sums over rows [x y]: how many, their sum (P,), their products (P, P), all about the same
    `shift` (P,).

    >>> rows = Moments(2.0, np.array([4.0]), np.array([[10.0]]), np.array([0.0]))
    >>> rows.mean().tolist(), rows.covariance().tolist()
    ([2.0], [[1.0]])
    """

    n: float
    sums: Matrix
    products: Matrix
    shift: Matrix

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.n + other.n, self.sums + other.sums, self.products + other.products, self.shift
        )

    def mean(self) -> Matrix:
        """(P,) of the rows as they are."""
        return np.asarray(self.shift + self.sums / self.n)

    def covariance(self) -> Matrix:
        """(P, P) about the mean."""
        mean = self.sums / self.n
        return np.asarray(self.products / self.n - np.outer(mean, mean))


def cca_with(
    cache: Cache,
    target: Target,
    layers: Sequence[int] | None = None,
    where: Where = None,
    *,
    tier: str = "pooled",
    deviation: bool = False,
    splits: int = 10,
    epsilons: Sequence[float] | None = None,
    convention: str = "centred",
    frames_per_utterance: int = FRAMES_PER_UTTERANCE,
    audio_root: Path | None = None,
    memory_gb: float = 2.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Projection-weighted canonical correlation of every layer with a target, held out.

    The utterances are dealt into `splits` folds. In split s, fold s is measured, the next one
    chooses epsilon and the others are fitted. Columns are standardised on the fitted part; epsilon
    is added to the diagonal of both covariances. Correlations are weighted by how much of the
    measured view of fewer columns each direction explains.

    Args:
        cache: an open cache.
        layers: its layers; default all.
        target: `mel`, `speaker`, `attack`, `label`, `trivial`, the number of a layer, or a
            DataFrame of your own numbers by utterance id; see `target_of`.
        where: which utterances, see `Cache.select`; those whose target is unknown are left out.
        tier: `pooled` or `frames`.
        deviation: pooled tier: mean and standard deviation instead of the mean alone.
        splits: folds, 3 or more.
        epsilons: to choose from; default six decades about 0.1, or for `released` those of that
            code, of which the largest is 1e-5 of the largest covariance.
        convention: `centred`, or `released` to compare with figures of Pasad et al.; see below.
        frames_per_utterance: frames tier: so many of each, at even distances.
        audio_root: for `mel`, where the audio is now.
        memory_gb: most memory for sums and rows.
        seed: of the folds.

    The released code of Pasad et al. weighs by the first min(dx, dy) columns of either view, adds
    their raw means and leaves columns at their own variance, so that a constant added to a column
    changes its figure; figures compared with theirs must say so: `convention="released"` computes
    it so, from the same splits as ours. `attrs["convention"]` says which it was.

    Returns:
        One row a layer: value (mean over splits), deviation, low and high (over splits: standard
        deviation, least, largest), epsilon (median).

    Raises:
        ProbeError: no such layer, tier or target, one class only, or too few utterances.

    >>> from cache import Cache
    >>> list(cca_with(Cache("results/demo.cache"), "trivial", [0, 2], splits=3).index)
    [0, 2]
    """
    if convention not in CONVENTIONS:
        raise ProbeError(f"convention={convention!r}: expected one of {', '.join(CONVENTIONS)}")
    released = convention == "released"
    epsilons = (RELEASED_EPSILONS if released else EPSILONS) if epsilons is None else epsilons
    if splits < 3 or not epsilons or min(epsilons) <= 0:
        raise ProbeError(
            f"splits={splits}, epsilons={tuple(epsilons)}: "
            "expected 3 or more, and numbers above zero"
        )
    v = view(cache, layers, where, tier, deviation, frames_per_utterance)
    y = target_of(v, target, audio_root, fewest=splits)
    known = ~np.isnan(y).any(axis=1)
    utterance = np.repeat(np.arange(len(v.table)), v.counts())
    fold = _folds(np.unique(utterance[known]), len(v.table), splits, seed)
    if not released:
        y = (y - y[known].mean(axis=0)) / _deviation(y[known].var(axis=0))
    found = {}
    with progress_line("CCA", len(v.layers), "layers") as line:
        at_once = max(
            1, int(memory_gb * 1e9 / 2 / (8 * (splits + 4) * (v.width + y.shape[1]) ** 2))
        )
        for first in range(0, len(v.layers), at_once):
            some = v.layers[first : first + at_once]
            for layer, moments in zip(
                some,
                _moments(v, some, y=y, fold=fold, splits=splits, memory_gb=memory_gb),
                strict=True,
            ):
                found[layer] = _over_splits(moments, v.width, epsilons, released)
                line.advance(1, f"layer {layer}")
    table = pd.DataFrame.from_dict(found, orient="index").rename_axis("layer")
    name = (
        target
        if isinstance(target, str)
        else f"layer {target}"
        if isinstance(target, int)
        else "own numbers"
    )
    n = int(known.sum())
    table.attrs = {
        "measure": "projection-weighted CCA",
        "target": name,
        "rows": v.name,
        "sample": f"{n} utterances" if tier == "pooled" else f"{n} frames",
        "convention": CONVENTIONS[convention],
        "how": f"measured on held-out utterances, {splits} splits",
    }
    return table


def held_out(
    fitted: Matrix, measured: Matrix, width: int, epsilons: Sequence[float]
) -> NDArray[np.float64]:
    """Projection-weighted correlation on held-out rows, (len(epsilons),).

    Args:
        fitted: covariance (P, P) of the rows [x y] to fit on.
        measured: that of the rows to measure on.
        width: columns of x.
        epsilons: added to the diagonal of the covariances of x and y with columns at variance 1 on
            the fitted rows.
    """
    scale = _deviation(np.diag(fitted))
    train, test = (c / np.outer(scale, scale) for c in (fitted, measured))
    (s, u), (t, w) = np.linalg.eigh(train[:width, :width]), np.linalg.eigh(train[width:, width:])
    s = s.clip(0)
    t = t.clip(0)
    cross = u.T @ train[:width, width:] @ w
    scores = []
    for epsilon in epsilons:
        left = 1 / np.sqrt(s + epsilon)
        right = 1 / np.sqrt(t + epsilon)
        p, _, q = np.linalg.svd(left[:, None] * cross * right, full_matrices=False)
        a = u @ (left[:, None] * p)
        b = w @ (right[:, None] * q.T)
        on_x = test[:width, :width] @ a
        on_y = test[width:, width:] @ b
        spread = [np.sqrt((d * on).sum(axis=0).clip(0)) for d, on in ((a, on_x), (b, on_y))]
        there = np.minimum(*spread) > 1e-9
        rho = (a * (test[:width, width:] @ b)).sum(axis=0)[there] / (spread[0] * spread[1])[there]
        smaller = 0 if width < len(train) - width else 1
        weight = np.abs((on_x, on_y)[smaller][:, there]).sum(axis=0) / spread[smaller][there]
        scores.append(float(weight @ rho / weight.sum()) if there.any() else 0.0)
    return np.array(scores)


def held_out_released(
    fitted: Moments, measured: Moments, width: int, epsilons: Sequence[float]
) -> NDArray[np.float64]:
    """`held_out` by the convention of the released code of Pasad et al., (len(epsilons),).

    Covariances are divided by their largest entry, and columns of less than epsilon left out. With
    A the directions of the view of fewer columns x and m the means of its columns, H = A (x - m) +
    m is made orthogonal, and direction i weighs the sum over columns of |<q_i, x_j>|, of x as it
    is.
    """
    train = fitted.covariance()
    test = measured.covariance()
    mean = measured.mean()
    views = slice(0, width), slice(width, len(train))
    scores = []
    for epsilon in epsilons:
        columns = []
        roots = []
        for view_ in views:
            own = train[view_, view_]
            kept = np.flatnonzero(np.diag(own) / np.abs(own).max() >= epsilon) + view_.start
            block = train[np.ix_(kept, kept)] / np.abs(own).max() + epsilon * np.eye(len(kept))
            values, vectors = np.linalg.eigh(block)
            columns.append(kept)
            roots.append((vectors / np.sqrt(values.clip(1e-15))) @ vectors.T)
        largest = [np.abs(train[view_, view_]).max() for view_ in views]
        cross = train[np.ix_(*columns)] / np.sqrt(largest[0] * largest[1])
        p, _, q = np.linalg.svd(roots[0] @ cross @ roots[1], full_matrices=False)
        a = p.T @ roots[0]
        b = q @ roots[1]
        spread = [
            np.einsum("ij,jk,ik->i", d, test[np.ix_(of, of)], d).clip(1e-300)
            for d, of in zip((a, b), columns, strict=True)
        ]
        rho = np.einsum("ij,jk,ik->i", a, test[np.ix_(*columns)], b) / np.sqrt(
            spread[0] * spread[1]
        )
        d, of = (a, columns[0]) if len(columns[0]) < len(columns[1]) else (b, columns[1])
        k = len(rho)
        means = mean[of[:k]]
        c = test[np.ix_(of, of)]
        gram = d @ c @ d.T + np.outer(means, means)  # of H, by row
        onto = d @ c[:, :k] + np.outer(means, means)  # H with the raw columns
        # H' = Q R with this R, whatever the rows
        upper = np.asarray(np.linalg.qr(_root(gram), mode="r"))
        weight = np.abs(np.linalg.solve(upper.T, onto)).sum(axis=1)
        scores.append(float(weight @ rho / weight.sum()))
    return np.array(scores)


def _root(gram: Matrix) -> Matrix:
    """A matrix whose product with itself, transposed first, is a Gram matrix."""
    values, vectors = np.linalg.eigh(gram)
    return np.asarray(np.sqrt(values.clip(values.max() * 1e-15))[:, None] * vectors.T)


def _over_splits(
    folds: list[Moments], width: int, epsilons: Sequence[float], released: bool
) -> dict[str, float]:
    def measure(fitted: Moments, on: Moments, epsilons: Sequence[float]) -> NDArray[np.float64]:
        if released:
            return held_out_released(fitted, on, width, epsilons)
        return held_out(fitted.covariance(), on.covariance(), width, epsilons)

    values = []
    chosen = []
    for s, measured in enumerate(folds):
        dev = folds[(s + 1) % len(folds)]
        rest = [fold for fold in folds if fold is not measured and fold is not dev]
        fitted = sum(rest[1:], rest[0])
        best = int(np.argmax(measure(fitted, dev, epsilons)))
        values.append(float(measure(fitted, measured, [epsilons[best]])[0]))
        chosen.append(epsilons[best])
    spread = {"deviation": float(np.std(values)), "low": min(values), "high": max(values)}
    return {"value": float(np.mean(values)), **spread, "epsilon": float(np.median(chosen))}


def _moments(
    v: View, layers: list[int], y: Matrix, fold: NDArray[np.int64], splits: int, memory_gb: float
) -> list[list[Moments]]:
    """Moments of rows [x y] of every layer and fold, each utterance being read once."""
    width = v.width + y.shape[1]
    ends = np.concatenate([[0], np.cumsum(v.counts())])
    n = np.zeros(splits)
    sums = np.zeros((len(layers), splits, width))
    products = np.zeros((len(layers), splits, width, width))
    shifts: list[Matrix] = []
    for k in range(splits):
        members = np.flatnonzero(fold == k)
        for part in parts(len(members), v.at_once(len(layers), memory_gb / 2)):
            positions = members[part]
            rows = v.rows(layers, positions)
            targets = y[np.concatenate([np.arange(ends[i], ends[i + 1]) for i in positions])]
            # keeps differences exact
            shifts = shifts or [x.mean(axis=0, dtype=np.float64) for x in rows]
            n[k] += len(targets)
            for i, x in enumerate(rows):
                joined = np.concatenate([x - shifts[i], targets], axis=1)
                sums[i, k] += joined.sum(axis=0)
                products[i, k] += joined.T @ joined
    none = np.zeros(y.shape[1])
    shift = [np.concatenate([x, none]) for x in shifts]
    return [
        [Moments(n[k], sums[i, k], products[i, k], shift[i]) for k in range(splits)]
        for i in range(len(layers))
    ]


def _folds(known: NDArray[np.int64], n: int, splits: int, seed: int) -> NDArray[np.int64]:
    """The fold of each of n utterances; those that are not `known` are in none (-1)."""
    if len(known) < 4 * splits:
        raise ProbeError(
            f"CCA with {len(known)} utterances whose target is known in {splits} folds: expected "
            f"{4 * splits} or more. Use more utterances or fewer splits"
        )
    fold = np.full(n, -1)
    fold[np.random.default_rng(seed).permutation(known)] = np.arange(len(known)) % splits
    return fold


def _deviation(variance: Matrix) -> Matrix:
    """Standard deviations; 1 for a column that does not vary."""
    return np.sqrt(np.where(variance > 1e-20, variance, 1.0))

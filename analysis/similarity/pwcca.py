"""Projection-weighted CCA of layers (PWCCA; Morcos, Raghu and Bengio, NeurIPS 2018).

The canonical correlations of two layers, weighted by how much of the first layer each canonical
direction explains: sum_k w_k rho_k with w_k proportional to sum_j |<h_k, x_j>|, h_k being the
canonical variates and x_j the centred units of the first layer. It does not change under any
invertible linear map of the second layer, or rotation of the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.caches.views import FRAMES_PER_UTTERANCE, View, parts, views
from cache import Cache, ProbeError
from cache.errors import OptionError, argument
from cache.reader import Where
from probing.progress import ProgressLine, progress_line
from probing.threads import blas_workers

Matrix = NDArray[np.float64]
FLAT = 1e-10  # share of the largest variance of a direction below which it is rounding


@dataclass(frozen=True)
class Whitening:
    """What brings the rows (n, D) of a layer to r uncorrelated directions of variance 1.

    mean: (D,).
    directions: (D, r).
    explained: (r, D), covariance of directions and units, for sums of magnitudes.

    >>> found = whitening(np.zeros(2), np.diag([4.0, 1.0]))
    >>> found.apply(np.array([[2.0, 0.0]])).round(3).tolist()
    [[1.0, 0.0]]
    """

    mean: Matrix
    directions: Matrix
    explained: NDArray[np.float32]

    def apply(self, x: NDArray[np.floating]) -> NDArray[np.float32]:
        """Whitened rows (n, r), from float64 products."""
        return ((x - self.mean) @ self.directions).astype(np.float32)


@dataclass(frozen=True)
class Side:
    """A layer of a view with its whitening."""

    view: View
    layer: int
    whitening: Whitening


def pwcca(
    cache: Cache,
    layers: Sequence[int] | None = None,
    other: Cache | None = None,
    other_layers: Sequence[int] | None = None,
    where: Where = None,
    *,
    tier: str = "pooled",
    deviation: bool = False,
    variance: float = 1.0,
    frames_per_utterance: int = FRAMES_PER_UTTERANCE,
    memory_gb: float = 2.0,
) -> pd.DataFrame:
    """PWCCA of every layer with every layer, of one cache or of two.

    Correlations are measured where they were fitted, and unrelated rows reach about sqrt(width /
    rows): `attrs` has that figure as `chance`. With less than ten rows a unit use `variance`,
    tier="frames", or `cka`, which has no such bias.

    Args:
        cache: an open cache.
        layers: its layers; default all.
        other: another cache; default the same. Utterances are joined by id.
        other_layers: its layers; default all.
        where: which utterances, see `Cache.select`.
        tier: `pooled` or `frames`.
        deviation: pooled tier: compare mean and standard deviation, not the mean alone.
        variance: share of a layer's variance to keep, by its largest principal components. Default
            all of it, as Morcos et al. and their code (google/svcca, `compute_pwcca`) take it: the
            weights are there so that no direction need be dropped, and with less the measure
            changes under maps of the second layer. SVCCA (Raghu et al., NeurIPS 2017), which has no
            weights, drops what is beyond 0.99.
        frames_per_utterance: frames tier: so many of each, at even distances.
        memory_gb: most memory; more means fewer passes over the cache.

    Returns:
        (layers x other layers), the weights being those of the row's layer; 1 for the same
        information.

    Raises:
        ProbeError: no such layer or tier, or fewer rows than units, where all correlations would be
            1.

    >>> from cache import Cache
    >>> pwcca(Cache("results/demo.cache"), [0, 2], variance=0.9).shape
    (2, 2)
    """
    if not 0 < variance <= 1:
        raise OptionError("variance", variance, "expected a share above 0 and up to 1")
    given = [(cache, layers)] if other is None else [(cache, layers), (other, other_layers)]
    both = views(
        given, where, tier=tier, deviation=deviation, frames_per_utterance=frames_per_utterance
    )
    n = int(both[0].counts().sum())
    sides = [[Side(v, layer, w) for layer, w in _whitenings(v, variance, memory_gb)] for v in both]
    left = sides[0]
    right = sides[-1]
    ranks = [[side.whitening.directions.shape[1] for side in each] for each in (left, right)]
    if max(ranks[0]) + max(ranks[1]) > n - 2:
        raise ProbeError(
            f"PWCCA of {n} rows in {max(ranks[0])} and {max(ranks[1])} directions: any two such "
            "layers correlate perfectly. Use more utterances, "
            f"{argument('variance', 0.99)} or lower, {argument('tier', 'frames')}, or CKA"
        )
    alike = np.eye(len(left)) if other is None else np.empty((len(left), len(right)))
    with progress_line(
        "PWCCA", len(left) * (len(left) - 1) // 2 if other is None else alike.size, "pairs"
    ) as line:
        for at, joint in _joint_covariances(
            left, right, same=other is None, n=n, memory_gb=memory_gb
        ):
            for (i, j), (row, column) in zip(
                at, _scores(left, right, at=at, joint=joint, line=line), strict=True
            ):
                alike[i, j] = row
                if other is None:
                    alike[j, i] = column
    table = pd.DataFrame(
        alike,
        index=pd.Index(both[0].layers, name="layer"),
        columns=pd.Index(both[-1].layers, name="layer" if other is None else "other layer"),
    )
    chance = float(np.sqrt(max(max(ranks[0]), max(ranks[1])) / (n - 1)))
    table.attrs = {
        "measure": "PWCCA",
        "rows": both[0].name,
        "columns": both[-1].name,
        "sample": f"{n} utterances"
        if tier == "pooled"
        else f"{n} frames of {len(both[0].table)} utterances",
        "how": f"{variance:.0%} of the variance, unrelated rows about {chance:.2f}",
        "chance": chance,
    }
    return table


def whitening(mean: Matrix, covariance: Matrix, variance: float = 1.0) -> Whitening:
    """The whitening of rows with this mean (D,) and covariance (D, D), by the largest principal
    components.

    >>> whitening(np.zeros(2), np.diag([4.0, 1.0])).directions.shape
    (2, 2)
    """
    values, vectors = np.linalg.eigh(covariance)
    values = values[::-1]
    vectors = vectors[:, ::-1]
    kept = values > FLAT * max(values[0], 0)
    if variance < 1:
        share = np.cumsum(values) / values[kept].sum() if kept.any() else values
        kept &= np.arange(len(values)) <= np.searchsorted(share, variance)
    values = values[kept]
    vectors = vectors[:, kept]
    return Whitening(
        mean, vectors / np.sqrt(values), (np.sqrt(values)[:, None] * vectors.T).astype(np.float32)
    )


def projection_weighted(joint: Matrix, left: Whitening, right: Whitening) -> tuple[float, float]:
    """PWCCA from the covariance (r, s) of two whitened layers.

    Returns that weighted by the left layer, and that weighted by the right one.

    >>> space = whitening(np.zeros(2), np.diag([4.0, 1.0]))
    >>> [round(score, 3) for score in projection_weighted(np.eye(2), space, space)]
    [1.0, 1.0]
    """
    turned = joint.shape[0] > joint.shape[1]
    if turned:
        joint, left, right = joint.T, right, left
    # the smaller side: half the time of a singular value decomposition
    squares, own = np.linalg.eigh(joint @ joint.T)
    rho = np.sqrt(np.clip(squares, 0, 1))
    weight = np.abs(own.T.astype(np.float32) @ left.explained).sum(axis=1, dtype=np.float64)
    # directions without correlation are not determined on the other side, and add nothing
    there = rho > 1e-6
    across = ((own[:, there] / rho[there]).T @ joint).astype(np.float32)
    other_weight = np.abs(across @ right.explained).sum(axis=1, dtype=np.float64)
    scores = [float(weight @ rho / weight.sum())]
    scores.append(float(other_weight @ rho[there] / other_weight.sum()) if there.any() else 0.0)
    return (scores[1], scores[0]) if turned else (scores[0], scores[1])


def _whitenings(v: View, variance: float, memory_gb: float) -> Iterator[tuple[int, Whitening]]:
    """Means, covariances and whitenings of all layers, in as few reads as fit the memory."""
    at_once = max(1, int(memory_gb * 1e9 / 2 / (8 * v.width**2)))
    with progress_line("Covariances", len(v.layers) * len(v.table), "utterances x layers") as line:
        for first in range(0, len(v.layers), at_once):
            layers = v.layers[first : first + at_once]
            n = 0
            shifts = list[Matrix]()
            sums = np.zeros((len(layers), v.width))
            squares = np.zeros((len(layers), v.width, v.width))
            for positions, rows in v.blocks(layers, memory_gb / 2):
                # keeps differences exact
                shifts = shifts or [x.mean(axis=0, dtype=np.float64) for x in rows]
                for i, x in enumerate(rows):
                    centred = x - shifts[i]
                    sums[i] += centred.sum(axis=0)
                    squares[i] += centred.T @ centred
                n += len(rows[0])
                line.advance(len(positions) * len(layers))
            for i, layer in enumerate(layers):
                mean = sums[i] / n
                found = whitening(shifts[i] + mean, squares[i] / n - np.outer(mean, mean), variance)
                if not found.directions.size:
                    raise ProbeError(
                        f"{v.cache.folder}: layer {layer} is the same in "
                        "all rows. Leave it out of layers"
                    )
                yield layer, found


def _joint_covariances(
    left: list[Side], right: list[Side], same: bool, n: int, memory_gb: float
) -> Iterator[tuple[list[tuple[int, int]], list[Matrix]]]:
    """Covariances of the whitened layers, a tile of pairs after another; where the sides are the
    same, i < j only.

    Where all whitened rows fit half of the memory they are made once, otherwise for every tile.
    """
    every = left if same else left + right
    room = memory_gb * 1e9 - sum(2 * side.whitening.directions.nbytes for side in every)
    whole = list[dict[int, NDArray[np.float32]]]()
    if 4 * n * sum(map(_rank, every)) < room / 2:
        whole = list(_whitened(every, memory_gb / 10))
        room = room / 2
    rank = max(map(_rank, every))
    tile = max(1, int(np.sqrt(max(0.0, room) * 0.8 / (8 * rank**2))))
    tiles = [
        [range(k, min(k + tile, len(sides))) for k in range(0, len(sides), tile)]
        for sides in (left, right)
    ]
    for rows, columns in product(*tiles):
        at = [(i, j) for i in rows for j in columns if not same or i < j]
        if at:
            sides = {id(side): side for i, j in at for side in (left[i], right[j])}
            totals = [np.zeros((_rank(left[i]), _rank(right[j]))) for i, j in at]
            for z in whole or _whitened(list(sides.values()), memory_gb / 10):
                for total, (i, j) in zip(totals, at, strict=True):
                    total += z[id(left[i])].T @ z[id(right[j])]
            yield at, [total / n for total in totals]


def _whitened(sides: list[Side], memory_gb: float) -> Iterator[dict[int, NDArray[np.float32]]]:
    """The whitened rows of some layers, of one view or two, block by block."""
    by_view: dict[int, list[Side]] = {}
    for side in sides:
        by_view.setdefault(id(side.view), []).append(side)
    groups = list(by_view.values())
    at_once = min(group[0].view.at_once(len(group), memory_gb / len(groups)) for group in groups)
    for positions in parts(len(sides[0].view.table), at_once):
        whitened: dict[int, NDArray[np.float32]] = {}
        for group in groups:
            rows = group[0].view.rows([side.layer for side in group], positions)
            whitened |= {
                id(side): side.whitening.apply(x) for side, x in zip(group, rows, strict=True)
            }
        yield whitened


def _rank(side: Side) -> int:
    return side.whitening.directions.shape[1]


def _scores(
    left: list[Side],
    right: list[Side],
    at: list[tuple[int, int]],
    joint: list[Matrix],
    line: ProgressLine,
) -> Iterator[tuple[float, float]]:
    """Scores of pairs, several in parallel, as one decomposition gains little from threads."""
    with blas_workers(len(at)) as workers:
        for found in workers.map(
            lambda pair: projection_weighted(
                pair[1], left[pair[0][0]].whitening, right[pair[0][1]].whitening
            ),
            zip(at, joint, strict=True),
        ):
            line.advance(1)
            yield found

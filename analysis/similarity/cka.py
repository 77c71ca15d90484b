"""Linear centred kernel alignment (CKA): how alike two layers arrange the same utterances.

Kornblith et al., ICML 2019; in minibatches with the unbiased estimate of HSIC as Nguyen, Raghu and
Kornblith, ICLR 2021, equations 2 and 3. It does not change under rotation and isotropic scaling of
either layer, and for unrelated layers it is 0 on average however few the utterances are (which the
biased estimate is not).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.caches.views import FRAMES_PER_UTTERANCE, Array, views
from cache import Cache, ProbeError
from cache.reader import Where
from probing.progress import progress_line

FEWEST_ROWS = 4  # of the unbiased estimate
ROWS_AT_ONCE = 256


def cka(
    cache: Cache,
    layers: Sequence[int] | None = None,
    other: Cache | None = None,
    other_layers: Sequence[int] | None = None,
    where: Where = None,
    *,
    tier: str = "pooled",
    deviation: bool = False,
    batch_size: int | None = 512,
    frames_per_utterance: int = FRAMES_PER_UTTERANCE,
    memory_gb: float = 2.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Linear CKA of every layer with every layer, of one cache or of two.

    Args:
        cache: an open cache.
        layers: its layers; default all.
        other: another cache; default the same. Utterances are joined by id.
        other_layers: its layers; default all.
        where: which utterances, see `Cache.select`.
        tier: `pooled` or `frames`.
        deviation: pooled tier: compare mean and standard deviation, not the mean alone.
        batch_size: utterances a minibatch, drawn without replacement; HSIC is averaged over
            minibatches. None: all utterances at once, the unbiased estimate of the whole sample.
        frames_per_utterance: frames tier: so many of each, at even distances, no two of them in a
            minibatch.
        memory_gb: most memory for the rows of a minibatch.
        seed: of the minibatches.

    Returns:
        (layers x other layers), 1 for layers alike. `attrs` says what was compared.

    Raises:
        ProbeError: fewer than 4 utterances, no such layer or tier, or a minibatch beyond the
            memory.

    >>> from cache import Cache
    >>> table = cka(Cache("results/demo.cache"))
    >>> bool(abs(table.loc[0, 0] - 1) < 1e-6), bool(table.loc[0, 4] < 1)
    (True, True)
    """
    given = [(cache, layers)] if other is None else [(cache, layers), (other, other_layers)]
    both = views(
        given, where, tier=tier, deviation=deviation, frames_per_utterance=frames_per_utterance
    )
    n = len(both[0].table)
    if n < FEWEST_ROWS or (batch_size is not None and batch_size < FEWEST_ROWS):
        raise ProbeError(
            f"CKA of {n} utterances, batch_size={batch_size}: expected 4 or more of each"
        )
    size = min(n, batch_size or n)
    needed = 8 * size * sum(len(v.layers) * v.width * int(v.counts().max()) for v in both)
    if needed > memory_gb * 1e9:
        raise ProbeError(
            f"CKA: a minibatch of {size} utterances takes {needed / 1e9:.1f} GB, more than the "
            f"{memory_gb:g} allowed. Give fewer layers, a smaller batch_size or "
            "frames_per_utterance, or a larger memory_gb"
        )
    order = np.random.default_rng(seed).permutation(n)
    batches = np.array_split(order, max(1, round(n / size)))
    total = np.zeros(())
    n_estimates = 0
    n_rows = 0
    with progress_line("CKA", n, "utterances") as line:
        for batch in batches:
            rows = [of_layer for v in both for of_layer in v.rows(v.layers, batch)]
            counts = both[0].counts()[batch]
            starts = np.cumsum(counts) - counts
            for k in range(int(counts.max())):
                at = (starts + k)[counts > k]
                if len(at) >= FEWEST_ROWS:
                    total = total + hsic([x[at] for x in rows])
                    n_estimates = n_estimates + 1
                    n_rows = n_rows + len(at)
            line.advance(len(batch))
    if not n_estimates:
        raise ProbeError(f"CKA of {n} utterances: expected 4 with frames in a minibatch")
    estimate = total / n_estimates
    spread = np.sqrt(np.where(np.diag(estimate) > 0, np.diag(estimate), np.nan))
    alike = estimate / np.outer(spread, spread)
    first = len(both[0].layers)
    table = pd.DataFrame(
        alike[:first, :first] if other is None else alike[:first, first:],
        index=pd.Index(both[0].layers, name="layer"),
        columns=pd.Index(both[-1].layers, name="layer" if other is None else "other layer"),
    )
    table.attrs = {
        "measure": "linear CKA",
        "rows": both[0].name,
        "columns": both[-1].name,
        "sample": f"{n} utterances" if tier == "pooled" else f"{n_rows} frames of {n} utterances",
        "how": f"unbiased HSIC, {n_estimates} minibatch{'es' if n_estimates > 1 else ''}",
    }
    return table


def hsic(rows: Sequence[Array]) -> NDArray[np.float64]:
    """Unbiased HSIC with linear kernels of every pair of L feature matrices.

    With K, M the Gram matrices with zero diagonals: [tr KM + 1'K1 1'M1 / ((n-1)(n-2)) - 2 1'KM1 /
    (n-2)] / (n(n-3)) (Song et al., JMLR 13, 2012, equation 5), added up over tiles of the Gram
    matrices.

    Args:
        rows: L matrices (n, D), of any width each.

    Returns:
        (L, L) float64.

    >>> rows = [np.eye(5), np.eye(5)]
    >>> hsic(rows).shape
    (2, 2)
    """
    centred = [x - x.mean(axis=0) for x in (np.asarray(x, np.float64) for x in rows)]
    n = len(centred[0])
    n_layers = len(centred)
    traces = np.zeros((n_layers, n_layers))
    sums = np.empty((n_layers, n))
    tile = np.empty((n_layers, min(ROWS_AT_ONCE, n), n))
    for first in range(0, n, ROWS_AT_ONCE):
        m = min(ROWS_AT_ONCE, n - first)
        for i, x in enumerate(centred):
            np.matmul(x[first : first + m], x.T, out=tile[i, :m])
        tile[:, np.arange(m), first + np.arange(m)] = 0
        flat = tile[:, :m].reshape(n_layers, -1)
        traces += flat @ flat.T
        sums[:, first : first + m] = tile[:, :m].sum(axis=2)
    total = sums.sum(axis=1)
    centring = np.outer(total, total) / ((n - 1) * (n - 2)) - 2 * sums @ sums.T / (n - 2)
    return np.asarray((traces + centring) / (n * (n - 3)))

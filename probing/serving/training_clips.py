"""The training clips: ranges of their measures, and the distance of a layer from theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cache import Cache
from probing.audio import MEASURES
from probing.labels import LABELS
from probing.runs import Run, find_cache
from probing.serving.candidates import ServingError
from probing.serving.heads import AnyHead, head_depth

# share of the training clips whose measures make a range, and of dev whose distance makes the limit
CENTRAL = 0.99
FEWEST = 10  # clips of train and of dev, that are described
MOST = 5000  # clips that a covariance is made of


@dataclass(frozen=True)
class TrainingClips:
    """What the training clips of a head were like.

    Attributes:
        n: how many.
        ranges: measure -> the two ends between which the central 99 % of them lie.
        layer: whose mean over time is compared; its mean (D,) and deviation (D,) over the clips,
            and the precision (D, D) in units of these, of a covariance shrunk by Ledoit & Wolf
            (2004).
        limit: the distance of 99 % of the dev clips.
    """

    n: int
    ranges: Mapping[str, tuple[float, float]]
    layer: int
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    precision: NDArray[np.float32]
    limit: float

    def distance(self, x: ArrayLike) -> NDArray[np.float64]:
        """Mahalanobis distance (N,) of a layer (N, D), in units of the limit; above 1 is unusual.

        Args:
            x: means over time of the layer.
        """
        found = _distance(np.asarray(x, np.float64), self.mean, self.deviation, self.precision)
        return np.asarray(found / self.limit)

    def record(self) -> dict[str, Any]:
        """Everything but the tensors."""
        ranges = {name: list(ends) for name, ends in self.ranges.items()}
        return {"n": self.n, "ranges": ranges, "layer": self.layer, "limit": self.limit}

    def tensors(self) -> dict[str, NDArray[Any]]:
        """The rest, by name."""
        return {"mean": self.mean, "deviation": self.deviation, "precision": self.precision}

    @classmethod
    def of(cls, record: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> TrainingClips:
        """Read what `record` and `tensors` gave.

        Raises:
            ValueError, KeyError, TypeError: it is something else.
        """
        mean, deviation, precision = (
            tensors[name].astype(np.float32) for name in ("mean", "deviation", "precision")
        )
        ranges = {
            str(name): (float(low), float(high)) for name, (low, high) in record["ranges"].items()
        }
        limit = float(record["limit"])
        if (
            mean.ndim != 1
            or deviation.shape != mean.shape
            or precision.shape != (len(mean), len(mean))
        ):
            raise ValueError("its mean, deviation and precision are not of one width")
        if (
            not all(np.isfinite(values).all() for values in (mean, deviation, precision))
            or not deviation.all()
        ):
            raise ValueError("its mean, deviation or precision is not finite")
        if (
            not 0 < limit < np.inf
            or not np.isfinite(list(ranges.values())).all()
            or not set(ranges) <= set(MEASURES)
        ):
            raise ValueError("its ranges or its limit are none that an export writes")
        return cls(
            int(record["n"]), ranges, int(record["layer"]), mean, deviation, precision, limit
        )


def mean_over_time(states: NDArray[Any], tier: str) -> NDArray[np.float64]:
    """The mean (D,) over time of a layer of a clip: frames (T, D), or pooled (2, D).

    >>> mean_over_time(np.array([[1.0, 2.0], [3.0, 4.0]]), "frames").tolist()
    [2.0, 3.0]
    """
    return np.asarray(
        states.mean(axis=0, dtype=np.float64) if tier == "frames" else states[0], np.float64
    )


def training_clips(run: Run, head: AnyHead) -> TrainingClips:
    """What the training clips of a run were like, from its caches.

    The layer compared is the first one that the head could have seen: what a clip was recorded and
    coded with shows most there.

    Raises:
        ProbeError: the caches are not there, or are others by now, or hold too few clips.

    >>> from probing.serving import choose_head
    >>> run = Run("results/demo.run")
    >>> training_clips(run, choose_head(run, name="linear-layer-02").head).layer
    1
    """
    caches = {part: find_cache(run, part) for part in ("train", "dev")}
    tables = {
        part: _labelled(cache, str(run.record["options"][part])) for part, cache in caches.items()
    }
    layers = caches["train"].layers
    layer = next((k for k in layers if 1 <= k <= max(1, head_depth(head))), layers[0])
    of_train, of_dev = (_means(caches[part], layer, tables[part]) for part in ("train", "dev"))
    return describe(tables["train"], of_train, of_dev, layer)


def describe(table: pd.DataFrame, train: ArrayLike, dev: ArrayLike, layer: int) -> TrainingClips:
    """What clips are like.

    Args:
        table: of the training clips, with `MEASURES`.
        train: (N, D) means over time of a layer of these, or of some of them.
        dev: (N, D) the same of other clips, which make the limit.
        layer: its number.

    Raises:
        ServingError: fewer than 10 clips.
    """
    from sklearn.covariance import LedoitWolf  # slow to import

    x = np.asarray(train, np.float64)
    others = np.asarray(dev, np.float64)
    if min(len(x), len(others)) < FEWEST:
        raise ServingError(
            f"{len(x)} clips of train and {len(others)} of dev; expected {FEWEST} or more of each"
        )
    tails = (1 - CENTRAL) / 2
    ranges = {}
    for name in MEASURES:
        low, high = np.quantile(table[name].to_numpy(np.float64), (tails, 1 - tails))
        ranges[name] = float(low), float(high)
    mean = x.mean(axis=0)
    deviation = x.std(axis=0)
    deviation[deviation == 0] = 1.0
    precision = LedoitWolf().fit((x - mean) / deviation).precision_
    limit = float(np.quantile(_distance(others, mean, deviation, precision), CENTRAL))
    single = [array.astype(np.float32) for array in (mean, deviation, precision)]
    return TrainingClips(
        len(table),
        ranges,
        layer=layer,
        mean=single[0],
        deviation=single[1],
        precision=single[2],
        limit=limit,
    )


def _distance(
    x: NDArray[np.float64], mean: Any, deviation: Any, precision: Any
) -> NDArray[np.float64]:
    z = (x - mean) / deviation
    squares = np.einsum("nd,nd->n", z @ precision.astype(np.float64), z)
    return np.asarray(np.sqrt(np.maximum(squares, 0) / z.shape[1]))


def _labelled(cache: Cache, spec: str) -> pd.DataFrame:
    """The utterances of a split, SPLIT or CACHE:SPLIT, that have a label."""
    table = cache.select({"split": spec.rpartition(":")[2]})
    return table[table["label"].isin(set(LABELS.values()))]


def _means(cache: Cache, layer: int, table: pd.DataFrame) -> NDArray[np.float64]:
    """Means over time (N, D) of a layer, of no more clips than are needed."""
    if len(table) > MOST:
        chosen = np.random.default_rng(0).choice(len(table), MOST, replace=False)
        table = table.iloc[np.sort(chosen)]
    return np.asarray(cache.pooled([layer], table)[0, :, 0], np.float64)

"""The policy of early exit: at which depth an utterance is done with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, xlogy

from cache.errors import ProbeError, argument, quoted
from cache.manifest import read_json
from probing.calibration import calibrate
from probing.metrics import eer
from probing.sweep.margin import Margin

if TYPE_CHECKING:
    from probing.runs import Run

THRESHOLDS = 200  # tried, beside none
UNSURE = 1e-3  # deviation of the log odds of an exit that knows nothing: their order is kept
CONFIDENCES = {
    "probability": "of the likelier class, both classes being equally likely beforehand",
    "entropy": "1 less the entropy of the two classes in bits; of two classes it orders "
    "utterances as probability does",
    "agreement": "how many exits in a row decided the same (patience)",
}


def confidences(kind: str, log_odds: ArrayLike) -> NDArray[np.float64]:
    """How sure each exit is of each utterance, which depends on this exit and those before only.

    Args:
        kind: one of CONFIDENCES.
        log_odds: (E, N), of E exits, shallow ones first, calibrated: 0 is where both classes are as
            likely.

    Returns:
        (E, N), higher where surer.

    Source: entropy: BranchyNet (Teerapittayanon et al., ICPR 2016); agreement: PABEE (Zhou et al.,
    NeurIPS 2020).

    >>> confidences("agreement", [[2.0, -1.0], [1.0, 3.0], [0.5, 4.0]]).tolist()
    [[1.0, 1.0], [2.0, 1.0], [3.0, 2.0]]
    """
    values = np.asarray(log_odds, np.float64)
    if kind == "agreement":
        same = np.ones_like(values)
        for k in range(1, len(values)):
            same[k] += np.where((values[k] >= 0) == (values[k - 1] >= 0), same[k - 1], 0)
        return same
    likelier = expit(np.abs(values))
    if kind == "probability":
        return likelier
    other = expit(-np.abs(values))
    return np.asarray(1 + (xlogy(likelier, likelier) + xlogy(other, other)) / np.log(2))


@dataclass(frozen=True)
class ExitPolicy:
    """When an utterance leaves, and what its score is then.

    head: kind of the heads at the exits, `linear` for the probe of each layer.
    depths: (E,) of the exits, ascending; 0 is the input of the first block.
    slopes, offsets: (E,) of the affine calibration of each exit, so that scores of different exits
        can be compared.
    confidence: one of CONFIDENCES.
    threshold: an utterance leaves at the first exit that is at least so sure of it, or else at the
        last; None: always at the last.
    """

    head: str
    depths: tuple[int, ...]
    slopes: tuple[float, ...]
    offsets: tuple[float, ...]
    confidence: str
    threshold: float | None

    def log_odds(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Calibrated scores (e, N) of the first e exits, of their scores (e, N)."""
        values = np.asarray(scores, np.float64)
        n = len(values)
        return np.asarray(
            np.array(self.slopes)[:n, None] * values + np.array(self.offsets)[:n, None]
        )

    def leaves(self, log_odds: ArrayLike) -> NDArray[np.bool_]:
        """Which utterances (N,) leave at the last of the first e exits.

        `log_odds` (e, N) are calibrated scores of these exits. It is not checked that an utterance
        did not leave before.
        """
        values = np.asarray(log_odds, np.float64)
        if len(values) == len(self.depths):
            return np.ones(values.shape[1], bool)
        if self.threshold is None:
            return np.zeros(values.shape[1], bool)
        return np.asarray(confidences(self.confidence, values)[-1] >= self.threshold)

    def apply(self, scores: ArrayLike) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Number of the exit, and calibrated score there, (N,) each, of scores (E, N) of all exits.

        >>> policy = ExitPolicy("linear", (1, 2), (1.0, 1.0), (0.0, 0.0), "probability", 0.9)
        >>> at, scores = policy.apply([[4.0, 1.0], [5.0, -3.0]])
        >>> at.tolist(), scores.tolist()
        ([0, 1], [4.0, -3.0])
        """
        values = self.log_odds(scores)
        left = np.stack([self.leaves(values[: k + 1]) for k in range(len(values))])
        at = left.argmax(axis=0)
        return at, values[at, np.arange(values.shape[1])]

    def as_dict(self) -> dict[str, Any]:
        """For a record."""
        return asdict(self)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> ExitPolicy:
        """The policy of a record.

        Raises:
            ValueError, KeyError, TypeError: it is not one.
        """
        depths = tuple(int(depth) for depth in record["depths"])
        slopes = tuple(float(slope) for slope in record["slopes"])
        offsets = tuple(float(offset) for offset in record["offsets"])
        threshold = record["threshold"]
        numbers = np.array([*slopes, *offsets, 0.0 if threshold is None else float(threshold)])
        if (
            not len(depths) == len(slopes) == len(offsets)
            or list(depths) != sorted(set(depths))
            or not depths
        ):
            raise ValueError("depths, slopes and offsets are not those of exits")
        if (
            not np.isfinite(numbers).all()
            or record["confidence"] not in CONFIDENCES
            or depths[0] < 0
        ):
            raise ValueError("no policy of early exit")
        threshold = None if threshold is None else float(threshold)
        return cls(str(record["head"]), depths, slopes, offsets, record["confidence"], threshold)


def read_policy(path: Path, run: Run | None = None) -> ExitPolicy:
    """Read a policy from the file that the command `probe exits` wrote, or from its folder.

    Args:
        path: the file, or the folder.
        run: refuse a policy of another run; one of an earlier version does not say of which it is.

    Raises:
        ProbeError: there is none, the file holds something else, or it is of another run.

    >>> read_policy(Path("missing.exits"))
    Traceback (most recent call last):
    cache.errors.ProbeError: missing.exits: no such file. Write one: probe exits RUN out=exits
    """
    if path.is_dir():
        path = path / "exits.json"
    if not path.exists():
        raise ProbeError(
            f"{path}: no such file. Write one: probe exits RUN {argument('out', 'exits')}"
        )
    try:
        record = read_json(path)
        policy = ExitPolicy.of(record)
        made_of = record.get("run", ""), record.get("run_id", "")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProbeError(
            f"{path}: no policy of early exit that can be read ({error}). Write one: probe exits "
            f"RUN {argument('out', 'exits')}"
        ) from None
    if run is not None and made_of[1] not in ("", run.id):
        raise ProbeError(
            f"{path}: is of another run, {made_of[0]} {made_of[1]}, not of {run.folder} {run.id}. "
            f"Make one of it: probe exits {quoted(run.folder)} {argument('out', 'exits')}"
        )
    return policy


@dataclass(frozen=True)
class FittedPolicies:
    """Policies of every threshold tried, the least first, and the one that is chosen.

    In the last of them no utterance leaves early.

    >>> found = fit_policies("linear", (1, 2), [1, 1, 0, 0], [[5, -1, -5, 1], [1, 1, -1, -1]])
    >>> found.chosen.depths
    (1, 2)
    """

    tried: tuple[ExitPolicy, ...]
    chosen: ExitPolicy


def fit_policies(
    head: str,
    depths: Sequence[int],
    positive: ArrayLike,
    scores: ArrayLike,
    confidence: str = "probability",
    margin: float | str = 0.1,
) -> FittedPolicies:
    """Calibrate exits, and choose the threshold that computes least within a margin of EER.

    Args:
        head: kind of the heads.
        depths: (E,) of the exits, ascending.
        positive: (N,) true for bona fide trials, of dev.
        scores: (E, N), higher for bona fide.
        confidence: one of CONFIDENCES.
        margin: by how much the EER may be higher: relative, as 0.1, or points, as `1pt`.

    Raises:
        ScoresError: a class is missing, or a score is NaN.

    >>> found = fit_policies("linear", (1, 2), [1, 1, 0, 0], [[5, -1, -5, 1], [1, 1, -1, -1]])
    >>> at, scores = found.chosen.apply([[5, -1, -5, 1], [1, 1, -1, -1]])
    >>> at.tolist()
    [0, 1, 0, 0]
    """
    target = np.asarray(positive, bool)
    values = np.asarray(scores, np.float64)
    slopes, offsets = zip(*(_calibrated(target, of_exit) for of_exit in values), strict=True)
    never = ExitPolicy(
        head, tuple(depths), slopes=slopes, offsets=offsets, confidence=confidence, threshold=None
    )
    sure = confidences(confidence, never.log_odds(values))[:-1]
    spread = np.unique(np.quantile(sure, np.linspace(0, 1, THRESHOLDS), method="inverted_cdf"))
    tried = (*(replace(never, threshold=float(threshold)) for threshold in spread), never)
    applied = [policy.apply(values) for policy in tried]
    most = Margin.of(margin)
    full = eer(target, applied[-1][1])
    fits = [eer(target, left) <= full + most.allowed(full) + 1e-12 for _, left in applied]
    computed = [
        np.array(depths)[at].mean() if fit else np.inf
        for (at, _), fit in zip(applied, fits, strict=True)
    ]
    return FittedPolicies(tried, tried[int(np.argmin(computed))])


def _calibrated(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and offset of an exit.

    An exit whose scores are the wrong way round on dev knows nothing, and is made sure of nothing.
    """
    fitted = calibrate(positive, scores)
    if fitted.scales[0] > 0:
        return fitted.scales[0], fitted.offset
    slope = UNSURE / float(max(scores.std(), np.finfo(np.float32).tiny))
    return slope, -slope * float(scores.mean())

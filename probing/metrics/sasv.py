"""Figures of spoofing-robust speaker verification (SASV), which must also reject spoofs.

A trial claims a speaker: it is a target, a nontarget (another person) or a spoof, and only targets
are to be accepted. A joint system gives one score a trial. A tandem gives two, one of verification
(ASV) and one of a countermeasure (CM), each with a threshold of its own.

a-DCF (Shim et al., Odyssey 2024, equations 6 and 7): the least normalised cost of a joint score
over its threshold. t-EER (Kinnunen et al., IEEE TPAMI 46, 2024): the concurrent tandem equal error
rate. It takes the pair of thresholds at which misses of the tandem, nontargets accepted and spoofs
accepted are equally many, or nearest to it.

A trial is accepted when its score is at or above the threshold, and tied scores are one operating
point, as in `probing.metrics.eer`. With `official=True` a tie is read as the published packages do
(a_dcf; t-EER and ASVspoof 5 evaluation package): one point a trial after a stable sort. Without
ties both are the same.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probing.metrics.eer import ScoresError
from probing.metrics.roc import Roc, roc
from probing.metrics.tdcf import KEYS, AsvRates

TARGET, NONTARGET, SPOOF = range(3)  # places in KEYS
# shares of trials nearer to each other than this are equal: which comes first decides, not rounding
ROUNDING = 1e-12
# of the organisers' verification system of ASVspoof 5, fixed in its evaluation package for the
# t-DCF of track 2
ASVSPOOF5_ASV = AsvRates(
    eer=0.01880577784071108,
    threshold=float("nan"),
    false_alarm=0.01881016557566423,
    miss=0.01880141010575793,
    false_alarm_spoof=0.4607082907604729,
)


@dataclass(frozen=True)
class SasvCosts:
    """What errors cost, and how often trials are of each kind.

    The defaults are those of the a-DCF as published, and of ASVspoof 5.

    p_target, p_nontarget, p_spoof: prior probabilities, which sum to 1.
    miss: cost of rejecting a target.
    false_alarm: cost of accepting a nontarget.
    false_alarm_spoof: cost of accepting a spoof.

    >>> SasvCosts().default
    0.9
    """

    p_target: float = 0.9
    p_nontarget: float = 0.05
    p_spoof: float = 0.05
    miss: float = 1.0
    false_alarm: float = 10.0
    false_alarm_spoof: float = 20.0

    def __post_init__(self) -> None:
        priors = self.p_target, self.p_nontarget, self.p_spoof
        if (
            min(priors) < 0
            or abs(sum(priors) - 1) > 1e-9
            or min(self.weights) < 0
            or self.default <= 0
        ):
            raise ValueError(f"{self}: expected priors that sum to 1 and costs above 0")

    @property
    def weights(self) -> tuple[float, float, float]:
        """The weights of a miss, a nontarget accepted and a spoof accepted, as shares of a kind."""
        return (
            self.miss * self.p_target,
            self.false_alarm * self.p_nontarget,
            self.false_alarm_spoof * self.p_spoof,
        )

    @property
    def default(self) -> float:
        """The cost of accepting everything or of rejecting everything, whichever is less."""
        miss, nontarget, spoof = self.weights
        return min(miss, nontarget + spoof)


ADCF = SasvCosts()


@dataclass(frozen=True)
class SasvCurve:
    """Error rates at every threshold, from accepting every trial to accepting none.

    threshold: (M,) ascending; trials at or above it are accepted.
    miss: (M,) share of targets rejected.
    false_alarm: (M,) share of nontargets accepted.
    false_alarm_spoof: (M,) share of spoofs accepted.

    >>> sasv_curve(["target", "target", "nontarget", "spoof"], [3.0, 1.0, 0.0, 2.0]).threshold.shape
    (5,)
    """

    threshold: NDArray[np.float64]
    miss: NDArray[np.float64]
    false_alarm: NDArray[np.float64]
    false_alarm_spoof: NDArray[np.float64]


def checked_kinds(
    keys: ArrayLike, *scores: ArrayLike
) -> tuple[NDArray[np.intp], list[NDArray[np.float64]]]:
    """Kinds of trials (N,) as 0 (target), 1 (nontarget) or 2 (spoof), and scores (N,) of systems.

    Raises:
        ScoresError: an unknown key, lengths differ, a score is NaN, or one of the three kinds is
            missing.
    """
    names = np.asarray(keys).astype(str)
    values = [np.asarray(of_system, np.float64) for of_system in scores]
    if names.ndim != 1 or any(of_system.shape != names.shape for of_system in values):
        shapes = ", ".join(str(of_system.shape) for of_system in values)
        raise ScoresError(f"scores {shapes} and keys {names.shape}: expected one of each per trial")
    kinds = np.full(len(names), -1)
    for i, key in enumerate(KEYS):
        kinds[names == key] = i
    if (kinds < 0).any():
        raise ScoresError(f"key {str(names[kinds < 0][0])!r}: expected one of {', '.join(KEYS)}")
    for of_system in values:
        if np.isnan(of_system).any():
            raise ScoresError(
                f"{int(np.isnan(of_system).sum())} of {len(of_system)} scores are NaN"
            )
    found = np.bincount(kinds, minlength=3)
    if not found.all():
        counted = ", ".join(f"{n:,} {key}" for n, key in zip(found, KEYS, strict=True))
        raise ScoresError(f"trials: {counted}; expected all three kinds")
    return kinds, values


def sasv_curve(keys: ArrayLike, scores: ArrayLike, *, official: bool = False) -> SasvCurve:
    """Error rates at every threshold of one score.

    Args:
        keys: (N,) `target`, `nontarget` or `spoof`.
        scores: (N,) higher for targets.
        official: one point per trial as the published packages have them; see the module.

    Raises:
        ScoresError: an unknown key, lengths differ, a score is NaN, or one of the three kinds is
            missing.

    >>> curve = sasv_curve(["target", "target", "nontarget", "spoof"], [3.0, 1.0, 0.0, 2.0])
    >>> curve.miss.tolist(), curve.false_alarm_spoof.tolist()
    ([0.0, 0.0, 0.5, 0.5, 1.0], [1.0, 1.0, 1.0, 0.0, 0.0])
    """
    kinds, (values,) = checked_kinds(keys, scores)
    order = np.argsort(kinds, kind="stable") if official else np.arange(len(kinds))
    order = order[np.argsort(values[order], kind="stable")]
    values = values[order]
    ends = (
        np.arange(len(values))
        if official
        else np.flatnonzero(np.append(values[1:] != values[:-1], True))
    )
    sums = [np.concatenate([[0], np.cumsum(kinds[order] == kind)[ends]]) for kind in range(3)]
    miss, nontarget, spoof = (counts / counts[-1] for counts in sums)
    if official:
        threshold = np.concatenate([values[:1] - 0.001, values])
    else:
        threshold = np.append(values[np.concatenate([[0], ends[:-1] + 1])], np.inf)
    return SasvCurve(threshold, miss, 1 - nontarget, 1 - spoof)


def a_dcf(
    keys: ArrayLike, scores: ArrayLike, costs: SasvCosts = ADCF, *, official: bool = False
) -> float:
    """Least normalised cost of a joint score over all thresholds, 0 to 1 (minimum a-DCF).

    Args:
        keys: (N,) `target`, `nontarget` or `spoof`.
        scores: (N,) higher for targets.
        costs: priors and costs.
        official: read ties as the published package does; see the module.

    Raises:
        ScoresError: an unknown key, lengths differ, a score is NaN, or one of the three kinds is
            missing.

    >>> round(a_dcf(["target", "target", "nontarget", "spoof"], [3.0, 1.0, 0.0, 2.0]), 4)
    0.5
    """
    curve = sasv_curve(keys, scores, official=official)
    miss, nontarget, spoof = costs.weights
    cost = miss * curve.miss + nontarget * curve.false_alarm + spoof * curve.false_alarm_spoof
    return float((cost / costs.default).min())


def t_eer(
    keys: ArrayLike, asv_scores: ArrayLike, cm_scores: ArrayLike, *, official: bool = False
) -> float:
    """Concurrent tandem equal error rate, 0 to 1.

    At each threshold of verification the countermeasure's is put where misses of the tandem are
    nearest to nontargets accepted; of these pairs, that is taken at which spoofs accepted come
    nearest to both, as shares. What is given is the share of spoofs accepted there, as the
    published code has it. In O(N log N), where that code takes O(N^2).

    Args:
        keys: (N,) `target`, `nontarget` or `spoof`.
        asv_scores: (N,) of speaker verification, higher for the same speaker.
        cm_scores: (N,) of the countermeasure, higher for bona fide.
        official: read ties as the published code does; see the module.

    Raises:
        ScoresError: an unknown key, lengths differ, a score is NaN, or one of the three kinds is
            missing.

    >>> keys = ["target"] * 4 + ["nontarget"] * 4 + ["spoof"] * 4
    >>> t_eer(
    ...     keys,
    ...     [5, 4, 3, 1, 2, 0, -1, -2, 6, 4.5, 3.5, 2.5],
    ...     [3, 2, 1.5, 0.5, 2.5, 1, 0.8, 0.2, -1, -2, 0.6, 1.8],
    ... )
    0.25
    """
    kinds, (_, values) = checked_kinds(keys, asv_scores, cm_scores)
    if official:
        order = np.argsort(kinds, kind="stable")
        kinds, values = kinds[order], values[order]
    curve = sasv_curve(keys, asv_scores, official=official)
    return concurrent(curve, roc(kinds != SPOOF, values, official=official))[1]


def concurrent(asv: SasvCurve, cm: Roc) -> tuple[int, float]:
    """The point of verification at which the three error rates are nearest to equal.

    Args:
        asv: of verification.
        cm: of the countermeasure.
    """
    # elsewhere no threshold of the countermeasure helps
    points = np.flatnonzero(asv.miss < asv.false_alarm - ROUNDING)
    miss, nontarget, spoof = (
        rates[points] for rates in (asv.miss, asv.false_alarm, asv.false_alarm_spoof)
    )
    # of each miss rate
    first = np.flatnonzero(np.concatenate([[True], cm.miss[1:] > cm.miss[:-1]]))
    cm_miss, cm_false_alarm = cm.miss[first], cm.false_alarm[first]
    # misses of the tandem less nontargets accepted grow with the misses of the countermeasure: the
    # nearest is one of three about where they would be equal; the first of equals, as in the
    # published code
    crossing = np.searchsorted(cm_miss, (nontarget - miss) / (1 - miss + nontarget))
    near = np.clip(crossing + np.array([[-1], [0], [1]]), 0, len(cm_miss) - 1)
    passed = 1 - cm_miss[near]
    gap = np.abs(cm_miss[near] + passed * miss - passed * nontarget)
    chosen = near[np.argmax(gap <= gap.min(axis=0) + ROUNDING, axis=0), np.arange(len(points))]
    with np.errstate(divide="ignore", invalid="ignore"):
        away = np.abs(nontarget / spoof - cm_false_alarm[chosen] / (1 - cm_miss[chosen]))
    away = np.where(np.isnan(away), np.inf, away)
    best = int(np.argmax(away <= away.min(initial=np.inf) + ROUNDING))
    return int(points[best]), float(spoof[best] * cm_false_alarm[chosen[best]])

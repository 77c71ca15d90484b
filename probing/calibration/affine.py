"""Affine logistic calibration of scores to log-likelihood ratios, and fusion of systems.

    ratio = offset + sum over systems of scale * score

that costs least in cross-entropy at a prior p (Brümmer & Doddington 2013, arXiv 1304.2331, section
3; Brümmer et al., IEEE TASLP 15, 2007, for fusion):

    p / N_bonafide * sum over bona fide of log(1 + exp(-ratio - logit p))
        + (1 - p) / N_spoof * sum over spoofs of log(1 + exp(ratio + logit p))

At p = 0.5 it is the scale and offset of least Cllr. If scores tell every trial apart, there is
no such minimum: it would claim certainty. Then the targets are Platt's (1999): (n + 1) / (n + 2) of
a class of n instead of 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from cache.errors import ProbeError
from probing.metrics.eer import ScoresError, checked
from probing.scores.options import check_prior

NOTHING = 1.0  # Cllr in bits of ratios that say nothing
ROUNDED = 0.005  # what two digits of it cannot tell apart
FEW = 20  # trials of a class, below which a calibration means little


@dataclass(frozen=True)
class Calibration:
    """An affine map from the scores of one system or several to log-likelihood ratios.

    scales: of each system, in their order.
    offset: added.
    prior: of bona fide, that it was made for.
    n_bonafide, n_spoof: trials it was made on.
    note: what a person should know of it; else empty.
    """

    scales: tuple[float, ...]
    offset: float
    prior: float = 0.5
    n_bonafide: int = 0
    n_spoof: int = 0
    note: str = ""

    def apply(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Natural log-likelihood ratios (N,) of scores (N,), or of several systems (S, N).

        >>> Calibration((2.0,), 1.0).apply([0.0, 1.0]).tolist()
        [1.0, 3.0]
        """
        values = np.atleast_2d(np.asarray(scores, np.float64))
        return np.asarray(np.asarray(self.scales) @ values + self.offset)

    def as_dict(self) -> dict[str, Any]:
        """For records."""
        return asdict(self)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Calibration:
        """Read what `as_dict` gave.

        Raises:
            ValueError, KeyError, TypeError: it is something else.
        """
        scales = tuple(float(scale) for scale in record["scales"])
        offset = float(record["offset"])
        prior = float(record["prior"])
        if not scales or not np.isfinite([*scales, offset]).all() or not 0 < prior < 1:
            raise ValueError(
                "its calibration holds no finite scales and offset, or no prior between 0 and 1"
            )
        note = str(record.get("note", ""))
        return cls(scales, offset, prior, int(record["n_bonafide"]), int(record["n_spoof"]), note)


def cost_note(on_eval: float) -> str:
    """A sentence if calibrated ratios cost more on eval, in bits of Cllr, than ratios that say
    nothing; else empty.

    >>> cost_note(0.4), cost_note(1.0)
    ('', '')
    """
    if on_eval < NOTHING + ROUNDED:
        return ""
    return (
        f"the ratios cost {on_eval:.2f} bits on eval (Cllr), and 1 is what it costs to say "
        "nothing: dev is too small, or too unlike eval, to calibrate on, and neither ratios nor "
        "probabilities can be relied on"
    )


def calibrate(bonafide: ArrayLike, scores: ArrayLike, prior: float = 0.5) -> Calibration:
    """Find scale and offset on dev.

    Args:
        bonafide: (N,) true for bona fide trials.
        scores: (N,) of one system, or (S, N) of several that are to be fused; finite, higher for
            bona fide.
        prior: of bona fide, at which errors are to cost least.

    Raises:
        ScoresError: lengths differ, a score is not finite, a class is missing, or two systems are
            alike.
        OptionError: a prior that is none.

    >>> rng = np.random.default_rng(0)
    >>> bonafide = np.arange(20000) % 2 == 0
    >>> made = calibrate(
    ...     bonafide, rng.normal(2.0 * bonafide)
    ... )  # N(2, 1) against N(0, 1): ratio = 2 score - 2
    >>> round(made.scales[0], 1), round(made.offset, 1)
    (2.0, -2.0)
    """
    check_prior(prior)
    values = np.atleast_2d(np.asarray(scores, np.float64))
    if not np.isfinite(values).all():
        n = int((~np.isfinite(values)).sum())
        raise ScoresError(
            f"{n} scores are not finite numbers, of which no "
            "calibration can be made. Score them anew"
        )
    is_bonafide = checked(bonafide, values[0])[0]
    mean = values.mean(axis=1)
    deviation = values.std(axis=1)
    if not deviation.all() and len(values) == 1:
        return _uninformative(is_bonafide, prior)
    z = np.vstack(
        [
            (values - mean[:, None]) / np.where(deviation > 0, deviation, 1)[:, None],
            np.ones(len(values[0])),
        ]
    )
    if np.linalg.matrix_rank(z) < len(z):
        raise ScoresError(
            "the scores of a system are a multiple of those of others. Leave it out of the fusion"
        )
    found = _least(z, is_bonafide, prior, smoothed=False)
    note = ""
    ratios = found @ z
    if ratios[is_bonafide].min() > ratios[~is_bonafide].max():
        found = _least(z, is_bonafide, prior, smoothed=True)
        note = (
            "dev is told apart without an error, so that its "
            "ratios are only as large as its size allows"
        )
    scales = found[:-1] / np.where(deviation > 0, deviation, 1)
    if len(scales) == 1 and scales[0] <= 0:
        return _uninformative(is_bonafide, prior)
    counts = int(is_bonafide.sum()), int((~is_bonafide).sum())
    if not note and min(counts) < FEW:
        note = (
            f"made on {counts[0]} bona fide and {counts[1]} spoofed trials only, too few to rely on"
        )
    return Calibration(
        tuple(map(float, scales)), float(found[-1] - scales @ mean), prior, *counts, note
    )


def _uninformative(is_bonafide: NDArray[np.bool_], prior: float) -> Calibration:
    """Where scores do not rise with bona fide: every ratio is 1."""
    note = "on dev its scores are not higher for bona fide, so that every likelihood ratio is 1"
    return Calibration(
        (0.0,),
        0.0,
        prior=prior,
        n_bonafide=int(is_bonafide.sum()),
        n_spoof=int((~is_bonafide).sum()),
        note=note,
    )


def _least(
    z: NDArray[np.float64], is_bonafide: NDArray[np.bool_], prior: float, smoothed: bool
) -> NDArray[np.float64]:
    """Weights (S + 1,) of systems at unit deviation and of the constant, the last row of z, of
    least cross-entropy.
    """
    n = np.where(is_bonafide, is_bonafide.sum(), (~is_bonafide).sum())
    weight = np.where(is_bonafide, prior, 1 - prior) / n
    sure = (n + 1) / (n + 2) if smoothed else np.ones(len(n))
    target = np.where(is_bonafide, sure, 1 - sure)
    shift = float(logit(prior))

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = w @ z + shift
        cost = target * np.logaddexp(0, -margin) + (1 - target) * np.logaddexp(0, margin)
        return float(weight @ cost), z @ (weight * (expit(margin) - target))

    def curvature(w: NDArray[np.float64]) -> NDArray[np.float64]:
        share = expit(w @ z + shift)
        return np.asarray((z * (weight * share * (1 - share))) @ z.T)

    found = minimize(
        loss,
        np.zeros(len(z)),
        jac=True,
        hess=curvature,
        method="trust-exact",
        options={"gtol": 1e-9},
    )
    if not np.isfinite(found.x).all():
        raise ProbeError(f"no calibration was found ({found.message}). Look at the scores")
    return np.asarray(found.x)

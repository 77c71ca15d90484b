"""How trained heads score: which head, what is decided, and what is written."""

from __future__ import annotations

from dataclasses import dataclass, field

from cache.errors import OptionError
from probing.augmentation.smoothing import Smoothing
from probing.options import Syntax, check, option
from probing.scores.names import FORMS


def _share(text: str) -> float:
    share = float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    if not 0 <= share < 1:
        raise ValueError(text)
    return share


SHARE = Syntax(
    _share,
    lambda share: f"{share:g}",
    "expected a share of spoofs from 0 to below 100 %, as 1% or 0.01",
)


def check_prior(prior: float) -> None:
    """Raise OptionError if a prior is no probability of bona fide between 0 and 1.

    >>> check_prior(1.0)
    Traceback (most recent call last):
    cache.errors.OptionError: prior=1: expected the probability of bona fide, between 0 and 1, as 0.5
    """  # noqa: E501
    if not 0 < prior < 1:
        raise OptionError(
            "prior", prior, "expected the probability of bona fide, between 0 and 1, as 0.5"
        )


@dataclass(frozen=True)
class ScoreOptions:
    """How a head scores.

    head: see `probing.serving.choose_head`.
    form: of a score file, default 2019 with labels, else 2021.
    false_alarm: see `probing.serving.verdict.choose_threshold`.

    >>> ScoreOptions(form="2020")
    Traceback (most recent call last):
    cache.errors.OptionError: form=2020: expected 2019, 2021 or 5. Did you mean 2021?
    """

    head: str | None = option(
        None,
        "As weighted-sum+linear-depth-06, linear-layer-06, or a kind, as weighted-sum+linear "
        "[default: the one that the run's finding names].",
        metavar="NAME",
    )
    prior: float = option(0.5, "Probability of bona fide before a clip is heard.")
    false_alarm: float | None = option(
        None,
        "Decide where at most so many spoofs of dev are accepted, "
        "as 1% [default: the EER point of dev].",
        metavar="SHARE",
        syntax=SHARE,
    )
    calibrated: bool = option(
        False, "Write log-likelihood ratios instead of the head's own scores."
    )
    form: str | None = option(
        None,
        "2019 (utterance attack key score), 2021 (utterance score) or 5 (filename, tab, "
        "cm-score, with a header) [default: 2019 with labels, else 2021].",
        choices=FORMS,
    )
    split: str | None = option(None, "Only this split of a cache or corpus [default: all].")
    early_exit: bool = option(
        False,
        "Refuse a model without exits; one that was exported with them leaves by them anyway.",
    )
    smoothing: Smoothing = field(default_factory=Smoothing)

    def __post_init__(self) -> None:
        check(self)
        check_prior(self.prior)

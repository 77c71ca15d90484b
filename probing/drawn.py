"""What a bootstrap draws anew: the names of its units."""

from dataclasses import dataclass

from probing.options import check, option

AUTO = "auto"  # by speaker where speakers are known, else by utterance
SPEAKER = "speaker"
UTTERANCE = "utterance"
ATTACK = "attack"


@dataclass(frozen=True)
class BootstrapOptions:
    """What is drawn behind each interval; see `probing.metrics.draw`.

    interval_by: the column whose values are drawn whole, or several with commas between;
        `utterance` draws single trials, `auto` speakers if all are known and else utterances.

    >>> BootstrapOptions(resamples=10)
    Traceback (most recent call last):
    cache.errors.OptionError: resamples=10: expected 100 or more
    """

    interval_by: str = option(
        AUTO,
        "What the bootstrap draws whole: a column or several, as speaker,attack (for attacks "
        "like these), or utterance [auto: speaker, if known].",
        metavar="COLUMNS",
    )
    resamples: int = option(1000, "Bootstrap resamples behind each interval.", minimum=100)
    seed: int = option(0, "Seed of the bootstrap.", minimum=0)

    def __post_init__(self) -> None:
        check(self)

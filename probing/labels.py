"""Labels of trials, and the words that mean them; a corpus may have others, or none."""

from collections.abc import Iterable

BONAFIDE = "bonafide"
SPOOF = "spoof"
LABELS = {
    **dict.fromkeys(
        ("bonafide", "bona-fide", "bona fide", "bona_fide", "genuine", "human", "real"), BONAFIDE
    ),
    **dict.fromkeys(("spoof", "spoofed", "fake", "synthetic"), SPOOF),
}


def are_of_spoofing(labels: Iterable[object]) -> bool:
    """Whether every label is `bonafide` or `spoof`, so that there are EERs.

    A corpus may have other labels, or none.

    >>> (
    ...     are_of_spoofing(["spoof", "bonafide"]),
    ...     are_of_spoofing(["happy", "angry"]),
    ...     are_of_spoofing([""]),
    ... )
    (True, False, False)
    """
    return set(labels) <= {BONAFIDE, SPOOF}

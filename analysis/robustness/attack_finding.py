"""The finding of attacks in words."""

from __future__ import annotations

import pandas as pd

from analysis.robustness.attack_pictures import head_in_words
from analysis.robustness.attack_table import OTHER, SAME, WHITE
from analysis.robustness.attacking import Attacks
from analysis.robustness.figures import CLEAN


def sentence_of_attacks(found: Attacks) -> str:
    """The finding in words.

    >>> from pathlib import Path
    >>> from analysis import load
    >>> from analysis.runs.companions import Companion
    >>> from analysis.robustness.stored import read_attacks
    >>> companion = Companion.read(Path("results/demo.attack"))
    >>> found = read_attacks(load("results/demo.run"), companion.folder, companion.about)
    >>> "fgsm" in sentence_of_attacks(found).lower()
    True
    """
    n_bonafide = int(found.table["n_bonafide"].iloc[0])
    n_spoof = int(found.table["n_spoof"].iloc[0])
    rows = found.rows()
    sentences = [f"On {n_bonafide} bona fide and {n_spoof} spoofed eval clips of {found.names[0]}:"]
    white = rows[rows["access"] == WHITE]
    most, least = white["eer"].idxmax(), white["eer"].idxmin()
    of_least = (
        f"; the least, {_in_words(white.loc[least])}"
        if white.loc[least, "eer"] < white.loc[most, "eer"]
        else ""
    )
    sentences.append(f"White box, {_in_words(white.loc[most])}{of_least}.")
    for access, words in (
        (SAME, "Transferred to another head of the same backbone"),
        (OTHER, "To another backbone"),
    ):
        of_access = rows[rows["access"] == access]
        if len(of_access):
            shown = int((of_access["rise_low"] > 0).sum())
            sentences.append(
                f"{words}, a rise is shown in {shown} of {len(of_access)} cases; the largest, "
                f"{_in_words(of_access.loc[of_access['rise'].idxmax()], judged=True)}."
            )
    if found.smoothing:
        sentences.append(_of_smoothing(found))
    return " ".join(sentences)


def _in_words(row: pd.Series, judged: bool = False) -> str:
    judge = f" judged by {head_in_words(row['judge_head'])} of {row['judge']}," if judged else ""
    return (
        f"{row['attack']} on {head_in_words(row['source_head'])} (SNR {row['snr_db']:.0f} "
        f"dB),{judge} EER {row['eer']:.1f} %, {row['rise']:+.1f} points "
        f"[{row['rise_low']:.1f}, {row['rise_high']:.1f}]"
    )


def _of_smoothing(found: Attacks) -> str:
    """What smoothing gives in the white box, and what it costs."""
    smooth = found.smoothing.smooth
    means = {}
    for way in (0, smooth):
        table = found.table[found.table["smooth"] == way]
        clean = table[table["attack"] == CLEAN]
        own = clean[clean["judge"] == found.names[0]]["eer"].mean()
        means[way] = own, table[table["access"] == WHITE]["eer"].mean()
    known = "follow the mean slope over" if found.adaptive else "know nothing of"
    (clean, attacked), (clean_smoothed, attacked_smoothed) = means[0], means[smooth]
    return (
        f"Smoothing over {smooth} copies at {found.smoothing.snr_db:g} dB takes {found.cost:.1f} "
        f"times as long: the mean EER of the attacked run is {clean_smoothed:.1f} instead of "
        f"{clean:.1f} % on clean clips, and {attacked_smoothed:.1f} instead of {attacked:.1f} % "
        f"in the white box; the attacks {known} the copies."
    )

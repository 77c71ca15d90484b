"""Verdicts on clips as a person reads them, with their errors and every warning."""

from typing import TYPE_CHECKING

from rich.table import Table

from analysis.commands.printing import out, print_whole
from probing.progress import console

if TYPE_CHECKING:  # at run time it costs torch
    from probing.metrics.thresholds import ErrorRates
    from probing.serving.threshold import Threshold
    from probing.serving.verdict import Verdict, Verdicts

MOST = 50  # clips, and warnings, that are printed
WORDS = {"bonafide": "bona fide", "spoof": "spoof"}


def print_verdicts(verdicts: "Verdicts") -> None:
    """Print verdicts; no decision is printed without the errors that were measured at its
    threshold.
    """
    shown = Table(box=None, header_style="bold")
    columns = ["score"]
    if verdicts.threshold is not None:
        columns += ["log-likelihood ratio", f"P(bona fide), prior {100 * verdicts.prior:g} %"]
    shown.add_column("file")
    for name in columns:
        shown.add_column(name, justify="right")
    if verdicts.threshold is not None:
        shown.add_column("decision")
    shown.add_column("unlike training")
    for clip in verdicts.clips[:MOST]:
        shown.add_row(*_row(clip, verdicts.threshold is not None))
    print_whole(shown)
    _say_more(len(verdicts.clips), "clips")
    out.print("")
    if verdicts.threshold is not None:
        print_threshold(verdicts.threshold)
        measured = {part: rates_in_words(rates) for part, rates in verdicts.threshold.rates.items()}
        out.print(f"Measured there on {verdicts.corpus or 'its corpus'}:", markup=False)
        for part, words in measured.items():
            chance = (
                ", not shown to be better than chance" if not verdicts.eer[part].high < 0.5 else ""
            )
            cost = f"; Cllr of the ratios {verdicts.cllr[part]:.2f}"
            out.print(f"  {part}: {words}; EER {verdicts.eer[part]}{chance}{cost}", markup=False)
        out.print(
            "Clips of other speakers, attacks, languages or channels may be judged worse than "
            "that. A ratio that says nothing has a Cllr of 1, a perfect one 0."
        )
    for note in verdicts.notes:
        console.print(f"Note: {note[0].upper()}{note[1:].rstrip('.')}.", markup=False)
    warned = [clip for clip in verdicts.clips if clip.unlike]
    if warned:
        out.print(
            "\n? The clip is unlike the training clips, so that its verdict may mean nothing:"
        )
    for clip in warned[:MOST]:
        out.print(f"  {clip.path}", markup=False)
        for sentence in clip.unlike.values():
            out.print(f"    {sentence}", markup=False)
    _say_more(len(warned), "such clips")


def print_threshold(threshold: "Threshold") -> None:
    """Print from which score a clip is called bona fide."""
    out.print(
        f"Decision: bona fide from a score of {threshold.value:z.3f} on (log-likelihood ratio "
        f"{threshold.ratio:z.2f}), {threshold.chosen}.",
        markup=False,
    )


def rates_in_words(rates: "ErrorRates") -> str:
    """Errors at a threshold, in per cent and in trials."""
    return (
        f"{100 * rates.miss:.1f} % of bona fide clips called spoof ({rates.rejected:,} of "
        f"{rates.n_bonafide:,}), {100 * rates.false_alarm:.1f} % of spoofs called bona fide "
        f"({rates.accepted:,} of {rates.n_spoof:,})"
    )


def _row(clip: "Verdict", with_ratio: bool) -> list[str]:
    if clip.failure:
        return [clip.path, "", *(["", "", "none"] if with_ratio else []), clip.failure]
    found = [clip.path, f"{clip.score:z.3f}"]
    if with_ratio:
        doubt = " ?" if clip.unlike else ""
        decision = WORDS[clip.decision or ""] + doubt
        found += [f"{clip.ratio:z.2f}", _probability(clip.probability or 0.0), decision]
    return [*found, ", ".join(clip.unlike)]


def _probability(value: float) -> str:
    """Per cent, never rounded to certainty."""
    if value > 0.999:
        return "> 99.9 %"
    return "< 0.1 %" if value < 0.001 else f"{100 * value:.1f} %"


def _say_more(n: int, what: str) -> None:
    if n > MOST:
        out.print(f"... and {n - MOST:,} more {what}, all of which a .csv or .json holds.")

"""Joining scores with what is known of the utterances, by utterance id."""

import os
from collections.abc import Callable

import pandas as pd

from cache.errors import OptionError, ProbeError, argument
from probing.audio import SUFFIXES
from probing.corpora.splits import split_called


def join(
    scores: pd.DataFrame,
    known: pd.DataFrame | None = None,
    split: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> pd.DataFrame:
    """One row per trial of a split: what is known of it, and its score.

    Args:
        scores: `utterance_id` and `score`; `label` where they carry their keys.
        known: `utterance_id`, `label`, and any columns; default what the scores carry. A `score` of
            its own is not that of these scores, and is left out. Ids that only differ by the suffix
            or the folder of an audio file are one.
        split: value of the column `split`; default all that any score is of, or `eval` where that
            is among them.
        say: where to put that ids were joined without their suffix or folder.

    Raises:
        ProbeError: an utterance is there twice, has no score, is unknown, or has another label than
            the scores say.

    >>> scores = pd.DataFrame({"utterance_id": ["u1", "u2"], "score": [0.5, -1.0]})
    >>> known = pd.DataFrame({"utterance_id": ["u2", "u1"], "label": ["spoof", "bonafide"]})
    >>> join(scores, known).set_index("utterance_id")["label"].to_dict()
    {'u2': 'spoof', 'u1': 'bonafide'}
    """
    _refuse_doubles(scores, "the scores")
    if known is None:
        if "label" not in scores:
            raise ProbeError(
                "these scores carry no labels. Say what the utterances are: "
                f"{argument('corpus', 'SPEC')} or {argument('keys', 'FILE')}"
            )
        if split:
            raise OptionError(
                "split",
                split,
                f"these scores carry no splits; name a {argument('corpus')} or {argument('keys')}",
            )
        return scores
    _refuse_doubles(known, "the keys")
    known = known.drop(columns="score", errors="ignore")
    scores = _as_known(scores, known, say)
    merged = known.merge(scores[["utterance_id", "score"]], on="utterance_id", how="left")
    unknown = ~scores["utterance_id"].isin(known["utterance_id"])
    as_what = (
        f"Expected scores of those only, which are called as {known['utterance_id'].iloc[0]}: "
        f"leave the others out, or name what has all, {argument('corpus', 'SPEC')} or "
        f"{argument('keys', 'FILE')}"
    )
    _refuse(scores, unknown, "have a score and are not in the corpus or keys", as_what)
    if "split" in merged:
        split = split_called(split, merged["split"]) if split else split
        splits = [split] if split else sorted(merged.loc[merged["score"].notna(), "split"].unique())
        splits = ["eval"] if "eval" in splits else splits
        if split and split not in set(merged["split"]):
            found = ", ".join(sorted(merged["split"].unique()))
            raise OptionError("split", split, f"no such split, only {found}")
        merged = merged[merged["split"].isin(splits)].reset_index(drop=True)
    elif split:
        raise OptionError("split", split, "the keys have no column split")
    _refuse(
        merged,
        merged["score"].isna(),
        "have no score",
        f"Score them all, or name the {argument('split')} that was scored",
    )
    if "label" in scores:
        labels = merged["utterance_id"].map(scores.set_index("utterance_id")["label"])
        _refuse(
            merged,
            labels != merged["label"],
            "have another label in the scores",
            "Name the corpus they were made on",
        )
    return merged


def _as_known(
    scores: pd.DataFrame, known: pd.DataFrame, say: Callable[[str], None]
) -> pd.DataFrame:
    """The scores under the ids of the keys, if only suffix or folder of the file differ."""
    if scores["utterance_id"].isin(known["utterance_id"]).all():
        return scores
    for differ, bare in (("the suffix", _without_suffix), ("folder and suffix", _stem)):
        bare_scores = scores["utterance_id"].map(bare)
        bare_known = known["utterance_id"].map(bare)
        if bare_scores.is_unique and bare_known.is_unique and bare_scores.isin(bare_known).all():
            names = bare_scores.map(dict(zip(bare_known, known["utterance_id"], strict=True)))
            of = scores["utterance_id"].iloc[0]
            to = names.iloc[0]
            say(
                f"Note: the scores were joined with the keys without {differ} of the audio "
                f"files, as {of} with {to}."
            )
            return scores.assign(utterance_id=names)
    return scores


def _without_suffix(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in SUFFIXES else name


def _stem(name: str) -> str:
    return os.path.basename(_without_suffix(name))


def _refuse_doubles(table: pd.DataFrame, where: str) -> None:
    _refuse(
        table,
        table["utterance_id"].duplicated(),
        f"are in {where} more than once",
        "Expected one row each",
    )


def _refuse(table: pd.DataFrame, wrong: "pd.Series[bool]", what: str, advice: str) -> None:
    if wrong.any():
        names = table.loc[wrong, "utterance_id"]
        shown = ", ".join(names.head(5)) + (
            f" and {len(names) - 5:,} more" if len(names) > 5 else ""
        )
        raise ProbeError(f"{len(names)} of {len(table)} utterances {what}: {shown}. {advice}.")

"""Trials of spoofing-robust speaker verification: claimed speaker, utterance, key and scores.

Scores: the forms of ASVspoof 5 track 2, a table whose header names `filename` or `trial_anon`, the
claimed speaker (`spk` or `tar_spk_anon`) and `sasv-score` (a joint system), `asv-score` and
`cm-score` (a tandem), or all three; or that of the a-DCF package, `speaker utterance score key`
without a header. Keys: a table with such columns and `asv-label` (`target`, `nontarget`, `spoof`),
as the full key table of the ASVspoof 5 evaluation package.
"""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from cache.errors import OptionError, ProbeError, argument
from probing.metrics.tdcf import KEYS
from probing.scores.tables import read_table, with_numbers

CLAIMED = "target_speaker"
KIND = "asv_label"
JOINT = "sasv_score"
ASV = "asv_score"
CM = "cm_score"
VERIFICATION = "verification_score"
CLAIMS = (CLAIMED, "spk", "tar_spk_anon", "tar_spk")  # what a column of claimed speakers is called
DUMMY = "dummy"  # trials of ASVspoof 5 that its package leaves out of track 2


def with_claims(table: pd.DataFrame) -> pd.DataFrame:
    """A table of trials with its claimed speakers, if it names them, as `target_speaker`."""
    named = next((name for name in (*CLAIMS, "speaker") if name in table), CLAIMED)
    return table.rename(columns={named: CLAIMED})


def are_of_sasv(
    scores: pd.DataFrame, keys: pd.DataFrame | None = None, asv: pd.DataFrame | None = None
) -> bool:
    """Whether scores are of trials with a claimed speaker, by what they, their keys and
    verification scores have.

    >>> are_of_sasv(pd.DataFrame({"utterance_id": ["u1"], "score": [0.5]}))
    False
    """
    if {JOINT, ASV, KIND} & set(scores):
        return True
    if keys is None or KIND not in keys:
        return False
    return asv is not None or any(name in scores for name in CLAIMS)


def sasv_trials(
    scores: pd.DataFrame,
    keys: pd.DataFrame | None = None,
    asv: pd.DataFrame | None = None,
    split: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> pd.DataFrame:
    """One row per trial of the keys, with its scores.

    Args:
        scores: of trials, or of utterances where no claimed speaker is named: those of a
            countermeasure.
        keys: what the trials are; default what the scores carry.
        asv: verification scores of the same trials: the other half where the scores are a
            countermeasure's.
        split: value of the column `split` of the keys; default all.
        say: where to put how many trials are dummies by the keys, and left out as the official
            package does, and if a column called `score` was taken for joint scores.

    Returns:
        `utterance_id`, `target_speaker` and `speaker` (both the claimed one) where it is named,
        `asv_label`, `label`, those of `sasv_score`, `asv_score` and `cm_score` that there are,
        `verification_score` from `asv`, and what else the keys have.

    Raises:
        ProbeError: no keys, a trial twice, without a score, or with a score and without a key; or
            two keys differ.

    >>> table = {
    ...     "target_speaker": ["anna"] * 2,
    ...     "utterance_id": ["u1", "u2"],
    ...     "sasv_score": [0.5, -1.0],
    ... }
    >>> trials = sasv_trials(pd.DataFrame({**table, "asv_label": ["target", "spoof"]}))
    >>> trials["label"].tolist()
    ['bonafide', 'spoof']
    """
    scores = with_claims(scores)
    if "score" in scores:
        joint = not {ASV, JOINT} & set(scores) and asv is None
        scores = scores.rename(columns={"score": JOINT if joint else CM})
        if joint and KIND not in scores:
            say(
                "Note: these scores are taken for those of a joint system. To a countermeasure's "
                "belong verification scores of the same trials, in a file of their own."
            )
    if keys is None:
        if KIND not in scores:
            raise ProbeError(
                "these scores of verification trials carry no keys. Say what the trials are: "
                f"{argument('keys', 'FILE')}, with a column asv-label"
            )
        trials = scores
    elif KIND not in keys:
        raise ProbeError(
            f"{argument('keys')}: these scores are of verification trials, and the keys have no "
            f"column asv-label. Expected which trials are {', '.join(KEYS)}"
        )
    else:
        trials = _joined(scores, with_claims(keys), "scores")
    if asv is not None:
        trials = _joined(asv.rename(columns={ASV: VERIFICATION}), trials, "verification scores")
        trials = trials if ASV in trials else trials.assign(**{ASV: trials[VERIFICATION]})
    trials = _without_dummies(trials, say)
    if split:
        if "split" not in trials:
            raise OptionError("split", split, "the keys have no column split")
        if split not in set(trials["split"]):
            found = ", ".join(sorted(trials["split"].unique()))
            raise OptionError("split", split, f"no such split, only {found}")
        trials = trials[trials["split"] == split]
    trials = trials.assign(
        label=trials[KIND].map(lambda key: "spoof" if key == "spoof" else "bonafide")
    )
    return (trials.assign(speaker=trials[CLAIMED]) if CLAIMED in trials else trials).reset_index(
        drop=True
    )


def read_verification_trials(path: Path) -> pd.DataFrame | None:
    """Verification scores by trial: `utterance_id`, `asv_score`, and the claimed speaker where it
    is named.

    Returns:
        None where the file is of another form, as `source key score`.

    Raises:
        ProbeError: the file cannot be read, or a score is no finite number.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     size = Path(folder, "asv.tsv").write_text(
    ...         "spk\\tfilename\\tasv-score\\nanna\\tu1\\t2.5\\n"
    ...     )
    ...     read_verification_trials(Path(folder, "asv.tsv"))["asv_score"].tolist()
    [2.5]
    """
    table = read_table(
        path,
        "speaker verification scores",
        forms={3: "attack key score"},
        needed=(ASV,),
        instead=("score",),
    )
    if "utterance_id" not in table:
        return None
    if ASV not in table:
        table = table.rename(columns={"score": ASV})
    table = with_claims(with_numbers(table, path, ASV))
    return table[[*_names(table), ASV]].reset_index(drop=True)


def verification_of(trials: pd.DataFrame) -> pd.DataFrame:
    """The verification scores of trials as the t-DCF needs them: `key` and `score`, and what the
    trials have beside.

    >>> trials = pd.DataFrame(
    ...     {"utterance_id": ["u1"], "asv_label": ["target"], "verification_score": [2.5]}
    ... )
    >>> verification_of(trials)[["key", "score"]].values.tolist()
    [['target', 2.5]]
    """
    return trials.rename(columns={KIND: "key", VERIFICATION: "score"})


def utterances_of(
    keys: pd.DataFrame, say: Callable[[str], None] = lambda text: None
) -> pd.DataFrame:
    """The keys with each utterance once, where they are of trials and an utterance is in several.

    What may differ between the trials of an utterance is left out: the claimed speaker and the key.

    >>> utterances_of(pd.DataFrame({"utterance_id": ["u1", "u2"], "label": ["bonafide", "spoof"]}))[
    ...     "label"
    ... ].tolist()
    ['bonafide', 'spoof']
    """
    if KIND not in keys or not keys["utterance_id"].duplicated().any():
        return keys
    of_trials = (*CLAIMS, "speaker", KIND, "track_2_tag")
    kept = keys.drop(columns=[name for name in of_trials if name in keys]).drop_duplicates()
    say(
        f"Note: {len(keys):,} trials of the keys are of "
        f"{len(kept):,} utterances, each of which counts once."
    )
    return kept.reset_index(drop=True)


def _names(table: pd.DataFrame) -> list[str]:
    return [CLAIMED, "utterance_id"] if CLAIMED in table else ["utterance_id"]


def _without_dummies(trials: pd.DataFrame, say: Callable[[str], None]) -> pd.DataFrame:
    dummies = _are_dummies(trials)
    if dummies.any():
        say(
            f"Note: {int(dummies.sum()):,} of {len(trials):,} trials are dummies by their "
            "track_2_tag, and left out."
        )
    return trials[~dummies]


def _are_dummies(trials: pd.DataFrame) -> "pd.Series[bool]":
    tags = trials["track_2_tag"] if "track_2_tag" in trials else pd.Series("", trials.index)
    return tags.eq(DUMMY)


def _joined(scores: pd.DataFrame, keys: pd.DataFrame, what: str) -> pd.DataFrame:
    """The keys with the scores of each: by claimed speaker and utterance, or by utterance where
    either names no other.

    Raises:
        ProbeError: a trial is there twice, has no score or no key, or its key is another.
    """
    names = _names(scores) if CLAIMED in keys else ["utterance_id"]
    if (
        CLAIMED in keys
        and CLAIMED not in scores
        and JOINT in scores
        and keys["utterance_id"].duplicated().any()
    ):
        raise ProbeError(
            f"the {what}: utterances without the speaker that is claimed, which several trials "
            "of the keys tell apart. Expected a column spk"
        )
    _refuse(
        scores,
        scores.duplicated(names),
        f"are in the {what} more than once",
        "Expected one row each",
    )
    _refuse(
        keys,
        keys.duplicated(_names(keys)),
        "are in the keys more than once",
        "Expected one row each",
    )
    own = [name for name in (JOINT, ASV, CM, VERIFICATION) if name in scores]
    merged = keys.drop(columns=own, errors="ignore").merge(
        scores[[*names, *own]], on=names, how="left"
    )
    known = scores.merge(keys[names].drop_duplicates(), on=names, how="left", indicator=True)[
        "_merge"
    ].eq("both")
    _refuse(
        scores,
        ~known.set_axis(scores.index),
        "have a score and are not in the keys",
        "Expected scores of the trials in the keys, which are called as "
        f"{_called(keys, names).iloc[0]}: leave the others out, or name the keys of all, "
        f"{argument('keys', 'FILE')}",
    )
    lacking = merged[own].isna().any(axis=1) & ~_are_dummies(merged)
    _refuse(
        merged,
        lacking,
        f"have no score in the {what}",
        f"Score them all, or name the keys of those scored, {argument('keys', 'FILE')}",
    )
    if KIND in scores:
        kinds = keys[names].merge(scores[[*names, KIND]], on=names, how="left")[KIND]
        wrong = kinds.ne(merged[KIND]) & kinds.notna()
        _refuse(
            merged,
            wrong,
            "have another key in the scores",
            "Name the keys of the trials that were scored",
        )
    return merged


def _called(table: pd.DataFrame, names: list[str]) -> "pd.Series[str]":
    return table[names].agg(" ".join, axis=1)


def _refuse(table: pd.DataFrame, wrong: "pd.Series[bool]", what: str, advice: str) -> None:
    if wrong.any():
        shown = _called(table[wrong].head(5), _names(table))
        more = f" and {wrong.sum() - 5:,} more" if wrong.sum() > 5 else ""
        raise ProbeError(
            f"{int(wrong.sum()):,} of {len(table):,} trials "
            f"{what}: {', '.join(shown)}{more}. {advice}."
        )

"""Whether a corpus is all there: its counts against the published ones, and its audio."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from probing.audio import Cropping, UnusableAudio, load_audio
from probing.corpora import read_corpus
from probing.corpora.corpus import Corpus
from probing.corpora.known import KNOWN
from probing.corpora.protocol import ProtocolMissing
from probing.corpora.published import Counts
from probing.labels import SPOOF
from probing.threads import Threads

if TYPE_CHECKING:
    import pandas as pd

AT_ONCE = 1024  # files given to the threads at a time


@dataclass(frozen=True)
class Check:
    """What a corpus has and lacks.

    Attributes:
        counts: a row for each split and label, `split`, `label`, `utterances`, `published` (-1
            where that is not known) and `missing` (audio files that are not there).
        faults: what is missing or different, a sentence each; none if all is there.
        download: what to get where; "" for a manifest.
        there: the corpus without the utterances whose audio is missing; None if its protocol is.
    """

    counts: pd.DataFrame
    faults: list[str]
    download: str
    there: Corpus | None


def check_corpus(spec: str, *, audio_root: Path | None = None) -> Check:
    """Compare a corpus with what was published about it, and look for its audio without opening it.

    Args:
        spec: as for `load_corpus`.
        audio_root: folder that the paths of a manifest start from.

    Raises:
        ProbeError: the corpus is not known, or a row of its protocol is at fault.
    """
    known = KNOWN.get(spec.partition(":")[0])
    download, published = (known.download, known.published) if known else ("", {})
    try:
        corpus = read_corpus(spec, audio_root=audio_root)
    except ProtocolMissing as error:
        import pandas as pd

        nothing = pd.DataFrame(columns=["split", "label"])
        return Check(_counts(nothing, nothing, published), [str(error)], download, None)
    table = corpus.utterances
    lost = corpus.missing()
    faults = [*_differences(table, published), *_absences(corpus, lost)]
    there = replace(corpus, utterances=table.drop(lost.index).reset_index(drop=True))
    return Check(_counts(table, lost, published), faults, download, there)


def unusable(
    corpus: Corpus, workers: int = 2, advance: Callable[[int], None] = lambda n: None
) -> list[str]:
    """Decode the first 30 s of every file, and name those that cannot be used, with the reason.

    Args:
        corpus: utterances whose audio is there.
        workers: decoding threads.
        advance: called with 1 for every file.
    """

    def reason(path: str) -> str:
        try:
            load_audio(corpus.root / path, Cropping())
        except UnusableAudio as error:
            return f"{corpus.root / path}: {error}"
        return ""

    paths = list(corpus.utterances["path"])
    reasons = []
    with Threads(workers) as threads:
        for start in range(0, len(paths), AT_ONCE):
            for found in threads.map(reason, paths[start : start + AT_ONCE]):
                advance(1)
                reasons.append(found)
    return [found for found in reasons if found]


def _counts(table: pd.DataFrame, lost: pd.DataFrame, published: Counts) -> pd.DataFrame:
    import pandas as pd

    here = table.groupby(["split", "label"]).size().to_dict()
    gone = lost.groupby(["split", "label"]).size().to_dict()
    both = {
        (split, label): n
        for (split, label, attack), n in published.items()
        if split and label and not attack
    }
    rows = [
        (*key, here.get(key, 0), both.get(key, -1), gone.get(key, 0)) for key in {**both, **here}
    ]
    return pd.DataFrame(rows, columns=["split", "label", "utterances", "published", "missing"])


def _differences(table: pd.DataFrame, published: Counts) -> Iterator[str]:
    import pandas as pd

    for key, n in published.items():
        chosen = pd.Series(True, index=table.index)
        for column, value in zip(("split", "label", "attack"), key, strict=True):
            chosen &= (table[column] == value) if value else True
        if chosen.sum() != n:
            yield (
                f"{' '.join(filter(None, key)) or 'in all'}: "
                f"{chosen.sum():,} utterances, published are {n:,}"
            )
    for split in sorted({split for split, _, attack in published if attack}):
        attacks = set(table.loc[(table["split"] == split) & (table["label"] == SPOOF), "attack"])
        for attack in sorted(
            attacks - {attack for where, _, attack in published if where == split}
        ):
            yield f"{split} spoof {attack}: no such attack was published"


def _absences(corpus: Corpus, lost: pd.DataFrame) -> Iterator[str]:
    for split, rows in lost.groupby("split"):
        of = int((corpus.utterances["split"] == split).sum())
        first = rows.iloc[0]
        yield (
            f"{split}: {len(rows):,} of {of:,} audio files are missing, as "
            f"{corpus.root / first['path']} ({first['utterance_id']})"
        )

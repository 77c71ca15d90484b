"""Score files: one utterance a line, higher scores mean more bona fide.

2019: `utterance attack key score`, the official form of ASVspoof 2019; the key is `bonafide` or `spoof`
2021: `utterance score`, that of ASVspoof 2021 and, under a line of column names, of ASVspoof 5, where keys are secret
"""

import math
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cache.atomic import replace_file
from probing.corpora.corpus import LABELS
from probing.metrics.eer import ScoresError

Form = Literal["2019", "2021"]
FORMS = "`utterance attack key score` (ASVspoof 2019) or `utterance score` (ASVspoof 2021 and 5)"
COLUMNS = ("utterance_id", "attack", "label", "score")


def write_scores(path: str | Path, utterances: pd.DataFrame, scores: ArrayLike, form: Form = "2019") -> None:
    """Write a score file, whole or not at all; scores with 9 digits, enough to tell any two of float32 apart.

    Args:
        path: where to; what is there is replaced.
        utterances: (N) rows; `utterance_id`, and for the form of 2019 `attack` and `label` too.
        scores: (N,), finite.
        form: which columns to write.

    Raises:
        ScoresError: as many scores as utterances were expected, all finite, and names without white space.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != (len(utterances),) or not np.isfinite(values).all():
        raise ScoresError(
            f"{path}: scores {values.shape} for {len(utterances)} utterances, {int((~np.isfinite(values)).sum())} of "
            "them not finite; expected one finite number each. Score the utterances again."
        )
    names = [str(name) for name in utterances["utterance_id"]]
    broken = [name for name in names if name.split() != [name]]
    if broken:
        raise ScoresError(f"{path}: utterance {broken[0]!r}: expected a name without white space. Name it otherwise.")
    heads = names
    if form == "2019":
        attacks = ["_".join(str(attack).split()) or "-" for attack in utterances["attack"]]
        heads = [" ".join(head) for head in zip(names, attacks, utterances["label"], strict=True)]
    text = "".join(f"{head} {score:.9g}\n" for head, score in zip(heads, values, strict=True))
    replace_file(Path(path), text.encode())


def read_scores(path: str | Path) -> pd.DataFrame:
    """Read a score file of either form; fields are separated by white space, empty lines do not count.

    Returns:
        One row per utterance in the order of the file: `utterance_id`, `attack` and `label` (`bonafide` or `spoof`;
        both empty text where the file is of the form of 2021), `score` (float64).

    Raises:
        ScoresError: there is no such file, it is empty, or a line, named by its number, is not of the form, has no
            finite score, an unknown key, or an utterance that was there before.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ScoresError(f"{path}: cannot be read as scores ({error}). Expected lines of {FORMS}.") from None
    rows = [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]
    if rows and len(rows[0][1]) == 2 and rows[0][1][1].lower() in ("score", "cm-score"):
        rows = rows[1:]
    if not rows:
        raise ScoresError(f"{path}: no scores. Expected lines of {FORMS}.")
    n_fields = len(rows[0][1])
    seen: dict[str, int] = {}
    table = []
    for number, fields in rows:

        def refuse(what: str, number: int = number) -> ScoresError:
            return ScoresError(f"{path}, line {number}: {what}. Mend the line, or write the file again.")

        if len(fields) != n_fields or n_fields not in (2, 4):
            expected = FORMS if n_fields not in (2, 4) else f"{n_fields} as in the first"
            raise refuse(f"{len(fields)} fields; expected {expected}")
        name, attack, key, score = fields if n_fields == 4 else (fields[0], "", "", fields[1])
        if name in seen:
            raise refuse(f"utterance {name} was on line {seen[name]} already; expected each once")
        seen[name] = number
        if n_fields == 4 and key.lower() not in LABELS:
            raise refuse(f"key {key!r}; expected bonafide or spoof")
        table.append((name, attack, LABELS.get(key.lower(), ""), _number(score)))
        if not math.isfinite(table[-1][-1]):
            raise refuse(f"score {score!r}; expected a finite number")
    return pd.DataFrame(table, columns=list(COLUMNS))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan

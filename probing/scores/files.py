"""Score files: one utterance a line, higher scores mean more bona fide.

2019: `utterance attack key score`, the official form of ASVspoof 2019; the key is `bonafide` or
    `spoof`.
2021: `utterance score`, that of ASVspoof 2021, where keys are secret.
5: the same of ASVspoof 5, separated by a tab, under the header `filename`, `cm-score`.

These are written. A csv or tsv whose header names utterance_id and score is read as well, and
without a header `utterance score key` in any order and `speaker utterance score key` (baseline of
ASVspoof 5); all of them as .gz too. Scores of verification trials have forms of their own: see
`probing.scores.sasv`.
"""

import gzip
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cache.atomic import replaced
from probing.labels import LABELS
from probing.metrics.eer import ScoresError
from probing.metrics.tdcf import KEYS
from probing.rows import BYTE_ORDER_MARK
from probing.scores.names import Form, is_csv, other_format
from probing.scores.sasv import ASV, CLAIMS, JOINT, KIND, with_claims
from probing.scores.tables import read_table, refuse, with_kinds, with_labels, with_numbers
from probing.sealing import check_file

COLUMNS: dict[int, str | tuple[str, ...]] = {
    2: "utterance_id score",
    4: ("utterance_id attack label score", "speaker utterance_id score label"),
    3: tuple(" ".join(order) for order in permutations(("utterance_id", "score", "label"))),
}


def write_scores(
    path: str | Path, utterances: pd.DataFrame, scores: ArrayLike, form: Form = "2019"
) -> None:
    """Write a score file, whole or not at all.

    Scores have 9 digits, enough to tell any two of float32 apart.

    Args:
        path: where to; what is there is replaced. Compressed if it ends in `.gz`.
        utterances: (N) rows; `utterance_id`, and for the form of 2019 `attack` and `label` too.
        scores: (N,), finite.
        form: which columns to write.

    Raises:
        ProbeError: it cannot be written.
        ScoresError: as many scores as utterances were expected, all finite, names without white
            space, labels `bonafide` or `spoof`, and a path that would not be read as a csv, or is
            called as another format.
    """
    path = Path(path)
    if other := other_format(path):
        raise ScoresError(f"{path}: a score file is no {other}. Name it .txt or .tsv")
    if is_csv(path):
        raise ScoresError(f"{path}: the form of {form} is no csv. Name it .txt or .tsv")
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != (len(utterances),) or not np.isfinite(values).all():
        raise ScoresError(
            f"{path}: scores {values.shape} for {len(utterances)} utterances, "
            f"{int((~np.isfinite(values)).sum())} of them not finite; expected one finite number "
            "each. Score the utterances again."
        )
    names = [str(name) for name in utterances["utterance_id"]]
    broken = [name for name in names if name.split() != [name] or name.startswith(BYTE_ORDER_MARK)]
    if broken:
        raise ScoresError(
            f"{path}: utterance {broken[0]!r}: expected a name "
            "without white space. Name it otherwise."
        )
    heads = names
    if form == "2019":
        unknown = utterances["label"][~utterances["label"].isin(set(LABELS.values()))]
        if len(unknown):
            raise ScoresError(
                f"{path}: label {unknown.iloc[0]!r}; expected "
                "bonafide or spoof. Write the form of 2021"
            )
        attacks = ["_".join(str(attack).split()) or "-" for attack in utterances["attack"]]
        heads = [" ".join(head) for head in zip(names, attacks, utterances["label"], strict=True)]
    top, separator = ("filename\tcm-score\n", "\t") if form == "5" else ("", " ")
    text = top + "".join(
        f"{head}{separator}{score:.9g}\n" for head, score in zip(heads, values, strict=True)
    )
    try:
        content = text.encode()
    except UnicodeEncodeError as error:
        raise ScoresError(
            f"{path}: a name that is no Unicode text ({error.reason}). Name it otherwise."
        ) from None
    with replaced(path) as partial:
        partial.write_bytes(
            gzip.compress(content, mtime=0) if path.suffix.lower() == ".gz" else content
        )


def read_scores(path: str | Path) -> pd.DataFrame:
    """Read a score file of any form; empty lines do not count.

    Returns:
        One row per utterance in the order of the file: `utterance_id`, `score` (float64), `attack`
        and `label` (`bonafide` or `spoof`) where the form has them, and what else a header names,
        as text. A score of `-inf` or `inf` is the lowest or highest there is, as the official
        packages take it.

    Raises:
        ScoresError: the file cannot be read, is empty, or a line, named by its number, is not of
            the form, has no score, an unknown label, no name, or an utterance that was there
            before.
        Damaged: it is of a run, and not as the sweep wrote it.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     size = Path(folder, "scores.txt").write_text("u1 0.5\\nu2 -1\\n")
    ...     read_scores(f"{folder}/scores.txt")["score"].tolist()
    [0.5, -1.0]
    """
    table = read_trials(path)
    if "score" not in table or KIND in table:
        raise ScoresError(
            f"{path}: scores of speaker verification trials. Expected those "
            "of a countermeasure, utterance_id and score"
        )
    return table


def read_trials(path: str | Path) -> pd.DataFrame:
    """Read a score file of any form, or one of verification trials; see `read_scores`, and
    `probing.scores.sasv`.

    Returns:
        As `read_scores`; of verification trials `asv_score` or `sasv_score`, without `score` where
        the file has none, and `asv_label` (`target`, `nontarget` or `spoof`) where it has keys.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     size = Path(folder, "sasv.txt").write_text("anna u1 0.5 target\\nanna u2 -1 spoof\\n")
    ...     read_trials(f"{folder}/sasv.txt")["asv_label"].tolist()
    ['target', 'spoof']
    """
    path = Path(path)
    check_file(path)
    table = read_table(
        path, "scores", forms=COLUMNS, needed=("utterance_id", "score"), instead=(JOINT, ASV)
    )
    if "label" in table and table["label"].isin(KEYS[:2]).any():
        table = table.rename(columns={"label": KIND})
    if {KIND, ASV, JOINT} & set(table):
        table = with_claims(table)
    if KIND in table:
        table = with_kinds(table, path)
    elif "label" in table:
        table = with_labels(table, path)
    for name in ("score", ASV, JOINT):
        if name in table:
            table = with_numbers(table, path, name, infinite=True)
    names = table["utterance_id"]
    refuse(table, names == "", column="utterance_id", expected="expected a name", path=path)
    claimed = next((table[name] for name in CLAIMS if name in table), None)
    trials = names if claimed is None else claimed + " " + names
    twice = trials.duplicated()
    if twice.any():
        line = trials.index[(trials == trials[twice].iloc[0]).to_numpy()][0]
        refuse(
            table,
            twice,
            column="utterance_id",
            expected=f"it was on line {line} already, expected each once",
            path=path,
        )
    return table.reset_index(drop=True)

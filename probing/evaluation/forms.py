"""Score files and key files in the forms of ASVspoof 2019, 2021 and 5, or csv and tsv with a header; .gz as well.

Scores: `utterance attack key score` (2019), `utterance score` (2021), tab separated with the header `filename cm-score`
(5), or a csv with the columns utterance_id,score. Keys: the protocols of 2019 (5 columns), 2021 LA (8) and DF (13) and
5 (10), all without a header, `filename cm-label` (5), or a csv with the columns utterance_id,label.
"""

from pathlib import Path

import pandas as pd

from cache.errors import ProbeError
from probing.corpora.corpus import LABELS
from probing.metrics.tdcf import KEYS

ALIASES = {
    "filename": "utterance_id", "utterance": "utterance_id", "trial": "utterance_id", "file": "utterance_id",
    "cm-score": "score", "cm_score": "score", "cm-label": "label", "cm_label": "label",
    "key": "label", "subset": "split",
}  # fmt: skip
PROTOCOLS = {
    5: "speaker utterance_id _ attack label",
    8: "speaker utterance_id codec transmission attack label trim split",
    10: "speaker utterance_id gender codec codec_q codec_seed attack_tag attack label _",
    13: "speaker utterance_id compression source attack label trim split vocoder task team gender_pair language",
}


def read_scores(path: Path) -> pd.DataFrame:
    """Read countermeasure scores: `utterance_id`, `score`, and whatever the form has beside.

    Raises:
        ProbeError: the file cannot be read, has another form, or a row is at fault.
    """
    table = _read(path, {2: "utterance_id score", 4: "utterance_id attack label score"}, ("utterance_id", "score"))
    return _with_labels(_with_numbers(table, path), path) if "label" in table else _with_numbers(table, path)


def read_keys(path: Path) -> pd.DataFrame:
    """Read what is known of utterances: `utterance_id`, `label`, and whatever the form has beside.

    Raises:
        ProbeError: the file cannot be read, has another form, or a row is at fault.
    """
    return _with_labels(_read(path, PROTOCOLS, ("utterance_id", "label")), path)


def read_verification(path: Path, keys: Path | None = None, split: str | None = None) -> pd.DataFrame:
    """Read speaker verification scores: `key` (`target`, `nontarget`, `spoof`), `score`, and conditions where known.

    Args:
        path: `source key score` (2019), or `speaker trial score` (2021), which needs the keys.
        keys: `trial_metadata.txt` of the verification trials (2021), aligned with the scores by row.
        split: only these rows of the keys, as `eval`.

    Raises:
        ProbeError: a file cannot be read, has another form, or the two differ in length.
    """
    table = _with_numbers(_read(path, {3: "attack key score"}, ("key", "score")), path)
    if keys is not None:
        known = _read(keys, {8: PROTOCOLS[8]}, ("label",)).rename(columns={"label": "key"})
        if len(known) != len(table):
            raise ProbeError(
                f"{keys}: {len(known)} rows for the {len(table)} of {path}: expected one for each, in order"
            )
        table = known.assign(score=table["score"])
        table = table[table["split"] == split] if split in set(table["split"]) else table
    unknown = ~table["key"].isin(KEYS)
    if unknown.any():
        i = int(unknown.to_numpy().argmax())
        raise ProbeError(
            f"{path}, row {i + 1}: key {table['key'].iloc[i]!r}, expected one of "
            f"{', '.join(KEYS)}; for ASVspoof 2021 name the keys as well: --asv-keys trial_metadata.txt"
        )
    return table.reset_index(drop=True)


def _read(path: Path, forms: dict[int, str], needed: tuple[str, ...]) -> pd.DataFrame:
    suffix = Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    try:
        first = pd.read_csv(path, sep="\0", header=None, nrows=1, dtype=str, encoding="utf-8-sig").iloc[0, 0]
        separator = "," if suffix == ".csv" else "\t" if "\t" in first else r"\s+"
        names = [
            name if name in needed else ALIASES.get(name, name)
            for name in first.split(None if separator == r"\s+" else separator)
        ]
        header = set(needed) <= set(names)
        table = pd.read_csv(
            path, sep=separator, header=0 if header else None, dtype=str, keep_default_na=False, encoding="utf-8-sig"
        )
    except FileNotFoundError:
        raise ProbeError(f"{path}: no such file") from None
    except (OSError, ValueError, IndexError) as error:
        raise ProbeError(f"{path}: cannot be read as a table ({error})") from None
    expected = "; or ".join([*(f"'{form}'" for form in forms.values()), f"a header with {','.join(needed)}"])
    if not header:
        if len(table.columns) not in forms:
            raise ProbeError(f"{path}: {len(table.columns)} columns. Expected {expected}")
        names = forms[len(table.columns)].split()
    table.columns = pd.Index(names)
    return table.drop(columns=[name for name in table.columns if name == "_"])


def _with_numbers(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    scores = pd.to_numeric(table["score"], errors="coerce")
    _refuse(table, scores.isna(), "score", "expected a number", path)
    return table.assign(score=scores.astype("float64"))


def _with_labels(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    labels = table["label"].str.strip().str.lower().map(LABELS)
    _refuse(table, labels.isna(), "label", f"expected one of {', '.join(LABELS)}", path)
    return table.assign(label=labels)


def _refuse(table: pd.DataFrame, wrong: "pd.Series[bool]", column: str, expected: str, path: Path) -> None:
    if wrong.any():
        i = int(wrong.to_numpy().argmax())
        raise ProbeError(
            f"{path}, row {i + 1}: {column} {table[column].iloc[i]!r}, {expected} ({wrong.sum()} such rows)"
        )

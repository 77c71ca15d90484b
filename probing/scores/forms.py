"""Keys and speaker verification scores in the forms of ASVspoof 2019, 2021 and 5, or with a header.

.gz as well.

Keys: the protocols of 2019 (5 columns), 2021 LA (8) and DF (13) and 5 (10, or 6 as first released),
all without a header, `filename cm-label` (5), the full key table of the ASVspoof 5 evaluation
package (a header with `trial_anon` or `filename`, `cm-label`, `attack_anon`, `codec`, and for track
2 `tar_spk_anon` or `spk` and `asv-label`, ...), or a csv with the columns utterance_id,label.
"""

from pathlib import Path

import pandas as pd

from cache.errors import ProbeError, argument
from probing.corpora.splits import common_splits
from probing.metrics.tdcf import KEYS
from probing.scores.tables import read_table, with_kinds, with_labels, with_numbers

PROTOCOLS = {
    5: "speaker utterance_id _ attack label",
    6: "speaker utterance_id gender _ attack label",
    8: "speaker utterance_id codec transmission attack label trim split",
    10: "speaker utterance_id gender codec codec_q codec_seed attack_tag attack label _",
    13: "speaker utterance_id compression source attack label trim "
    "split vocoder task team gender_pair language",
}


def read_keys(path: Path) -> pd.DataFrame:
    """Read what is known of utterances, or of trials where they have an `asv_label`.

    Returns:
        `utterance_id`, `label`, and whatever the form has beside.

    Raises:
        ProbeError: the file cannot be read, has another form, or a row is at fault.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     size = Path(folder, "keys.csv").write_text(
    ...         "utterance_id,label\\nu1,bonafide\\nu2,spoof\\n"
    ...     )
    ...     read_keys(Path(folder, "keys.csv"))["label"].tolist()
    ['bonafide', 'spoof']
    """
    table = read_table(
        path, "keys", forms=PROTOCOLS, needed=("utterance_id", "label"), instead=("asv_label",)
    )
    if "split" in table:
        table["split"], _ = common_splits(table["split"])
    checked = with_kinds if "asv_label" in table else with_labels
    return checked(table, path).reset_index(drop=True)


def read_verification(
    path: Path, keys: Path | None = None, split: str | None = None
) -> pd.DataFrame:
    """Read speaker verification scores: `key` (`target`, `nontarget`, `spoof`), `score`, and
    conditions where known.

    Args:
        path: `source key score` (2019), or `speaker trial score` (2021), which needs the keys.
        keys: `trial_metadata.txt` of the verification trials (2021), aligned with the scores by
            row.
        split: only these rows of the keys, as `eval`.

    Raises:
        ProbeError: a file cannot be read, has another form, or the two differ in length.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     size = Path(folder, "asv.txt").write_text(
    ...         "- target 2.5\\n- nontarget -1\\nA07 spoof 1\\n"
    ...     )
    ...     read_verification(Path(folder, "asv.txt"))["key"].tolist()
    ['target', 'nontarget', 'spoof']
    """
    table = read_table(
        path, "speaker verification scores", {3: "attack key score"}, ("key", "score")
    )
    table = with_numbers(table, path)
    if keys is not None:
        known = read_table(keys, "their keys", {8: PROTOCOLS[8]}, ("label",)).rename(
            columns={"label": "key"}
        )
        if len(known) != len(table):
            raise ProbeError(
                f"{keys}: {len(known)} rows for the {len(table)} of "
                f"{path}: expected one for each, in order"
            )
        table = known.assign(score=table["score"].to_numpy())
        table = table[table["split"] == split] if split in set(table["split"]) else table
    unknown = ~table["key"].isin(KEYS)
    if unknown.any():
        i = int(unknown.to_numpy().argmax())
        raise ProbeError(
            f"{path if keys is None else keys}, line {table.index[i]}: key "
            f"{table['key'].iloc[i]!r}, expected one of {', '.join(KEYS)}; for ASVspoof 2021 "
            f"name the keys as well: {argument('asv_keys', 'trial_metadata.txt')}"
        )
    return table.reset_index(drop=True)

"""The score files of runs, read at the speed of a column store.

A file with anything out of the ordinary is read line by line instead.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from probing.labels import BONAFIDE, SPOOF
from probing.scores.files import read_scores
from probing.sealing import check_file

COLUMNS = {
    "utterance_id": pa.string(),
    "attack": pa.string(),
    "label": pa.string(),
    "score": pa.float64(),
}


def read_official(path: Path) -> pd.DataFrame:
    """Utterance ids and scores of a file in the form of ASVspoof 2019, as `read_scores` gives.

    Raises:
        ScoresError, Damaged: as there.
    """
    check_file(path)
    try:
        table = pa.csv.read_csv(
            path,
            pa.csv.ReadOptions(column_names=list(COLUMNS)),
            pa.csv.ParseOptions(
                delimiter=" ", quote_char=False, double_quote=False, escape_char=False
            ),
            pa.csv.ConvertOptions(column_types=COLUMNS, null_values=[], strings_can_be_null=False),
        )
        found = table.select(["utterance_id", "score"]).to_pandas().astype({"utterance_id": str})
        plain = set(table["label"].unique().to_pylist()) <= {BONAFIDE, SPOOF}
    except (pa.ArrowInvalid, OSError):
        plain = False
    if not plain or found["utterance_id"].duplicated().any() or np.isnan(found["score"]).any():
        found = read_scores(path)[["utterance_id", "score"]]  # says what is out of the ordinary
    return found

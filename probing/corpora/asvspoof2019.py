"""ASVspoof 2019, logical access (Wang et al., Computer Speech & Language 64, 2020)."""

from pathlib import Path

import pandas as pd

from cache.errors import ProbeError
from probing.corpora.corpus import Corpus, normalise

PROTOCOLS = {"train": "train.trn", "dev": "dev.trl", "eval": "eval.trl"}


def read_la(root: Path) -> Corpus:
    """Read the countermeasure protocols of all three splits.

    `root` is the folder `LA` or the one that holds it. Lines are `speaker utterance - attack key`.

    Raises:
        ProbeError: a protocol is missing or a line is not of that form.
    """
    root = root.resolve()
    root = root / "LA" if (root / "LA").is_dir() else root
    tables = []
    for split, ending in PROTOCOLS.items():
        path = root / "ASVspoof2019_LA_cm_protocols" / f"ASVspoof2019.LA.cm.{ending}.txt"
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError:
            raise ProbeError(
                f"{path}: cannot be read. Expected the protocols of ASVspoof 2019 LA below asvspoof2019-la:ROOT "
                "(unpack LA.zip there; ROOT is the folder LA or the one above it)"
            ) from None
        rows = [line.split() for line in lines if line.strip()]
        for i, row in enumerate(rows):
            if len(row) != 5:
                raise ProbeError(f"{path}, row {i + 1}: {len(row)} columns, expected 'speaker utterance - attack key'")
        table = pd.DataFrame(rows, columns=["speaker", "utterance_id", "_", "attack", "label"]).drop(columns="_")
        table["path"] = f"ASVspoof2019_LA_{split}/flac/" + table["utterance_id"] + ".flac"
        tables.append(normalise(table.assign(split=split), str(path)))
    utterances = pd.concat(tables, ignore_index=True)
    twice = utterances["utterance_id"].duplicated()
    if twice.any():
        raise ProbeError(f"{root}: utterance {utterances.loc[twice, 'utterance_id'].iloc[0]} is in two splits")
    return Corpus("asvspoof2019-la", f"asvspoof2019-la:{root}", root, utterances)

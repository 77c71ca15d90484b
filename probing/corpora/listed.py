"""Corpora that come with csv lists: In-the-Wild and SpoofCeleb."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cache.errors import ProbeError
from probing.corpora.corpus import Corpus, normalise
from probing.corpora.protocol import ProtocolMissing, read_csv
from probing.corpora.published import Known, classes

if TYPE_CHECKING:
    import pandas as pd


def read_in_the_wild(root: Path) -> Corpus:
    """Read In-the-Wild (Müller et al., Interspeech 2022).

    ROOT is `release_in_the_wild` or the folder that holds it.

    It has no splits of its own and is used whole, so its split is `eval`.

    Raises:
        ProbeError: `meta.csv` is missing, or a row is at fault.
    """
    root = _inside(root, "release_in_the_wild")
    table = _listed(root / "meta.csv", ("file", "speaker", "label"), "release_in_the_wild.zip")
    table = table.rename(columns={"file": "path"}).assign(split="eval")
    return Corpus(
        "in-the-wild",
        f"in-the-wild:{root}",
        root,
        normalise(table, str(root / "meta.csv"), spoofing=True),
    )


def read_spoofceleb(root: Path) -> Corpus:
    """Read SpoofCeleb (Jung et al., IEEE OJSP 2025).

    ROOT is `spoofceleb` or the folder that holds it.

    Raises:
        ProbeError: a list is missing, or a row is at fault.
    """
    import pandas as pd

    root = _inside(root, "spoofceleb")
    tables = []
    for split, name in (("train", "train"), ("dev", "development"), ("eval", "evaluation")):
        path = root / "metadata" / f"{name}.csv"
        table = _listed(path, ("file", "speaker", "attack"), "spoofceleb.tar.gz")
        label = (
            table["attack"]
            .str.strip()
            .map(lambda attack: "bonafide" if attack == "a00" else "spoof")
        )
        table["path"] = table["file"].map(
            lambda file, name=name: (
                f"flac/{name}/{file}" + ("" if file.lower().endswith(".flac") else ".flac")
            )
        )
        tables.append(
            normalise(
                table.drop(columns="file").assign(split=split, label=label),
                str(path),
                spoofing=True,
            )
        )
    return Corpus(
        "spoofceleb", f"spoofceleb:{root}", root, pd.concat(tables, ignore_index=True).fillna("-")
    )


def _inside(root: Path, name: str) -> Path:
    root = root.resolve()
    return root / name if (root / name).is_dir() else root


def _listed(path: Path, columns: tuple[str, ...], archive: str) -> pd.DataFrame:
    if not path.exists():
        raise ProtocolMissing(
            f"{path}: no such file. Expected what {archive} unpacks to; ROOT is that or holds it"
        )
    table = read_csv(path, columns)
    for column in columns:
        empty = table[column].str.strip() == ""
        if empty.any():
            raise ProbeError(f"{path}, row {int(empty.to_numpy().argmax()) + 1}: empty {column}")
    return table


CORPORA = (
    Known(
        "in-the-wild",
        "In-the-Wild, public figures; used whole, as eval",
        read=read_in_the_wild,
        download="release_in_the_wild.zip from "
        "https://deepfake-total.com/in_the_wild; unpack it in ROOT",
        published=classes(eval=(19963, 11816)),
    ),
    Known(
        "spoofceleb",
        "SpoofCeleb, speech found in the wild; train, dev, eval",
        read=read_spoofceleb,
        download="spoofceleb.tar.gz, as "
        "https://jungjee.github.io/spoofceleb says; unpack it in ROOT",
        published=classes(train=(230948, 2309473), dev=(7963, 47778), eval=(9113, 82017)),
    ),
)

"""Data sets of Hugging Face, on disk or by name, as corpora.

Their audio becomes files, their other columns those of a corpus.

`hf:NAME` and `hf:FOLDER`, with `,config=...`, `,audio=COLUMN`, `,label=COLUMN` and `,revision=...`
behind it. A data set holds files as bytes inside its tables; they are written out once, as they
are, since all that follows reads files.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.errors import OptionError, ProbeError, argument
from probing.corpora.corpus import RESERVED, Corpus, normalise
from probing.corpora.hugging_face_audio import names_of, written
from probing.corpora.json_lines import text_of
from probing.corpora.manifest import notes_on_labels
from probing.corpora.splits import common_splits
from probing.progress import progress_line

if TYPE_CHECKING:
    pass

PREFIX = "hf:"
SETTINGS = ("config", "audio", "label", "revision")
SAVED = ("dataset_dict.json", "state.json")  # in a folder made by save_to_disk
# columns of a corpus that say where the audio is written, and the split of the data set
OURS = ("path", "split")


@dataclass(frozen=True)
class DataSet:
    """What `hf:` names.

    Attributes:
        name: of a data set on the hub, or the path of a folder or parquet file.
        config: of those that a data set on the hub has.
        audio, label: columns; None to find them by their type.
        revision: branch, tag or commit on the hub.
    """

    name: str
    config: str | None = None
    audio: str | None = None
    label: str | None = None
    revision: str | None = None

    @classmethod
    def parse(cls, spec: str) -> DataSet:
        """Read `hf:NAME,label=COLUMN`.

        >>> DataSet.parse("hf:google/fleurs,config=en_us,label=gender")
        DataSet(name='google/fleurs', config='en_us', audio=None, label='gender', revision=None)
        """
        name, *settings = re.split(rf",(?=(?:{'|'.join(SETTINGS)})=)", spec.removeprefix(PREFIX))
        given = dict(setting.split("=", 1) for setting in settings)
        if not name or len(given) < len(settings) or not all(given.values()):
            raise OptionError(
                "corpus",
                spec,
                f"expected hf:NAME, then any of {', '.join(SETTINGS)} once, as ,label=age",
            )
        path = Path(name).expanduser()
        return cls(str(path.resolve()) if path.exists() else name, **given)

    @property
    def spec(self) -> str:
        """What `parse` reads."""
        settings = ((key, getattr(self, key)) for key in SETTINGS)
        return PREFIX + ",".join(
            [self.name, *(f"{key}={value}" for key, value in settings if value)]
        )


def is_saved(folder: Path) -> bool:
    """Whether a folder was made by `save_to_disk`."""
    return any((folder / name).is_file() for name in SAVED)


def read_hugging_face(spec: str, audio_root: Path | None = None) -> Corpus:
    """Read a data set of the library `datasets`; splits are its own, classes their names.

    Args:
        spec: `hf:NAME` of the hub, which is downloaded, or `hf:FOLDER` of parquet files or of
            `save_to_disk`.
        audio_root: where the audio is written; default a folder of its own in the cache of the
            library, by default ~/.cache/huggingface/datasets.

    Raises:
        ProbeError: `datasets` is not installed, there is no such data set, or none of its columns
            has audio.
    """
    import pandas as pd

    wanted = DataSet.parse(spec)
    library = _library()
    splits = _open(library, wanted)
    first = next(iter(splits.values()))
    audio = _audio_column(library, first.features, wanted)
    label = _label_column(library, first.features, wanted)
    prints = (
        "".join(f"{name} {split._fingerprint} " for name, split in sorted(splits.items())) + audio
    )
    name = Path(wanted.name).name if os.path.isabs(wanted.name) else wanted.name
    name = " ".join(filter(None, (name, wanted.config)))
    digest = hashlib.sha256(prints.encode()).hexdigest()[:12]
    own = f"{re.sub(r'[^A-Za-z0-9.-]+', '-', name)}-{digest}"
    root = audio_root or Path(library.config.HF_DATASETS_CACHE) / "speech-layer-probe" / own
    root = Path(os.path.abspath(root)).resolve()
    dropped: dict[str, None] = {}
    tables = []
    with progress_line(
        f"Writing the audio of {name}", sum(map(len, splits.values())), "files"
    ) as line:
        for split_name, split in splits.items():
            if audio not in split.features:
                raise ProbeError(
                    f"{wanted.spec}: split {split_name} has no column {audio!r}, as others have"
                )
            kept, others = _kept(library, split.features, audio)
            dropped.update(dict.fromkeys(others))
            files = names_of(split, audio, split_name)
            for n in written(split, audio, root, files):
                line.advance(n)
            columns = {column: _texts(split, column, kept[column]) for column in kept}
            tables.append(
                pd.DataFrame(
                    {"path": files, "split": split_name, **_named(columns, label)}, dtype=str
                )
            )
    table = pd.concat(tables, ignore_index=True).fillna("")
    if "utterance_id" not in table:
        stems = table["path"].map(lambda path: os.path.splitext(path)[0])
        same = stems.duplicated(keep=False)
        table["utterance_id"] = stems.where(~same, table["path"])
    notes = (
        [f"columns without text or numbers were left out: {', '.join(dropped)}"] if dropped else []
    )
    table["split"], on_splits = common_splits(table["split"])
    table = normalise(table, wanted.spec)
    return Corpus(
        name,
        wanted.spec,
        root=root,
        utterances=table,
        notes=(*notes, *on_splits, *notes_on_labels(table)),
    )


def _library() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ProbeError(
            f"{argument('corpus', PREFIX)}: the library datasets cannot be imported ({error}). "
            "Install it: pip install -c constraints.txt -e '.[datasets]'"
        ) from None
    return datasets


def _open(library: Any, wanted: DataSet) -> dict[str, Any]:
    """Split -> `datasets.Dataset`."""
    path = Path(wanted.name)
    try:
        if path.is_dir() and is_saved(path):
            found = library.load_from_disk(str(path))
        elif path.is_file():
            found = {"all": library.load_dataset("parquet", data_files=str(path), split="train")}
        else:
            found = library.load_dataset(wanted.name, wanted.config, revision=wanted.revision)
    except Exception as error:
        # what the library, the hub and the network make of a name has no end
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        advice = (
            "Expected the name of a data set on the hub, or a "
            "folder of parquet files or of save_to_disk"
        )
        if isinstance(cause, ImportError):
            advice = f"Files in folders are read without the library: leave {PREFIX} out"
        raise ProbeError(
            f"{wanted.spec}: cannot be loaded ({_first_line(error)}). {advice}"
        ) from None
    if not isinstance(found, Mapping):
        found = {str(found.split or "all"): found}
    found = {str(name): split for name, split in found.items() if len(split)}
    if not found:
        raise ProbeError(f"{wanted.spec}: has no rows. Expected one for each utterance")
    return found


def _first_line(error: Exception) -> str:
    return (
        f"{type(error).__name__}: "
        f"{str(error).strip().splitlines()[0] if str(error).strip() else 'no reason given'}"
    )


def _audio_column(library: Any, features: Mapping[str, Any], wanted: DataSet) -> str:
    found = [
        name
        for name, feature in features.items()
        if isinstance(feature, library.Audio) or _has_bytes(feature)
    ]
    if wanted.audio is not None and wanted.audio not in found:
        raise ProbeError(
            f"{wanted.spec}: no column {wanted.audio!r} with audio; those are "
            f"{', '.join(found) or 'none'}"
        )
    if wanted.audio is None and len(found) != 1:
        raise ProbeError(
            f"{wanted.spec}: {len(found)} columns have audio "
            f"({', '.join(found) or 'none of ' + ', '.join(features)}); "
            "expected one, or its name: ,audio=COLUMN"
        )
    return wanted.audio or found[0]


def _has_bytes(feature: Any) -> bool:
    """Whether a column is audio, or images, of which only the files of parquet know no more."""
    return isinstance(feature, dict) and set(feature) == {"bytes", "path"}


def _label_column(library: Any, features: Mapping[str, Any], wanted: DataSet) -> str | None:
    """The column named, or `label`, or else the only one of classes."""
    if wanted.label is not None:
        if wanted.label not in features:
            raise ProbeError(
                f"{wanted.spec}: no column {wanted.label!r}. Expected one of {', '.join(features)}"
            )
        return wanted.label
    classes = [
        name for name, feature in features.items() if isinstance(feature, library.ClassLabel)
    ]
    if "label" in features:
        return "label"
    return classes[0] if len(classes) == 1 else None


def _kept(
    library: Any, features: Mapping[str, Any], audio: str
) -> tuple[dict[str, Any], list[str]]:
    """Column of texts, numbers, classes or lists of these -> its feature; and names of others."""

    def is_plain(feature: Any) -> bool:
        feature = getattr(feature, "feature", feature)  # of a list
        if isinstance(feature, library.ClassLabel):
            return True
        return isinstance(feature, library.Value) and "binary" not in feature.dtype

    kept = {
        name: feature for name, feature in features.items() if name != audio and is_plain(feature)
    }
    return kept, [name for name in features if name != audio and name not in kept]


def _texts(split: Any, column: str, feature: Any) -> list[str]:
    import pyarrow as pa

    values = split.with_format("arrow")[column]
    values = values.to_pylist() if isinstance(values, pa.ChunkedArray | pa.Array) else list(values)
    names = getattr(feature, "names", None)
    if names is not None:
        values = [names[value] if value is not None and value >= 0 else None for value in values]
    return [text_of(value) for value in values]


def _named(columns: dict[str, list[str]], label: str | None) -> dict[str, list[str]]:
    """The columns as a corpus calls them; names that it needs itself become `own_...`."""
    named = {
        f"own_{name}" if name in (*RESERVED, *OURS) else name: values
        for name, values in columns.items()
    }
    if label is not None and label in columns:
        named["label"] = columns[label]
    if "speaker" not in named and "speaker_id" in named:
        named["speaker"] = named["speaker_id"]
    return named

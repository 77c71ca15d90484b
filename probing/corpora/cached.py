"""The corpus and the audio behind a cache, where they are now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.errors import ProbeError, argument
from probing.corpora import Corpus, load_corpus, read_corpus
from probing.corpora.hugging_face import PREFIX

if TYPE_CHECKING:
    import pandas as pd

    from cache import Cache

BYTES = "file_bytes"  # column of a cache, as `probing.audio.STAMPS` has it


def audio_of(cache: Cache, given: Path | None = None) -> Path:
    """The folder that the paths of a cache's utterances start from, where it is now.

    Args:
        cache: an open cache.
        given: that folder, if somebody says it; by default it is looked for where it was, then
            beside the cache, in case both were moved together.

    Raises:
        ProbeError: it is in neither place.

    >>> from cache import Cache
    >>> audio_of(Cache("results/demo.cache")).is_dir()
    True
    """
    return find_audio(cache.folder, cache.about, cache.utterances, given)


def find_audio(
    folder: Path, about: Mapping[str, Any], table: pd.DataFrame, given: Path | None = None
) -> Path:
    """As `audio_of`, of a cache that cannot be opened whole.

    Args:
        folder: the cache.
        about: what its manifest says of it.
        table: its utterances, `path` at least.
        given: see there.
    """
    if given is None and about.get("corpus_spec") == "demo":  # it may have moved with the package
        return load_corpus("demo").root
    recorded = str(about.get("audio_root") or "")
    root = given or Path(recorded)
    if (given or recorded) and root.is_dir():
        return root
    if given is None and len(table):
        beside = folder.resolve().parent
        for place in (beside / root.name, beside):
            if _is_first(table, place):
                return place
    where = argument("audio_root", "DIR")
    elsewhere = "" if given else ", and not beside it"
    where_it_was = f"{root}: " if given or recorded else ""
    raise ProbeError(
        f"{where_it_was}the audio of {folder} is not there{elsewhere}. Say where: {where}"
    )


def load_as_it_was(spec: str, root: Path) -> Corpus:
    """The corpus that a record names, whose audio is below `root`.

    The root is given only if the corpus does not name the same one by itself.

    >>> load_as_it_was("demo", Path("anywhere")).name
    'demo'
    """
    # the demo may move with the package; a data set of Hugging Face would be written out again
    if spec == "demo" or (not spec.startswith(PREFIX) and read_corpus(spec).root == root):
        return load_corpus(spec)
    return load_corpus(spec, audio_root=root)


def _is_first(table: pd.DataFrame, root: Path) -> bool:
    """Whether the file of the first utterance is below a folder, of the size that it had."""
    first = table.iloc[0]
    try:
        n_bytes = (root / str(first["path"])).stat().st_size
    except OSError:
        return False
    return BYTES not in table or first[BYTES] != first[BYTES] or n_bytes == first[BYTES]

"""A small cache, every way to change its bytes, and whether that is noticed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from random_store import Recipe, names

from cache import Cache, CacheCorrupt, verify

PLANNED, FAILED = names(10), "silent"
FILES = (
    "cache.json",
    "utterances.parquet",
    "failures.csv",
    "shard-00000.h5",
    "shard-00001.h5",
    "shard-00002.h5",
)
Content = tuple[str, list[bytes], str]


def write_small(folder: Path) -> None:
    """Ten utterances in three shards, one of them failed."""
    Recipe().write(folder, PLANNED, 4, failures={PLANNED[3]: FAILED})


def everything(folder: Path) -> Content:
    """All that a reader can be asked for."""
    cache = Cache(folder)
    stored = [
        cache.pooled().tobytes(),
        *(x.tobytes() for x in cache.frames(list(cache.utterances["utterance_id"]))),
    ]
    stored += [cache.layer(k, "frames")[0].tobytes() for k in cache.layers]
    return cache.utterances.to_csv(), stored, cache.failures.to_csv()


@contextmanager
def changed(path: Path, position: int, mask: int) -> Iterator[None]:
    """One byte of a file otherwise, for a while."""
    content = path.read_bytes()
    with _instead(
        path, content[:position] + bytes([content[position] ^ mask]) + content[position + 1 :]
    ):
        yield


@contextmanager
def cut(path: Path, position: int, n: int) -> Iterator[None]:
    """A file without `n` of its bytes, for a while."""
    content = path.read_bytes()
    with _instead(path, content[:position] + content[position + n :]):
        yield


@contextmanager
def _instead(path: Path, content: bytes) -> Iterator[None]:
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


def what_went_wrong(folder: Path, file: str, right: Content) -> str | None:
    """None where verify names the damaged file and a reader either refuses or still returns what is
    right.
    """
    try:
        found = [fault.file for fault in verify(folder)]
    except CacheCorrupt as error:
        found = [Path(str(error).split(":")[0]).name]
    if file not in found:
        return f"verify does not name {file}, but {found}"
    try:
        read = everything(folder)
    except CacheCorrupt as error:
        return None if str(folder) in str(error) else f"the message does not say where: {error}"
    return None if read == right else "a reader returned other numbers"

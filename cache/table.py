"""The utterances table: one row per planned utterance, and where its hidden states are.

Columns: whatever the corpus gives (`utterance_id`, `path`, `split`, `label`, `speaker`, `attack`,
...), then `shard`, `row` (-1 while not extracted), `n_samples` (16 kHz samples seen by the model),
`n_frames` and the measures.
"""

from collections.abc import Mapping
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cache.bounds import MOST_TABLE_BYTES, MOST_TEXT_BYTES, TooLarge, read_arrow, read_bytes
from cache.errors import CacheCorrupt, ProbeError, quoted
from cache.manifest import A_LINK, FAILURES, PLACE_COLUMNS, UTTERANCES, Manifest
from cache.quantization import bytes_of


def table_bytes(table: pd.DataFrame) -> bytes:
    """A table as `utterances.parquet` holds it."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.Table.from_pandas(table, preserve_index=False), sink, write_page_checksum=True
    )
    return bytes(sink.getvalue().to_pybytes())


def load_table(folder: Path, manifest: Manifest | None = None) -> pd.DataFrame:
    """Read `utterances.parquet`, and compare it with the manifest, if one is given.

    Raises CacheCorrupt if it is missing, damaged, or not the one of the manifest.

    Bytes that do not match their checksum are not parsed: a few of them end the process inside the
    parquet reader.
    """
    path = folder / UTTERANCES
    if path.is_symlink():
        raise CacheCorrupt(f"{path}: {A_LINK}", A_LINK.rstrip("."))
    try:
        content = read_bytes(path, MOST_TABLE_BYTES)
        if manifest is not None and not _is_table_of(manifest, content):
            raise ValueError("its bytes do not match their checksum")
        stored = read_arrow(content, path, check=True)
        table = stored.to_pandas().astype(dict.fromkeys(PLACE_COLUMNS, "int64"))
        missing = {"utterance_id", "path"} - set(table.columns)
        if missing:
            raise KeyError(f"no column {min(missing)}")
        if manifest is not None:
            if not all(_is_text(stored.column(name)) for name in ("utterance_id", "path")):
                raise ValueError("its utterances are not named")
            _check_possible(manifest, table)
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, OverflowError) as error:
        what = f"cannot be read ({error})"
        raise CacheCorrupt(
            f"{path}: {what}. Rebuild it: probe cache repair {quoted(folder)}", what
        ) from None
    return table


def _is_text(column: pa.ChunkedArray) -> bool:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    is_text = (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )
    return bool(is_text and column.null_count == 0)


def _check_possible(manifest: Manifest, table: pd.DataFrame) -> None:
    """Raise ValueError if a table names rows that the shards cannot have.

    Nothing proves that this package wrote the table: anybody can make one.
    """
    if not pd.Index(table["utterance_id"].to_numpy(object)).is_unique:
        raise ValueError("its utterances are not named once each")
    replaced = [record.index for record in manifest.shards if record.moved]
    stored = table[(table["row"] >= 0) & ~table["shard"].isin(replaced)]
    rows = stored["shard"].map({record.index: record.rows for record in manifest.shards})
    frames = stored["n_frames"].astype("float64").groupby(stored["shard"]).sum()
    n_bytes = frames.index.map({record.index: record.bytes for record in manifest.shards})
    dtype = manifest.tiers.get("frames")
    frame_bytes = bytes_of(dtype, manifest.dim) * len(manifest.layers) if dtype else 0
    if not (
        (stored["row"] < rows).all()
        and not stored.duplicated(["shard", "row"]).any()
        and (table[["n_samples", "n_frames"]] >= 0).all(axis=None)
        and all(n * frame_bytes <= most for n, most in zip(frames, n_bytes, strict=True))
    ):
        raise ValueError("it names rows that no shard has")


def plan(
    known: pd.DataFrame | None,
    corpus: pd.DataFrame,
    measures: tuple[str, ...],
    shard_size: int,
    shard_of: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """Give every new utterance a shard; those that have one keep it.

    The shard is that of `shard_of` if it is given.

    Utterances are taken in the order of their ids, so the plan does not depend on the order of a
    listing. Raises ProbeError if an utterance that is in the cache already is described
    otherwise now.
    """
    first_shard = 0
    if known is not None:
        corpus = corpus[~check_unchanged(known, corpus)]
        first_shard = int(known["shard"].max()) + 1 if len(known) else 0
    corpus = corpus.sort_values("utterance_id", kind="stable", ignore_index=True)
    if shard_of is None:
        shards = first_shard + np.arange(len(corpus)) // shard_size
    else:
        shards = np.array([shard_of[name] for name in corpus["utterance_id"]], np.int64)
    new = planned(corpus, shards, measures)
    if known is None or known.empty:
        return new
    if new.empty:
        return known
    return pd.concat([known, new], ignore_index=True).sort_values(
        "utterance_id", kind="stable", ignore_index=True
    )


def planned(
    corpus: pd.DataFrame, shard: NDArray[np.int64], measures: tuple[str, ...]
) -> pd.DataFrame:
    """The table of utterances of which none is extracted yet: each with its shard, and no row."""
    return corpus.assign(
        shard=shard, row=-1, n_samples=0, n_frames=0, **dict.fromkeys(measures, np.nan)
    )


def check_unchanged(known: pd.DataFrame, corpus: pd.DataFrame) -> NDArray[np.bool_]:
    """Compare the rows of the same utterances; gives which of the corpus are known.

    Raises:
        ProbeError: one is described otherwise now.

    >>> known = pd.DataFrame({"utterance_id": ["a"], "label": ["spoof"]})
    >>> corpus = pd.DataFrame({"utterance_id": ["b", "a"], "label": ["spoof", "spoof"]})
    >>> check_unchanged(known, corpus).tolist()
    [False, True]
    """
    places = pd.Index(known["utterance_id"].to_numpy(object)).get_indexer(
        corpus["utterance_id"].to_numpy(object)
    )
    is_known = np.asarray(places >= 0)
    known = known.iloc[places[is_known]].reset_index(drop=True)
    corpus = corpus[is_known].reset_index(drop=True)
    for name in [
        name for name in corpus.columns if name in known.columns and name != "utterance_id"
    ]:
        now = corpus[name]
        then = known[name]
        changed = (now != then) & ~(now.isna() & then.isna())
        if changed.any():
            first = corpus.loc[changed, "utterance_id"].idxmin()
            raise ProbeError(
                f"utterance {corpus['utterance_id'][first]}: {name} is {now[first]!r} now and "
                f"{then[first]!r} in the cache ({int(changed.sum())} such rows). Name another "
                "cache folder for the changed corpus."
            )
    return is_known


def table_is_whole(folder: Path, manifest: Manifest) -> bool:
    """Whether `utterances.parquet` is byte for byte one that was written."""
    try:
        return _is_table_of(manifest, read_bytes(folder / UTTERANCES, MOST_TABLE_BYTES))
    except (OSError, TooLarge):
        return False


def _is_table_of(manifest: Manifest, content: bytes) -> bool:
    return crc32(content) in (manifest.table_crc32, manifest.next_table_crc32)


def failures_are_whole(folder: Path, manifest: Manifest) -> bool:
    """Whether `failures.csv` is as written; true of a cache before 0.2, which has no checksum."""
    if manifest.failures_crc32 is None:
        return True
    try:
        found = crc32(read_bytes(folder / FAILURES, MOST_TEXT_BYTES))
    except (OSError, TooLarge):
        return False
    return found in (manifest.failures_crc32, manifest.next_failures_crc32)


def failures_of(manifest: Manifest, table: pd.DataFrame) -> pd.DataFrame:
    """The utterances that could not be used: `utterance_id`, `path`, `reason`, in table order."""
    reasons = {
        name: reason for record in manifest.shards for name, reason in record.failures.items()
    }
    if not reasons:
        return table.loc[:, ["utterance_id", "path"]].head(0).assign(reason=pd.Series(dtype="str"))
    failed = table.loc[table["utterance_id"].isin(reasons), ["utterance_id", "path"]]
    return failed.assign(reason=failed["utterance_id"].map(reasons)).reset_index(drop=True)


def failures_bytes(manifest: Manifest, table: pd.DataFrame) -> bytes:
    """What `failures.csv` holds."""
    return failures_of(manifest, table).to_csv(index=False).encode()

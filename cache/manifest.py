"""The manifest of a cache, `cache.json`: what made it, what is in it, which shards are finished."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cache.atomic import replace_file
from cache.bounds import MOST_JSON_BYTES, TooLarge, read_bytes
from cache.errors import CacheCorrupt, CacheMissing, FingerprintMismatch, as_flag, quoted
from cache.fingerprint import differences

SCHEMA = 1
A_LINK = (
    "a link, which in a cache from somebody else could lead to any file. Put the file itself there."
)
WIDEST = 1 << 24  # hidden state that any model may have
MANIFEST = "cache.json"
UTTERANCES = "utterances.parquet"
FAILURES = "failures.csv"
# of the table, beside those of the corpus
PLACE_COLUMNS = ("shard", "row", "n_samples", "n_frames")
# of each tier, on disk
DTYPES = {"pooled": ("float16", "float32"), "frames": ("float16", "float32", "int8")}


def shard_name(index: int, generation: int = 0) -> str:
    """File name of shard `index`; a repair writes the next `generation` of it beside the last.

    >>> shard_name(3), shard_name(3, generation=1)
    ('shard-00003.h5', 'shard-00003-1.h5')
    """
    return f"shard-{index:05d}.h5" if generation == 0 else f"shard-{index:05d}-{generation}.h5"


def describe_layers(layers: Sequence[int]) -> str:
    """Ascending layer numbers in a few words: `0..12`, or `0, 3, 6` if some are missing.

    >>> describe_layers(range(13)), describe_layers([0, 3, 6])
    ('0..12', '0, 3, 6')
    """
    if len(layers) == layers[-1] - layers[0] + 1:
        return f"{layers[0]}..{layers[-1]}"
    return ", ".join(map(str, layers))


def read_json(path: Path) -> Any:
    """What a JSON file says.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no text, no JSON, too large, or nested more deeply than any that is
            written here.
    """
    try:
        return json.loads(read_bytes(path, MOST_JSON_BYTES).decode())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def canonical_json(value: Any) -> str:
    """JSON text that is the same for equal values, whatever the order of their keys.

    >>> canonical_json({"b": 1, "a": [2, 3]})
    '{"a":[2,3],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint_id(fingerprint: dict[str, Any]) -> str:
    """First 16 hexadecimal digits of the SHA-256 of a fingerprint, as figures bear them.

    >>> len(fingerprint_id({"weights": "abc"}))
    16
    """
    return hashlib.sha256(canonical_json(fingerprint).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class ShardRecord:
    """A finished shard: its file (None if no utterance could be used), size and checksums.

    Attributes:
        crc32: of the whole file.
        states: where the hidden states are, as runs of bytes [start, stop].
        outside_crc32: of the other bytes, compared before HDF5 sees the file, which ends the
            process at some damages of its own structures. Both None if an earlier version wrote
            it.
        failures: ids of the utterances that were planned for this shard but could not be used ->
            the reason.
        generation: how many files it had before this one.
        moved: whether the rows that `utterances.parquet` has for it are still those of the file
            before.
    """

    index: int
    file: str | None
    rows: int
    bytes: int
    crc32: int
    outside_crc32: int | None = None
    states: list[list[int]] | None = None
    failures: dict[str, str] = field(default_factory=dict)
    generation: int = 0
    moved: bool = False
    places: str | None = None

    @property
    def says_where(self) -> bool:
        """Whether its data sets are found without HDF5: by places in bytes that have a checksum."""
        return (
            self.places is not None and self.states is not None and self.outside_crc32 is not None
        )


@dataclass(frozen=True)
class Manifest:
    """Everything `cache.json` holds.

    Attributes:
        fingerprint: whatever changes a number (see design); compared before anything is added.
        layers: the layer numbers stored, ascending; 0 is the input of the first block, k the raw
            output of block k.
        dim: width D of a hidden state.
        tiers: tier name -> dtype on disk, `pooled` always, `frames` if asked for.
        measures: names of the per-utterance numbers stored beside the hidden states.
        table_crc32, failures_crc32: CRC-32 of `utterances.parquet` and `failures.csv`; `next_...`
            are those of the files that are replacing them, None if that is done.
        about: what a person wants to know and what `repair` needs to redo the work (backbone,
            corpus, options).
    """

    fingerprint: dict[str, Any]
    layers: tuple[int, ...]
    dim: int
    tiers: dict[str, str]
    measures: tuple[str, ...]
    about: dict[str, Any]
    shards: tuple[ShardRecord, ...] = ()
    table_crc32: int = 0
    next_table_crc32: int | None = None
    failures_crc32: int | None = None
    next_failures_crc32: int | None = None
    history: tuple[dict[str, Any], ...] = ()
    schema: int = SCHEMA

    @property
    def id(self) -> str:
        """Short name of the fingerprint."""
        return fingerprint_id(self.fingerprint)

    def with_shard(self, record: ShardRecord) -> "Manifest":
        """The manifest after `record` was finished or replaced."""
        kept = [shard for shard in self.shards if shard.index != record.index]
        return replace(self, shards=tuple(sorted([*kept, record], key=lambda shard: shard.index)))

    def bytes_since(self, before: "Manifest") -> int:
        """Bytes of the shards that were written since; one that is written again has another file.

        >>> empty = Manifest({}, (0,), 4, {"pooled": "float32"}, (), {})
        >>> shard = ShardRecord(0, "shard-00000.h5", rows=2, bytes=64, crc32=0, failures={})
        >>> empty.with_shard(shard).bytes_since(empty)
        64
        """
        files = {shard.file for shard in before.shards}
        return sum(shard.bytes for shard in self.shards if shard.file not in files)

    def with_only(self, records: Sequence[ShardRecord]) -> "Manifest":
        """The manifest with these shards and no others."""
        return replace(self, shards=tuple(records))

    def save(self, folder: Path) -> None:
        """Write `cache.json` atomically, with a checksum over its own content."""
        content = json.loads(canonical_json(asdict(self)))
        content["checksum"] = hashlib.sha256(canonical_json(content).encode()).hexdigest()
        replace_file(folder / MANIFEST, _text(content).encode())


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def load_manifest(folder: Path) -> Manifest:
    """Read `cache.json` of a cache folder.

    Raises CacheMissing if there is no cache, CacheCorrupt if the file is damaged or from a
    newer version.
    """
    path = folder / MANIFEST
    if path.is_symlink():
        raise CacheCorrupt(f"{path}: {A_LINK}")
    try:
        # not read_text, to which all ends of lines are the same
        text = read_bytes(path, MOST_JSON_BYTES).decode()
    except (FileNotFoundError, NotADirectoryError):
        raise CacheMissing(
            f"{folder}: no cache here (no {MANIFEST}). Make one: probe extract "
            f"{as_flag('corpus', 'demo')} {quoted(folder)}"
        ) from None
    except UnicodeDecodeError:
        raise CacheCorrupt(_damaged(path, "it is not text")) from None
    except TooLarge as error:
        raise CacheCorrupt(f"{error}. Restore it from a copy.") from None
    try:
        content = json.loads(text)
        as_written = _text(content)
        checksum = content.pop("checksum")
        schema = content["schema"]
        expected = hashlib.sha256(canonical_json(content).encode()).hexdigest()
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise CacheCorrupt(_damaged(path, "it is not the JSON object that was written")) from None
    if schema != SCHEMA:
        raise CacheCorrupt(
            f"{path}: schema {schema}, this version reads {SCHEMA}. Upgrade: pip install -U ."
        )
    if checksum != expected:
        raise CacheCorrupt(_damaged(path, "its content does not match its checksum"))
    if text != as_written:
        raise CacheCorrupt(
            _damaged(path, "it holds what it should, but not the bytes that were written")
        )
    try:
        for name in ("layers", "measures", "history"):
            content[name] = tuple(content[name])
        content["shards"] = tuple(ShardRecord(**record) for record in content["shards"])
        manifest = Manifest(**content)
        for record in manifest.shards:
            if record.file not in (None, shard_name(record.index, record.generation)):
                raise CacheCorrupt(
                    _damaged(path, f"shard {record.index} is called {record.file!r}")
                )
        if not _is_possible(manifest):
            raise CacheCorrupt(_damaged(path, "shards, layers, width or tiers that no cache has"))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, CacheCorrupt):
            raise
        raise CacheCorrupt(_damaged(path, f"it does not describe a cache: {error}")) from None
    return manifest


def _is_possible(manifest: Manifest) -> bool:
    """Whether every value is of its kind; anybody can make a manifest whose checksum is right."""
    sums = (
        manifest.table_crc32,
        manifest.next_table_crc32,
        manifest.failures_crc32,
        manifest.next_failures_crc32,
    )
    about = [
        manifest.about.get(name, "") for name in ("backbone", "corpus", "corpus_spec", "audio_root")
    ]
    return (
        _are_tiers(manifest.tiers)
        and _are_counts(manifest.dim, *(crc for crc in sums if crc is not None))
        and manifest.dim <= WIDEST
        and _are_layers(manifest.layers)
        and _are_texts([*manifest.measures, *about])
        and isinstance(manifest.fingerprint, dict)
        and all(isinstance(session, dict) for session in manifest.history)
        and _are_shards(manifest.shards, _least_row_bytes(manifest))
    )


def _are_tiers(tiers: dict[str, str]) -> bool:
    return set(tiers) <= set(DTYPES) and all(dtype in DTYPES[tier] for tier, dtype in tiers.items())


def _are_layers(layers: Sequence[int]) -> bool:
    """Whether there are layers, ascending, each once."""
    return len(layers) > 0 and _are_counts(*layers) and list(layers) == sorted({*layers})


def _are_shards(shards: Sequence[ShardRecord], row_bytes: int) -> bool:
    one_each = len({record.index for record in shards}) == len(shards)
    return one_each and all(_is_shard(record, row_bytes) for record in shards)


def _is_shard(record: ShardRecord, row_bytes: int) -> bool:
    """Whether a shard can hold the rows that it says, and says all else in its kind."""
    return (
        _are_counts(
            record.index,
            record.rows,
            record.bytes,
            record.crc32,
            record.outside_crc32 or 0,
            record.generation,
        )
        and record.rows * row_bytes <= record.bytes
        and (record.file is not None or record.bytes == 0)
        and type(record.moved) is bool
        and _are_texts([*record.failures, *record.failures.values()])
        and (record.states is None or _are_spans(record.states, record.bytes))
        and (record.places is None or isinstance(record.places, str))
    )


def _least_row_bytes(manifest: Manifest) -> int:
    """Bytes that the pooled tier takes of a row, uncompressed; 1 if that cannot be said."""
    dtype = manifest.tiers.get("pooled")
    if not _are_counts(manifest.dim) or dtype not in DTYPES["pooled"]:
        return 1
    return max(1, 2 * len(manifest.layers) * manifest.dim * int(dtype[-2:]) // 8)


def _are_counts(*values: object) -> bool:
    return all(type(n) is int and n >= 0 for n in values)


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(text, str) for text in values)


def _are_spans(spans: object, n_bytes: int) -> bool:
    """Whether these are pairs of a first byte and the one behind the last, in a file of so many."""
    return isinstance(spans, list) and all(
        isinstance(span, list)
        and len(span) == 2
        and _are_counts(*span)
        and span[0] <= span[1] <= n_bytes
        for span in spans
    )


def check_fingerprint(folder: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse to add to a cache that was made another way, and name every difference.

    Both values of each are shown.
    """
    if found == wanted:
        return
    rows = "\n".join(
        f"  {difference.name}: cache {difference.first!r}, this command {difference.second!r}"
        for difference in differences(found, wanted)
    )
    raise FingerprintMismatch(
        f"{folder}: this cache was made another way, so its numbers cannot be mixed with new "
        f"ones.\n{rows}\nName another folder, or use the options and versions that made it "
        f"(probe cache info {quoted(folder)})."
    )


def _damaged(path: Path, why: str) -> str:
    return (
        f"{path}: damaged ({why}). Restore it from a copy, or move "
        f"{path.parent} away and run probe extract again."
    )

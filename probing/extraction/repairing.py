"""Repair of a cache: extract again what is missing, damaged, or failed before, and nothing else."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from cache import Cache, ProbeError
from cache.errors import argument, as_flag, quoted
from cache.manifest import PLACE_COLUMNS, Manifest, ShardRecord, load_manifest
from cache.places import stored_ids
from cache.shard import Shard
from cache.shard_writer import ShardWriter
from cache.table import load_table, table_is_whole
from cache.verification import shard_faults
from cache.writer import CacheWriter
from probing.corpora import Corpus, load_corpus
from probing.corpora.cached import find_audio, load_as_it_was
from probing.extraction.changes import changed_audio
from probing.extraction.extracting import new_manifest, say_failures, session
from probing.extraction.machine import Machine
from probing.extraction.options import Options
from probing.extraction.pipeline import Pipeline
from probing.extraction.shards import KeptRows
from probing.progress import console


@dataclass(frozen=True)
class Damage:
    """A finished shard with `bad` utterances to extract again and `failed` ones to try again."""

    record: ShardRecord
    bad: frozenset[str]
    failed: frozenset[str]


def repair(
    folder: str | Path,
    corpus: Corpus | None = None,
    machine: Machine | None = None,
    *,
    audio_root: Path | None = None,
    say: Callable[[str], None] = console.print,
) -> Cache:
    """Make a cache whole: extract what is missing, damaged or changed, and what failed before.

    Sound rows of a damaged shard are copied, not extracted again. Shards never started are
    extracted as well.

    Args:
        folder: the cache.
        corpus: where the corpus is now; default where it was.
        machine: how to use this machine.
        audio_root: folder that the paths of its utterances start from, if it is elsewhere now;
            beside the cache it is found.
        say: where to put what a person should know.

    Raises:
        ProbeError: as `extract`; the cache is left no worse.

    >>> cache = repair("results/demo.cache", machine=Machine("cpu"), say=lambda text: None)
    >>> cache.finished
    True
    """
    folder = Path(folder)
    machine = machine or Machine()
    manifest = load_manifest(folder)
    options = Options(**manifest.about["options"])
    corpus = _planned(folder, manifest, corpus, audio_root)
    _check_audio(folder, corpus)
    if not table_is_whole(folder, manifest):
        say("Its table is damaged and made again, of the corpus and the shards.")
    backbone = options.load_backbone(machine.device, machine.attention, fetch=False)
    made = new_manifest(backbone, corpus, options)
    with CacheWriter(folder, made, corpus.utterances, wait=machine.wait, say=say) as writer:
        say(f"{backbone.name} on {backbone.device}, {corpus.name} -> {folder}")
        changed, _ = changed_audio(corpus.root, writer.table)
        damages = [
            damage
            for record in writer.manifest.shards
            if (damage := _damage(writer, record, changed))
        ]
        n_new = sum(len(rows) for _, rows in writer.pending())
        n_bad, n_failed = (
            sum(len(getattr(damage, kind)) for damage in damages) for kind in ("bad", "failed")
        )
        say(
            f"To extract: {n_bad} damaged, missing or of changed audio, {n_new} never started; "
            f"to try again: {n_failed} that failed."
        )
        if damages or n_new:
            with session(
                writer,
                corpus.root,
                backbone=backbone,
                options=options,
                machine=machine,
                n_utterances=n_bad + n_new + n_failed,
                strict=False,
                say=say,
            ) as pipeline:
                for damage in damages:
                    _extract_damaged(pipeline, writer, damage)
                pipeline.run()
    cache = Cache(folder)
    say_failures(cache, say)
    return cache


def _check_audio(folder: Path, corpus: Corpus) -> None:
    """Refuse a folder without a file of the corpus: each would count as one that cannot be used."""
    paths = corpus.utterances["path"]
    if len(paths) and not any((corpus.root / str(path)).exists() for path in paths):
        raise ProbeError(
            f"{corpus.root}: the audio of {folder} is not there, as {paths.iloc[0]}. Say where: "
            f"{argument('audio_root', 'DIR')}"
        )


def _extract_damaged(pipeline: Pipeline, writer: CacheWriter, damage: Damage) -> None:
    """Write a shard anew, with its bad rows extracted again and its sound ones copied.

    A shard of which nothing is bad, and whose failures fail again, is left as it is.
    """
    rows = writer.table[writer.table["utterance_id"].isin(damage.bad | damage.failed)]
    clips = pipeline.wait_for(pipeline.decode(damage.record.index, rows))
    if damage.bad or not all(clip.failure for clip in clips):
        pipeline.extract_shard(damage.record.index, clips, _sound_rows(writer, damage))
        pipeline.drain()


def _planned(
    folder: Path, manifest: Manifest, given: Corpus | None, audio_root: Path | None
) -> Corpus:
    """The utterances of a cache: as its table has them, or else the splits it has some of."""
    about = manifest.about
    if given is None and about["corpus_spec"] == "demo":
        given = load_corpus("demo")  # it may have moved with the package
    if table_is_whole(folder, manifest):
        table = load_table(folder, manifest)
        if given is not None:
            return replace(given, utterances=_rows(given, table["utterance_id"]))
        columns = [
            name for name in table.columns if name not in (*PLACE_COLUMNS, *manifest.measures)
        ]
        root = find_audio(folder, about, table, audio_root)
        return Corpus(about["corpus"], about["corpus_spec"], root, table[columns])
    if "part" in about:
        number = f"{about['part']['number']}/{about['part']['of']}"
        raise ProbeError(
            f"{folder}: the table of this part is damaged, and only the plan of the whole can "
            "rebuild it. Give the command that made it again: probe extract "
            f"{quoted(str(folder).split('.part-')[0])} {as_flag('part', number)}"
        )
    root = audio_root or Path(about["audio_root"])
    corpus = given or load_as_it_was(about["corpus_spec"], root)
    splits = _rows(corpus, stored_ids(folder, manifest)[1])["split"].unique()
    return corpus.only(splits) if len(splits) else corpus


def _rows(corpus: Corpus, utterance_ids: Iterable[str]) -> pd.DataFrame:
    utterances = corpus.utterances
    return utterances[utterances["utterance_id"].isin(set(utterance_ids))].reset_index(drop=True)


def _damage(writer: CacheWriter, record: ShardRecord, changed: frozenset[str]) -> Damage | None:
    faults = (
        shard_faults(writer.folder, record, writer.manifest, writer.table) if record.file else []
    )
    bad = frozenset(name for fault in faults for name in fault.utterance_ids)
    bad |= changed.intersection(
        writer.table.loc[writer.table["shard"] == record.index, "utterance_id"]
    )
    return Damage(record, bad, frozenset(record.failures)) if bad or record.failures else None


def _sound_rows(writer: CacheWriter, damage: Damage) -> KeptRows | None:
    """The rows of a shard that can be copied: their bytes match, and the table has the rest."""
    table = writer.table
    rows = table[
        (table["shard"] == damage.record.index)
        & (table["row"] >= 0)
        & ~table["utterance_id"].isin(damage.bad)
    ]
    if rows.empty:
        return None
    # `bad` says which rows are not sound
    old = Shard(writer.folder, damage.record, writer.manifest, check=False)
    old_row = {name: row for row, name in enumerate(old.utterance_ids)}

    def copy(shard: ShardWriter, row_of: dict[str, int]) -> None:
        for name in rows["utterance_id"]:
            for tier in writer.manifest.tiers:
                for layer in writer.manifest.layers:
                    shard.write(
                        row_of[name],
                        tier,
                        layer=layer,
                        block=old.block(tier, layer, old_row[name]),
                        n_rows=1,
                    )

    names = writer.manifest.measures
    known = [
        (name, int(n_samples), dict(zip(names, measures, strict=True)))
        for name, n_samples, *measures in rows[["utterance_id", "n_samples", *names]].itertuples(
            index=False
        )
    ]
    return KeptRows(known, copy)

"""The views of a cache: the same utterances through each condition, a cache each.

Every file is decoded once for all views of a shard, and the model is loaded once. A killed
extraction goes on where it stopped; a view that is there is not made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pandas as pd

from cache import Cache, CacheMissing, ProbeError
from cache.errors import argument
from cache.fingerprint import differences
from cache.manifest import PLACE_COLUMNS, Manifest
from cache.shard import Array
from cache.shard_writer import ShardWriter
from cache.writer import CacheWriter
from probing.augmentation import View
from probing.corpora import Corpus
from probing.corpora.cached import audio_of
from probing.extraction import Machine, Options
from probing.extraction.estimate import estimate
from probing.extraction.extracting import new_manifest, new_pipeline, timed
from probing.extraction.pipeline import Pipeline
from probing.progress import console, several
from probing.robustness.grid import Condition

# of a fingerprint
ROUNDING = ("torch", "transformers", "decoder", "resampler", "backbone_precision")


def views_folder(cache: Cache) -> Path:
    """Where the views of a cache are: `NAME.views` beside `NAME.cache`."""
    return cache.folder.with_name(cache.folder.name.removesuffix(".cache") + ".views")


class ViewShards:
    """The shards of several caches of the same utterances, each shard of all views in a row."""

    def __init__(self, writers: Sequence[CacheWriter]) -> None:
        self.writers = writers
        self.manifest: Manifest = writers[0].manifest

    def pending(self) -> Iterator[tuple[int, pd.DataFrame]]:
        """See `probing.extraction.pipeline.Shards`."""
        left = [dict(writer.pending()) for writer in self.writers]
        for index in sorted({index for of_view in left for index in of_view}):
            for number, of_view in enumerate(left):
                if index in of_view:
                    yield index * len(self.writers) + number, of_view[index]

    def view_of(self, index: int) -> int:
        """The number of the view that a shard is of."""
        return index % len(self.writers)

    def start_shard(
        self,
        index: int,
        utterance_ids: Sequence[str],
        n_samples: Sequence[int],
        n_frames: Sequence[int],
        measures: dict[str, Array],
    ) -> ShardWriter:
        """See `probing.extraction.pipeline.Shards`."""
        writer = self.writers[self.view_of(index)]
        return writer.start_shard(
            index // len(self.writers),
            utterance_ids,
            n_samples=n_samples,
            n_frames=n_frames,
            measures=measures,
        )

    def finish_shard(self, index: int, shard: ShardWriter | None, failures: dict[str, str]) -> None:
        """See `probing.extraction.pipeline.Shards`."""
        self.writers[self.view_of(index)].finish_shard(index // len(self.writers), shard, failures)


def extract_views(
    cache: Cache,
    conditions: Sequence[Condition],
    table: pd.DataFrame | None = None,
    machine: Machine | None = None,
    *,
    folder: Path | None = None,
    seed: int = 0,
    audio_root: Path | None = None,
    say: Callable[[str], None] = console.print,
) -> dict[str, Cache]:
    """Cache the same utterances through every condition, made as the clean cache was made.

    Args:
        cache: the clean one.
        conditions: what they are heard through, from `parse_grid`.
        table: rows of `cache.utterances`; default all. A view that has them all is not made again.
        machine: how to use this machine.
        folder: where the views are to be; default `NAME.views` beside the cache.
        seed: of the chance in transforms.
        audio_root: where the audio is now; default where it was, or beside the cache.
        say: where to put what a person should know.

    Returns:
        Name of a condition -> its cache.

    Raises:
        ProbeError: the cache is a view itself, a file of its audio is not there, the disk is too
            small; what is finished is kept.
        TransformError: a package that a transform needs is missing, or a file of a folder cannot be
            used.

    >>> from probing.robustness.grid import parse_grid
    >>> cache = Cache("results/demo.cache")
    >>> table = cache.utterances.head(2)
    >>> views = extract_views(
    ...     cache, parse_grid("gain:-20"), table, Machine("cpu"), say=lambda text: None
    ... )
    >>> [(name, len(view)) for name, view in views.items()]
    [('gain:-20', 2)]
    """
    folder = folder or views_folder(cache)
    machine = machine or Machine()
    table = cache.utterances if table is None else table
    if not cache.about.get("options"):
        raise ProbeError(
            f"{cache.folder}: does not say how it was made, so it cannot be heard again"
        )
    options = Options(**cache.about["options"])
    if options.view is not None:
        raise ProbeError(f"{cache.folder}: is a view itself ({options.view}). Give the clean cache")
    places = {condition.name: folder / f"{condition.file_name}.cache" for condition in conditions}
    of_views = {
        condition.name: replace(options, view=condition.view, view_seed=seed)
        for condition in conditions
    }
    views = {name: _view_of(of_view) for name, of_view in of_views.items()}
    missing = [name for name in views if not _is_there(places[name], cache, views[name], table)]
    if missing:
        chosen = [(places[name], of_views[name], views[name]) for name in missing]
        _extract(cache, chosen, table=table, machine=machine, audio_root=audio_root, say=say)
    return {name: Cache(place) for name, place in places.items()}


def _view_of(options: Options) -> View:
    view = options.parsed_view
    if view is None:
        raise ProbeError(f"{argument('grid')}: a condition without transforms. Leave it out")
    return view


def _is_there(place: Path, cache: Cache, view: View, table: pd.DataFrame) -> bool:
    """Whether a view is finished and has every utterance of a table.

    Another view in its place is refused later.
    """
    try:
        found = Cache(place)
    except CacheMissing:
        return False
    known = {*found.utterances["utterance_id"], *found.failures["utterance_id"]}
    same = not _differences(cache, {**found.fingerprint}, view)
    return same and found.finished and known >= set(table["utterance_id"])


def _differences(cache: Cache, fingerprint: Mapping[str, object], view: View) -> list[str]:
    """Where a fingerprint differs from that of a cache through a view, a line each.

    Versions that only change rounding may differ.
    """
    wanted = {**cache.fingerprint, **view.fingerprint()}
    return [
        f"{difference.name}: {difference.first!r}, not {difference.second!r}"
        for difference in differences(
            fingerprint, wanted, sorted({*fingerprint, *wanted} - set(ROUNDING))
        )
    ]


def _extract(
    cache: Cache,
    chosen: Sequence[tuple[Path, Options, View]],
    table: pd.DataFrame,
    machine: Machine,
    audio_root: Path | None,
    say: Callable[[str], None],
) -> None:
    corpus = _corpus_of(cache, table, audio_root)
    options = chosen[0][1]
    backbone = options.load_backbone(machine.device, machine.attention, fetch=False)
    manifests = [new_manifest(backbone, corpus, of_view) for _, of_view, _ in chosen]
    if lines := _differences(cache, manifests[0].fingerprint, chosen[0][2]):
        raise ProbeError(
            f"{cache.folder}: cannot be made again as it is, so a view would differ by more than "
            f"its transform ({'; '.join(lines)}). Extract it again: probe extract"
        )
    with ExitStack() as stack:
        size = machine.shard_size_on(backbone)
        writers = [
            stack.enter_context(
                CacheWriter(
                    place,
                    manifest,
                    corpus=corpus.utterances,
                    shard_size=size,
                    shard_of=None,
                    wait=machine.wait,
                    say=say,
                )
            )
            for (place, _, _), manifest in zip(chosen, manifests, strict=True)
        ]
        shards = ViewShards(writers)
        pending = [rows for _, rows in shards.pending()]
        n = sum(map(len, pending))
        if not n:
            return
        views = [view for _, _, view in chosen]
        plan = estimate(
            writers[0].folder,
            corpus.root,
            rows=pd.concat(pending),
            backbone=backbone,
            cropping=options.cropping,
            manifest=manifests[0],
        )
        count = several(len(chosen), "view")
        say(f"{count} of {cache.folder} -> {chosen[0][0].parent}\nPlan: {plan}")
        plan.check(writers[0].folder)

        def new(on_batch: Callable[[int, float], None]) -> Pipeline:
            return new_pipeline(
                shards,
                corpus.root,
                backbone=backbone,
                options=options,
                machine=machine,
                strict=False,
                on_batch=on_batch,
                view_of=lambda index: views[shards.view_of(index)],
            )

        with timed("Extracting views", n, new) as spent:
            spent.pipeline.run()
        say(str(spent))
        device = str(backbone.device)
        for writer in writers:
            writer.note(
                {"views": len(writers), "seconds_of_all": round(spent.seconds, 3), "device": device}
            )


def _corpus_of(cache: Cache, table: pd.DataFrame, audio_root: Path | None) -> Corpus:
    """The utterances of a cache as a corpus of their own, where the audio is now."""
    about = cache.about
    columns = [
        name for name in table.columns if name not in (*PLACE_COLUMNS, *cache.manifest.measures)
    ]
    corpus = Corpus(
        about["corpus"],
        about["corpus_spec"],
        audio_of(cache, audio_root),
        table[columns].reset_index(drop=True),
    )
    lost = corpus.missing()
    if len(lost):  # a view would keep them as unusable, and not be made again
        first = f"{corpus.root / lost.iloc[0]['path']}: no such file"
        count = f"{len(lost)} of {len(corpus)} audio files of {cache.folder} are missing"
        raise ProbeError(f"{first}; {count}. Say where they are: {argument('audio_root', 'DIR')}")
    return corpus

"""What caches tell without a probe: how alike layers are, and transferability."""

from __future__ import annotations

from functools import partial

import pandas as pd

from analysis.reports.figures import figure, note
from analysis.reports.page import Section
from analysis.reports.tables import table_of
from analysis.runs.comparison import Comparison
from analysis.runs.loaded_run import LoadedRun
from analysis.similarity import cka, similarity_map
from analysis.transferability import predicts, transfer_curve, transfer_scores
from cache import Cache, ProbeError
from cache.errors import argument

# of the pooled tier that are measured without --measures: some seconds
MOST_VALUES = 5e7
MOST_UTTERANCES = 50_000
FEWEST_LAYERS = 3  # that can be ranked
SIMILARITY = "How alike layers are"


def untrained(run: LoadedRun, measures: bool | None) -> list[Section]:
    """Layer similarity and transferability of one run.

    Args:
        run: of which the cache is looked at.
        measures: False for none; None where the cache is there and small; True in any case.

    Raises:
        ProbeError: `measures` is True, and there is no such cache.

    >>> from analysis import load
    >>> untrained(load("results/demo.run"), measures=False)
    []
    """
    cache = _wanted(run, measures)
    if isinstance(cache, str):
        return [Section(SIMILARITY, [note(cache)])] if cache else []
    split = run.record.options.train.rpartition(":")[2]
    try:
        table = cka(cache)
        # these scores are about two classes
        scores = transfer_scores(cache, where={"split": split}) if run.task.is_spoofing else None
    except ProbeError as error:
        if measures:
            raise
        return [
            Section(
                SIMILARITY, [note(f"Without similarity of layers and transferability: {error}")]
            )
        ]
    similarity = Section(
        SIMILARITY, [figure("CKA of layers", lambda ax: similarity_map(table, ax))]
    )
    return [similarity] if scores is None else [similarity, _transferability(run, scores)]


def _transferability(run: LoadedRun, scores: pd.DataFrame) -> Section:
    found = predicts(run, scores)
    low = found["chance_low"].map("{:.2f}".format)
    chance = low + " .. " + found["chance_high"].map("{:.2f}".format)
    shown = found[["score", "kendall", "spearman", "p", "n"]].assign(**{"95 % by chance": chance})
    return Section(
        "What could be told without training",
        [
            figure("transferability by layer", lambda ax: transfer_curve(run, scores, ax)),
            table_of(scores.reset_index(), ".3g"),
            note(
                "From the training split alone; higher promises a better probe. TransRate: each "
                "class centred by its own mean and weighted by its size; beside it that of "
                "shuffled labels. Below, the rank correlation of each with the probes' EER on "
                "eval: 1 where the higher score has the lower EER."
            ),
            table_of(shown, ".2f"),
        ],
    )


def alike(found: Comparison, measures: bool | None) -> Section | None:
    """How alike the layers of the best backbone and of each other one are.

    >>> from analysis import compare
    >>> found = compare(["results/demo.run", "results/random.run"])
    >>> alike(found, measures=False) is None
    True
    """
    runs = dict(zip(found.runs.names, found.runs, strict=True))
    opened = [(name, _wanted(runs[str(name)], measures)) for name in found.table.index]
    caches = [(name, cache) for name, cache in opened if isinstance(cache, Cache)]
    if len(caches) < 2:
        return None
    parts = []
    for name, other in caches[1:]:
        table = cka(caches[0][1], other=other)
        parts.append(figure(f"CKA of {caches[0][0]} and {name}", partial(similarity_map, table)))
    return Section("How alike the layers of two backbones are", parts)


def _wanted(run: LoadedRun, measures: bool | None) -> Cache | str:
    """The cache to look at, or why not."""
    if measures is False or (measures is None and run.n_blocks + 1 < FEWEST_LAYERS):
        return ""
    cache = run.cache
    folder = run.record.caches["train"].folder
    if cache is None:
        if measures:
            raise ProbeError(
                f"{run.folder}: its cache {folder} is not there. Move it beside the run, or leave "
                f"{argument('measures')} out"
            )
        return "Its cache is not there: without similarity of layers and transferability."
    if len(cache.layers) < FEWEST_LAYERS:
        return ""
    large = (
        2 * len(cache.layers) * len(cache) * cache.dim > MOST_VALUES or len(cache) > MOST_UTTERANCES
    )
    if measures is None and large:
        return (
            "Its cache is large: probe report --measures adds "
            "similarity of layers and transferability."
        )
    return cache

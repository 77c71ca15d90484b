"""Figures of clean-trained probes and heads on the same utterances under conditions.

Every figure of a condition is paired with the clean one: the same trials, the same resamples.
Thresholds are those of the clean dev set, as a system that is in use has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.robustness.changes import ROWS_AT_ONCE, changes_of_frames, pooled_changes
from analysis.runs.loaded_run import LoadedRun
from cache import Cache, ProbeError
from cache.errors import quoted
from probing.labels import BONAFIDE
from probing.metrics import (
    Interval,
    Resamples,
    difference_interval,
    difference_p,
    eer,
    eer_resamples,
    figure_interval,
    rate_interval,
    threshold_at_eer,
)
from probing.metrics.localisation import Pieces
from probing.progress import progress_line
from probing.robustness import Condition
from probing.runs import find_cache
from probing.serving.candidates import LINEAR, Candidate, known_heads
from probing.serving.heads import AnyHead, choose_head
from probing.serving.matching import check_cache

CLEAN = "clean"
RESAMPLES_AT_ONCE = 100
Rates = NDArray[np.float64]


@dataclass(frozen=True)
class RobustnessTable:
    """Figures of a run by head and condition, in per cent and points of EER.

    run: whose probes and heads.
    conditions: in the order of the grid.
    table: a row a head and condition, `clean` first: experiment (`layer` or `depth`), head, at (its
        layer or depth), condition, kind, snr_db, eer, low, high, rise (of the EER over clean),
        rise_low, rise_high, p, miss and false_alarm (at the threshold of the clean dev set) with
        their rises, drift_bonafide and drift_spoof with their ends (change of the mean score in
        standard deviations of clean scores within a class), direction, and of layers
        noise_to_signal (mean of |x~ - x| / |x|) and cosine of what the probe sees; with cached
        frames also frames_noise_to_signal (over all frames of an utterance) and frames_cosine
        (frame by frame), means over utterances.
    """

    run: LoadedRun
    conditions: tuple[Condition, ...]
    table: pd.DataFrame

    @property
    def layers(self) -> pd.DataFrame:
        """The rows of linear probes of layers."""
        return self.table[self.table["experiment"] == "layer"]


@dataclass(frozen=True)
class Robustness(RobustnessTable):
    """The table as it was measured.

    resampled: (layer, condition) -> (3, R) EERs, and rises of misses and of false alarms, on
        resamples, 0 to 1.
    drawn: the resamples.
    left_out: trials of the run that some condition has not.
    not_aligned: condition -> why its frames are not compared.
    """

    resampled: dict[tuple[int, str], Rates]
    drawn: Resamples
    left_out: int
    not_aligned: Mapping[str, str] = field(default_factory=dict)


def measure(
    run: LoadedRun,
    clean: Cache,
    views: Mapping[str, Cache],
    conditions: Sequence[Condition],
    *,
    heads: bool = True,
    resamples: int | None = None,
) -> Robustness:
    """Score the views with the probes and heads of a run.

    Args:
        run: a run of bona fide against spoof, with the corpus to look at.
        clean: the cache of its eval trials.
        views: name of a condition -> cache of the same utterances, from
            `probing.robustness.views.extract_views`.
        conditions: what they are.
        heads: beside the probes of layers, every head that the run stores.
        resamples: of the bootstrap; default as many as the run's.

    Raises:
        ProbeError: another target, no stored probes, or views of other utterances, layers or
            another backbone.

    >>> from analysis import load
    >>> from probing.robustness.grid import parse_grid
    >>> run = load("results/demo.run")
    >>> conditions = parse_grid("gain:-20")
    >>> views = {conditions[0].name: run.cache}
    >>> found = measure(run, eval_cache(run), views, conditions, heads=False)
    >>> [condition.name for condition in found.conditions]
    ['gain:-20']
    """
    known = known_heads(run, heads)
    part = run.part("eval")
    trials = run.trials(f"{LINEAR}{run.record.finding.layer:02d}", part)
    there = [set(cache.utterances["utterance_id"]) for cache in (clean, *views.values())]
    used = trials[trials["utterance_id"].isin(set.intersection(*there))].reset_index(drop=True)
    bonafide = used["label"].eq(BONAFIDE).to_numpy()
    if bonafide.all() or not bonafide.any():
        fewest = min((clean, *views.values()), key=len)
        raise ProbeError(
            f"{clean.folder}: all its views have {len(used)} of {len(trials)} eval trials, and not "
            f"both classes. Try those again that could not be used: probe cache repair "
            f"{quoted(fewest.folder)}"
        )
    drawn = run.draw(used, resamples)
    tables = {name: _rows_of(cache, used) for name, cache in {CLEAN: clean, **views}.items()}
    caches = {CLEAN: clean, **views}
    rows: list[dict[str, Any]] = []
    resampled: dict[tuple[int, str], Rates] = {}
    with progress_line("Measuring", len(known), "probes and heads") as line:
        for about in known:
            head = choose_head(run, name=about.name).head
            for cache in caches.values() if about is known[0] else ():
                weights = [run.record.fingerprint.get("backbone_weights_sha256")]
                check_cache(
                    cache,
                    head.dim,
                    weights,
                    fingerprint=run.record.fingerprint,
                    where=str(run.folder),
                )
            of_head = Scored(run, about, bonafide, drawn)
            for name, cache in caches.items():
                cache.require(head.tier, head.layers)
                condition = next(
                    (condition for condition in conditions if condition.name == name), None
                )
                row = of_head.row(name, np.concatenate(list(_scores(head, cache, tables[name]))))
                row |= {
                    "kind": condition.kind if condition else "",
                    "snr_db": condition.snr_db if condition else None,
                }
                if about.name.startswith(LINEAR):
                    resampled[about.depth, name] = np.stack(
                        [of_head.resampled[name], *of_head.rises]
                    )
                    row |= pooled_changes(
                        head.layers[0], (clean, tables[CLEAN]), (cache, tables[name])
                    )
                rows.append(row)
            line.advance(1, about.name)
    of_views = {name: (cache, tables[name]) for name, cache in views.items()}
    probed = [about.depth for about in known if about.name.startswith(LINEAR)]
    changes = changes_of_frames(probed, (clean, tables[CLEAN]), of_views, conditions)
    for row in rows:
        row |= (
            changes.values.get((row["condition"], row["at"]), {})
            if row["experiment"] == "layer"
            else {}
        )
    table = pd.DataFrame(rows)
    table["snr_db"] = table["snr_db"].astype(float)
    return Robustness(
        run, tuple(conditions), table, resampled, drawn, len(trials) - len(used), changes.left_out
    )


def eval_cache(run: LoadedRun) -> Cache:
    """The cache of the eval trials of a run: where it was, or beside the run.

    Raises:
        ProbeError: it is not there.

    >>> from analysis.runs.loading import load
    >>> eval_cache(load("results/demo.run")).folder.name
    'demo.cache'
    """
    return find_cache(run, run.part("eval"))


class Scored:
    """The figures of one head, against its own on clean audio."""

    def __init__(
        self, run: LoadedRun, about: Candidate, bonafide: NDArray[np.bool_], drawn: Resamples
    ) -> None:
        dev = run.trials(about.name, "dev")
        on_dev = dev["score"].to_numpy(np.float64)
        self.threshold = threshold_at_eer(
            Pieces(on_dev, dev["label"].eq(BONAFIDE).to_numpy(), np.ones(len(dev)))
        )
        self.about, self.bonafide, self.drawn = about, bonafide, drawn
        self.resampled: dict[str, Rates] = {}

    def row(self, condition: str, scores: Rates) -> dict[str, Any]:
        """The figures of its scores (N,) in a condition; `clean` comes first."""
        if condition == CLEAN:
            self.clean = scores
            self.deviation = np.sqrt(
                np.mean([scores[self.bonafide].var(), scores[~self.bonafide].var()])
            )
        value = eer(self.bonafide, scores)
        resampled = self.resampled[condition] = eer_resamples(self.bonafide, scores, self.drawn)
        differences = resampled - self.resampled[CLEAN]
        rise = difference_interval(value - eer(self.bonafide, self.clean), differences, self.drawn)
        classes = (self.bonafide, ~self.bonafide)
        drift = (scores - self.clean) / (self.deviation or 1.0)
        drifts = [
            figure_interval(drift[members].mean(), self._mean(drift, members), self.drawn)
            for members in classes
        ]
        accepted = (scores >= self.threshold).astype(np.float64) - (self.clean >= self.threshold)
        rises = [-accepted[self.bonafide].mean(), accepted[~self.bonafide].mean()]
        self.rises = [-self._mean(accepted, self.bonafide), self._mean(accepted, ~self.bonafide)]
        miss, false_alarm = (
            difference_interval(float(value), resampled, self.drawn)
            for value, resampled in zip(rises, self.rises, strict=True)
        )
        is_probe = self.about.name.startswith(LINEAR)
        return {
            "experiment": "layer" if is_probe else "depth",
            "head": self.about.kind,
            "at": self.about.depth,
            "condition": condition,
            **_ends("eer", rate_interval(value, resampled, self.drawn), 100, plain=True),
            **_ends("rise", rise, 100),
            "p": difference_p(rise.value, differences, self.drawn),
            "miss": 100 * float(np.mean(scores[self.bonafide] < self.threshold)),
            **_ends("miss_rise", miss, 100),
            "false_alarm": 100 * float(np.mean(scores[~self.bonafide] >= self.threshold)),
            **_ends("false_alarm_rise", false_alarm, 100),
            **_ends("drift_bonafide", drifts[0]),
            **_ends("drift_spoof", drifts[1]),
            "direction": "" if condition == CLEAN else direction(*drifts),
        }

    def _mean(self, values: Rates, of_class: NDArray[np.bool_]) -> Rates:
        """Means (R,) of values (N,) over a class on resamples, from sums of each cluster."""
        n_clusters = sum(self.drawn.sizes)
        sums = np.bincount(self.drawn.cluster, np.where(of_class, values, 0.0), n_clusters)
        sizes = np.bincount(self.drawn.cluster, of_class, n_clusters)
        means = np.empty(self.drawn.n)
        for first in range(0, self.drawn.n, RESAMPLES_AT_ONCE):
            counts = self.drawn.rows(first, min(first + RESAMPLES_AT_ONCE, self.drawn.n))
            means[first : first + len(counts)] = (counts @ sums) / (counts @ sizes)
        return means


def direction(bonafide: Interval, spoof: Interval) -> str:
    """Where scores drift, in words, as far as the intervals of both classes show it.

    >>> direction(Interval(-1.0, -1.5, -0.5), Interval(0.1, -0.2, 0.4))
    'bona fide toward spoof'
    """
    moved_bonafide, moved_spoof = (
        1 if interval.low > 0 else -1 if interval.high < 0 else 0 for interval in (bonafide, spoof)
    )
    return {
        (-1, -1): "all toward spoof",
        (1, 1): "all toward bona fide",
        (-1, 1): "toward each other",
        (1, -1): "apart",
        (-1, 0): "bona fide toward spoof",
        (0, 1): "spoof toward bona fide",
        (1, 0): "bona fide away from spoof",
        (0, -1): "spoof away from bona fide",
        (0, 0): "none shown",
    }[moved_bonafide, moved_spoof]


def _ends(
    name: str, interval: Interval, scale: float = 1.0, plain: bool = False
) -> dict[str, float]:
    before = "" if plain else f"{name}_"
    ends = {name: interval.value, f"{before}low": interval.low, f"{before}high": interval.high}
    return {key: scale * value for key, value in ends.items()}


def _rows_of(cache: Cache, trials: pd.DataFrame) -> pd.DataFrame:
    """Rows of the table of a cache, in the order of trials."""
    table = cache.utterances.set_index("utterance_id", drop=False)
    return table.loc[trials["utterance_id"]].reset_index(drop=True)


def _scores(head: AnyHead, cache: Cache, table: pd.DataFrame) -> Iterator[Rates]:
    if head.tier == "frames":
        for name in table["utterance_id"]:
            yield np.asarray(head.score(cache.frames([name], head.layers)[0]), np.float64)
        return
    for first in range(0, len(table), ROWS_AT_ONCE):
        yield np.asarray(
            head.score(cache.pooled(head.layers, table.iloc[first : first + ROWS_AT_ONCE])),
            np.float64,
        )

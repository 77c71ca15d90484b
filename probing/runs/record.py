"""The record of a run, run.json: read, checked and typed in this one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from probing.metrics import Interval
from probing.runs.form import FINDINGS, check_record
from probing.targets.task import SPOOFING, Task


@dataclass(frozen=True)
class CacheOfPart:
    """The cache whose utterances play a part: where it was, its id, and the name of its corpus."""

    folder: str
    id: str
    corpus: str


@dataclass(frozen=True)
class OptionsOfRun:
    """Those options of a sweep that its readers need; see `probing.sweep.SweepOptions`.

    heads, head_seeds: those of its depth options.
    resamples: 1000 in runs that do not say it.
    """

    train: str
    interval_by: str
    resamples: int
    seed: int
    by: tuple[str, ...]
    heads: tuple[str, ...]
    head_seeds: tuple[int, ...]


@dataclass(frozen=True)
class LayerOfRun:
    """The finding on layers: the layer chosen on dev with its eval EER, the last, and controls.

    best, trivial: the metric with its interval.
    difference: last minus best, paired.
    shuffled: its mean with shuffled labels; NaN without that control.
    """

    layer: int
    last: int
    best: Interval
    difference: Interval
    trivial: Interval
    shuffled: float


@dataclass(frozen=True)
class DepthOfRun:
    """The finding on depth: the head chosen on dev, the depth shown to be enough, and full depth.

    depth: None if none is shown to be enough.
    margin: what a depth may be worse by, as `probing.sweep.margin` reads it.
    excess: by how much the depth is worse than full depth, paired.
    bound: the upper end of its one-sided interval in the terms of the margin; None where there is
        no such depth.
    by_chance: full depth is not shown to be better than chance.
    best: head and depth of lowest dev EER of all; None in runs of an earlier version.
    best_by_chance: that is not shown to be better than chance either.
    """

    head: str
    depth: int | None
    full: int
    margin: float | str
    excess: Interval | None
    bound: float | None
    by_chance: bool
    best: tuple[str, int] | None
    best_by_chance: bool = False


class RunRecord(dict[str, Any]):
    """What a run says of itself: the object of run.json, typed as far as the program reads it.

    In Python: `Run("results/demo.run").record.finding.layer`, which is
    `record["finding"]["layer"]`.

    Args:
        raw: what run.json holds.

    Raises:
        ValueError: names the key where it is not what a sweep writes.
    """

    def __init__(self, raw: Mapping[str, Any]) -> None:
        check_record(raw)
        super().__init__(raw)

    @property
    def task(self) -> Task:
        """What was read from the layers; bona fide against spoof in runs that do not say it."""
        return Task.of(self["target"]) if self.get("target") else SPOOFING

    @property
    def unit(self) -> str:
        """What trials are: `frame`, `segment` or `middle` of one; empty for utterances."""
        return str(self["options"].get("target", {}).get("unit", ""))

    @property
    def folds(self) -> int:
        """Folds of a cross-validation; 0 where there was one division."""
        return int(self["options"].get("target", {}).get("folds") or 0)

    @property
    def cache(self) -> str:
        """Id of the cache that was trained on."""
        return str(self["cache"])

    @property
    def cache_folder(self) -> str:
        """Where that was."""
        return str(self["cache_folder"])

    @property
    def backbone(self) -> str:
        """Name of the backbone."""
        return str(self["about"]["backbone"])

    @property
    def corpora(self) -> list[str]:
        """Names of the corpora evaluated on; findings are about the first."""
        return list(self["corpora"])

    @property
    def caches(self) -> dict[str, CacheOfPart]:
        """Part -> cache whose utterances play it."""
        return {
            part: CacheOfPart(cache["folder"], cache["id"], cache["corpus"])
            for part, cache in self["caches"].items()
        }

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Part -> label -> number of utterances."""
        return dict(self["counts"])

    @property
    def utterances(self) -> dict[str, int]:
        """Part -> a number that tells one set of utterances from another."""
        return dict(self["utterances"])

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The fingerprint of the cache."""
        return dict(self["fingerprint"])

    def intervals_of(self, part: str) -> str:
        """How the intervals of a part were made, in words.

        Runs of an earlier version say so of eval only.
        """
        return str(self.get("intervals_by_part", {}).get(part, self["intervals"]))

    @property
    def options(self) -> OptionsOfRun:
        """Those options of the sweep that readers need."""
        options = self["options"]
        return OptionsOfRun(
            train=options["train"],
            interval_by=options["interval_by"],
            resamples=int(options.get("resamples", 1000)),
            seed=int(options["seed"]),
            by=tuple(options.get("by", ())),
            heads=tuple(options["depths"]["heads"]),
            head_seeds=tuple(options["depths"]["seeds"]),
        )

    @property
    def finding(self) -> LayerOfRun:
        """The finding on layers."""
        found = self["finding"]
        best = Interval(**found["best"])
        trivial = Interval(**found["trivial"])
        difference = Interval(**found["difference"])
        return LayerOfRun(
            int(found["layer"]),
            int(found["last"]),
            best=best,
            difference=difference,
            trivial=trivial,
            shuffled=float(found["shuffled"]),
        )

    @property
    def depth_finding(self) -> DepthOfRun | None:
        """The finding on depth; None if no heads were trained."""
        found = self.get("depth_finding")
        return _depth_of(found) if found else None

    @property
    def sentence(self) -> str:
        """The findings in words."""
        return " ".join(str(self[name]["sentence"]) for name in FINDINGS if self.get(name))


def _depth_of(finding: Mapping[str, Any]) -> DepthOfRun:
    best = finding.get("best")
    return DepthOfRun(
        finding["head"],
        finding["depth"],
        finding["full"],
        finding["margin"],
        excess=Interval(**finding["excess"]) if finding.get("excess") else None,
        bound=None if finding.get("bound") is None else float(finding["bound"]),
        by_chance=finding.get("reason") == "chance",
        best=(best["head"], best["depth"]) if best else None,
        best_by_chance=best is not None and best.get("better_than_chance") is False,
    )

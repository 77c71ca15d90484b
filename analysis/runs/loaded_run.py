"""Frames: the figures of a run as tidy tables, EER in per cent, and a picture of itself in HTML."""

from __future__ import annotations

import html
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cache import Cache, CacheMissing, ProbeError
from cache.errors import OptionError
from probing.metrics import draw, eer, eer_resamples, rate_interval
from probing.metrics.decomposition import POOLED, conditions, too_few
from probing.progress import progress_line
from probing.runs import Run, find_cache
from probing.runs.condition_names import condition_values

if TYPE_CHECKING:
    from analysis.plots.explorer import Explorer

EER = ["eer", "low", "high"]
PARTS = ("train", "dev", "eval")


class LoadedRun(Run):
    """A run with its figures as tidy data frames; EER, its interval and shares are in per cent.

    Of another target than bona fide against spoof, the metric of the findings stands for EER, under
    its own name.

    Attributes:
        folder, record (run.json), results (every figure, as on disk, 0 to 1).
        corpus: of those evaluated on, the one whose figures the frames hold; default that of the
            findings.

    Raises:
        ProbeError: there is no run in the folder, or it was not evaluated on the corpus.

    >>> from analysis import load
    >>> list(load("results/demo.run").layers)[:4]
    ['split', 'layer', 'relative_depth', 'eer']
    """

    def __init__(self, folder: str | Path, corpus: str | None = None) -> None:
        super().__init__(folder)
        self.corpus = corpus or self.corpora[0]
        self.rows("layer", corpus=self.corpus)

    @property
    def trained_on(self) -> str:
        """Name of the corpus the probes were trained on."""
        return self.record.caches["train"].corpus

    def part(self, split: str) -> str:
        """What the score files call a split: `eval`, or `eval.CORPUS` of a further corpus."""
        return (
            split if split == "dev" or self.corpus == self.corpora[0] else f"{split}.{self.corpus}"
        )

    @property
    def utterances(self) -> dict[str, int]:
        """A number for each part (train, dev, eval) that tells one set of utterances from another.

        That of eval is of this corpus.
        """
        known = self.record.utterances
        return {name: known[self.part(name) if name == "eval" else name] for name in PARTS}

    @cached_property
    def cache(self) -> Cache | None:
        """The cache of the probes, where it was or beside the run; None if it is in neither."""
        try:
            return find_cache(self, "train")
        except CacheMissing:
            return None

    @cached_property
    def layers(self) -> pd.DataFrame:
        """Linear probes, one row a layer and split: relative_depth (layer / L), eer, low, high,
        strength, shuffled.
        """
        rows = self._rows("layer")
        of_control = self._rows("shuffled-labels").groupby(["split", "layer"])[self.metric.name]
        shuffled = of_control.mean().rename("shuffled")
        table = rows[["split", "layer", *self._columns, "strength"]].join(
            shuffled, on=["split", "layer"]
        )
        table.insert(2, "relative_depth", table["layer"].astype(float) / max(self.n_blocks, 1))
        return table.sort_values(["split", "layer"], ignore_index=True)

    @cached_property
    def layers_at_once(self) -> pd.DataFrame:
        """What holds for all linear probes at once, on eval of the first corpus.

        No rows in runs of earlier versions.

        Columns: layer; low, high of the metric; excess over the layer chosen on dev with
        excess_low, excess_high, paired, above 0 if the layer is worse (its own: 0);
        better_than_chance, empty if chance is not known.
        """
        scale = self.metric.scale
        band, excess = (
            scale * self.rows(name).set_index("layer")[["value", "low", "high"]].astype(float)
            for name in ("layer-at-once", "layer-excess")
        )
        excess = excess.reindex(band.index).fillna(0.0)
        table = band[["low", "high"]].reset_index()
        table[["excess", "excess_low", "excess_high"]] = excess[["value", "low", "high"]].to_numpy()
        chance = self.task.chance
        if chance is not None:
            higher = self.metric.higher_is_better
            beyond = table["low"] > scale * chance if higher else table["high"] < scale * chance
            return table.assign(better_than_chance=beyond)
        return table.assign(better_than_chance=pd.NA)

    @cached_property
    def depths(self) -> pd.DataFrame:
        """Heads on layers 1..k, mean over seeds, one row a head, depth and split: relative_depth,
        eer, low, high.
        """
        rows = self._rows("depth")
        table = rows.loc[rows["seed"].isna(), ["head", "split", "depth", *self._columns]]
        table.insert(3, "relative_depth", table["depth"].astype(float) / max(self.n_blocks, 1))
        return table.sort_values(["head", "split", "depth"], ignore_index=True)

    @cached_property
    def contributions(self) -> pd.DataFrame:
        """What layers contribute to heads of full depth: head, metric, condition, layer, value,
        low, high over seeds.

        Metrics are those of `probing.sweep.contributions`; EERs are in per cent. low and high are
        the range over seeds.
        """
        rows = self.results[self.results["experiment"] == "contribution"]
        groups = rows.groupby(["head", "metric", "condition", "layer"])["value"]
        table = groups.agg(value="mean", low="min", high="max").reset_index()
        of_metric = table["metric"].str.startswith(self.metric.name)
        table.loc[of_metric, ["value", "low", "high"]] *= self.metric.scale
        return table

    @cached_property
    def controls(self) -> pd.DataFrame:
        """What a probe gets without knowing anything: trivial features, and shuffled labels as a
        range over layers.
        """
        name = self.metric.name
        trivial = self._rows("trivial-features")[["experiment", "split", *self._columns]]
        shuffled = self._rows("shuffled-labels").groupby(["experiment", "split"])[name]
        ranges = shuffled.agg(["mean", "min", "max"]).reset_index()
        ranges = ranges.rename(columns={"mean": name, "min": "low", "max": "high"})
        return pd.concat([trivial, ranges], ignore_index=True)

    @cached_property
    def costs(self) -> pd.DataFrame:
        """What the backbone costs at each depth for 4 s of audio; no rows if not measured.

        Columns: depth, million_parameters, gmacs (10^9 multiply-accumulates), latency_ms, saved (%
        of the whole).
        """
        rows = self.results[self.results["experiment"] == "cost"]
        table = rows.pivot(index="depth", columns="metric", values="value").reindex(
            columns=["parameters", "macs", "latency_ms"]
        )
        table = (
            table.rename_axis(columns=None).reset_index().sort_values("depth", ignore_index=True)
        )
        macs = table["macs"].astype(float)
        return pd.DataFrame(
            {
                "depth": table["depth"].astype(int),
                "million_parameters": table["parameters"] / 1e6,
                "gmacs": macs / 1e9,
                "latency_ms": table["latency_ms"],
                "saved": 100 * (1 - macs / macs.max()),
            }
        )

    def by(
        self, column: str = "attack", split: str = "eval", resamples: int | None = None
    ) -> pd.DataFrame:
        """EER of the linear probes by layer and by a condition, with 95 % intervals.

        The intervals are over what those of the run are over. Rows of a sweep that reports `by` are
        given as they are; others are computed from the scores.

        Args:
            column: `attack`, or any column of the corpus such as `codec`; see
                `probing.metrics.decomposition` for which trials make up a condition.
            split: `eval` or `dev`.
            resamples: of the bootstrap; default as many as the run's.

        Returns:
            condition, layer, eer, low, high, n_bonafide, n_spoof; the condition `pooled` first.
            Conditions with fewer than 5 trials of a class are left out.

        Raises:
            ProbeError: the corpus has no such column, or the run no such split.
        """
        if split not in ("dev", "eval"):
            raise OptionError("split", split, "expected dev or eval")
        if not self.task.is_spoofing:
            raise ProbeError(
                f"{self.folder}: its target is {self.task.target}. Expected a run of bona fide "
                "against spoof, as figures by condition are made of both classes"
            )
        known = self._swept_by(column, split)
        if len(known):
            return known
        resamples = resamples or self.record.options.resamples
        layers = [int(layer) for layer in self.layers.query("split == @split")["layer"]]
        name = "linear-layer-{:02d}"
        trials = self.trials(name.format(layers[0]), self.part(split))
        if column not in trials:
            columns = [
                name
                for name in trials
                if name not in ("utterance_id", "path", "label", "score", "split")
            ]
            raise ProbeError(
                f"{self.folder}: no column {column!r}. Expected one of {', '.join(columns)}"
            )
        scores = {layers[0]: trials["score"].to_numpy()}
        for layer in layers[1:]:
            scores[layer] = self.trials(name.format(layer), self.part(split))["score"].to_numpy()
        trials[column] = trials[column].astype(str)
        rows: list[dict[str, Any]] = []
        with progress_line(f"EER by {column}", trials[column].nunique() + 1, "conditions") as line:
            for condition, chosen in conditions(trials, [column]):
                line.advance(1, condition[column])
                bonafide = chosen["label"].eq("bonafide").to_numpy()
                few = condition[column] != POOLED and too_few(chosen["label"])
                if bonafide.all() or not bonafide.any() or few:
                    continue
                # the trials of every layer are the same, in the same order, and so are their
                # resamples
                drawn = draw(
                    bonafide, self.clusters(chosen), n=resamples, seed=self.record.options.seed
                )
                counts = {"n_bonafide": int(bonafide.sum()), "n_spoof": int((~bonafide).sum())}
                for layer in layers:
                    own = scores[layer][chosen.index]
                    interval = rate_interval(
                        eer(bonafide, own), eer_resamples(bonafide, own, drawn), drawn
                    )
                    values = 100 * np.array([interval.value, interval.low, interval.high])
                    row = dict(zip(EER, values, strict=True))
                    rows.append({"condition": condition[column], "layer": layer, **row, **counts})
        rows.sort(key=lambda row: layers.index(row["layer"]))
        return pd.DataFrame(rows)

    def explore(self, **chosen: Any) -> Explorer:
        """Look around in the run in Jupyter, by widgets; see `analysis.explore`."""
        from analysis.plots.explorer import Explorer

        return Explorer(self, **chosen)

    @property
    def summary(self) -> pd.Series[str]:
        """The run on one line: backbone, corpus, layers, the layer chosen on dev and its eval EER.

        Its controls, the depth that is enough, the counts of eval and the cache follow.
        """
        found = self.record.finding
        metric = self.metric
        depth = self.record.depth_finding
        return pd.Series(
            {
                "backbone": self.backbone,
                "corpus": self.corpora[0],
                "layers": f"0..{self.n_blocks}",
                "best layer (dev)": str(found.layer),
                f"eval {metric.called}": metric.interval(
                    found.best.value, found.best.low, found.best.high
                ),
                "trivial features": metric.text(found.trivial.value),
                "shuffled labels": metric.text(found.shuffled),
                "layers enough": str(depth.depth or "none shown") if depth else "not asked",
                "eval": self.task.in_words(self.record.counts["eval"]),
                "cache": self.record.cache,
            },
            name=self.folder.name,
        )

    def _swept_by(self, column: str, split: str) -> pd.DataFrame:
        """The rows of a sweep that reports by a column, the pooled ones first.

        No rows if the sweep did not report by it.
        """
        if split == "dev":
            return pd.DataFrame()
        rows = self._rows("by-condition")
        rows = rows[rows["split"] == split]
        factors = list(self.record.options.by)
        values = {name: condition_values(name, factors) for name in rows["condition"].unique()}
        shown = {name: of[column] for name, of in values.items() if set(of) == {column}}
        rows = rows[rows["condition"].isin(shown)]
        if rows.empty:
            return rows
        counts = self.record["conditions"][self.corpus]
        of_all = self.layers[self.layers["split"] == split].assign(condition="pooled")
        table = pd.concat([of_all, rows], ignore_index=True)[["condition", "layer", *EER]]
        for name, label in (("n_bonafide", "bonafide"), ("n_spoof", "spoof")):
            whole = self.record.counts[self.part(split)][label]
            table[name] = [
                counts[condition][label] if condition in counts else whole
                for condition in table["condition"]
            ]
        table["condition"] = [shown.get(name, name) for name in table["condition"]]
        return table

    def _rows(self, experiment: str) -> pd.DataFrame:
        rows = pd.concat([self.rows(experiment, "dev"), self.rows(experiment, "eval", self.corpus)])
        rows = rows[rows["metric"] == self.metric.name]
        shown = {name: self.metric.scale * rows[name] for name in ("value", "low", "high")}
        return rows.assign(**shown).rename(columns={"value": self.metric.name})

    @property
    def _columns(self) -> list[str]:
        return [self.metric.name, "low", "high"]

    def _repr_html_(self) -> str:
        table = self.layers.pivot(
            index="layer", columns="split", values=self.metric.name
        ).T.rename_axis(None, axis=1)
        return (
            f"<p><b>{html.escape(self.backbone)}</b> on {html.escape(self.corpus)}</p>"
            f"<p>{html.escape(self.sentence)}</p>"
            f"{self.summary.drop(['backbone', 'corpus']).to_frame().T.to_html()}"
            f"<p>{self.metric.axis} of a linear probe by layer</p>"
            f"{table.to_html(na_rep='', float_format=self.metric.number)}"
        )

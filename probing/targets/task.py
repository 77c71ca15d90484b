"""The task of a target: how its figures are computed, drawn and written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from probing.labels import BONAFIDE, SPOOF
from probing.metrics import (
    ClassTrials,
    Interval,
    NumberTrials,
    Resamples,
    class_trials,
    draw,
    figure_interval,
    number_trials,
    rate_interval,
)
from probing.metrics.clusters import AUTO, SPEAKER, UTTERANCE, Clusters, Factor, clusters_of
from probing.metrics.intervals import LEVEL, difference_interval
from probing.targets.metrics import BINARY, CLASSES, METRICS, NUMBER, Metric, metrics_of
from probing.targets.trials import COMPACT, BinaryTrials, Trials, Values

CLIP = "clip"  # the column that says which utterance a unit is of


@dataclass(frozen=True)
class Task:
    """What is asked of a probe.

    name: `binary`, `classes` or `number`.
    target: what is to be read, as the column is called.
    metric: of the finding.
    classes: names of the classes by their number: of two, the negative and the positive one; none
        of a number.
    prior: share of each in training, of classes only.

    >>> SPOOFING.metric.called, SPOOFING.words
    ('EER', ('bona fide', 'spoof'))
    """

    name: str
    target: str
    metric: Metric
    classes: tuple[str, ...] = ()
    prior: tuple[float, ...] = ()

    @property
    def is_spoofing(self) -> bool:
        """Whether it is bona fide against spoof, by the label of the corpus."""
        return self == SPOOFING

    @property
    def called(self) -> str:
        """What is read, for people: `speaker`, `gender=F`.

        Empty for bona fide against spoof, which goes unsaid.
        """
        if self.is_spoofing:
            return ""
        return f"{self.target}={self.classes[1]}" if self.name == BINARY else self.target

    @property
    def words(self) -> tuple[str, str]:
        """The positive and the negative class for people; empty where there are no two."""
        if self.is_spoofing:
            return "bona fide", "spoof"
        return (self.classes[1], self.classes[0]) if self.name == BINARY else ("", "")

    @property
    def chance(self) -> float | None:
        """What the metric of the finding is by chance; None where that is not known beforehand."""
        return self.metric.chance_of(len(self.classes))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all figures, that of the finding first."""
        return (
            self.metric.name,
            *(name for name in metrics_of(self.name) if name != self.metric.name),
        )

    def trials(self, target: Values, scores: NDArray[Any]) -> Trials:
        """Trials (N,) with scores (N,).

        Of M classes scores are (N, M); or (N, 2, M), those by which classes are chosen and those
        that probabilities are made of; or either as `compact` has it.
        """
        if self.name == BINARY:
            return BinaryTrials(target, scores)
        if self.name == CLASSES:
            if scores.dtype == COMPACT:
                prior_bits = self._prior_bits(target)
                return ClassTrials(
                    target,
                    scores["chosen"],
                    n_classes=len(self.classes),
                    bits=scores["bits"],
                    prior_bits=prior_bits,
                )
            if scores.ndim == 2:
                return class_trials(target, scores, self.prior)
            found = class_trials(target, scores[:, 1], self.prior)
            return replace(found, chosen=scores[:, 0].argmax(axis=1))
        return number_trials(target, scores)

    def compact(self, target: Values, scores: NDArray[np.float64]) -> NDArray[Any]:
        """Scores as they are kept of many trials: of classes what figures need, (N,) of COMPACT."""
        if self.name != CLASSES:
            return scores
        trials = self.trials(target, scores)
        assert isinstance(trials, ClassTrials)
        found = np.empty(len(target), COMPACT)
        found["chosen"], found["bits"] = trials.chosen, trials.bits
        return found

    def _prior_bits(self, target: Values) -> NDArray[np.float64]:
        return np.asarray(-np.log2(np.array(self.prior) / sum(self.prior))[target])

    def value(self, target: Values, scores: NDArray[np.float64]) -> float:
        """The metric of the finding."""
        trials = self.trials(target, scores)
        if isinstance(trials, NumberTrials) and self.metric.name == "r2":
            return trials.r2()
        return trials.figures()[self.metric.name]

    def values(self, target: Values, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """The metric (M,) of scores (M, N, ...) of models, NaN where a score is no number."""
        return np.array(
            [
                self.value(target, of_model) if np.isfinite(of_model).all() else np.nan
                for of_model in scores
            ]
        )

    def loss(self, target: Values, scores: NDArray[np.float64]) -> float:
        """The metric turned so that lower is better; infinite where a score is no number."""
        return self.losses(target, scores)[0]

    def losses(self, target: Values, scores: NDArray[np.float64]) -> tuple[float, ...]:
        """What probes are chosen by, lower being better: `loss`; of classes cross-entropy too."""
        if not np.isfinite(scores).all():
            return (float("inf"),) * (2 if self.name == CLASSES else 1)
        if self.name != CLASSES:
            return (self.metric.loss(self.value(target, scores)),)
        figures = self.trials(target, scores).figures()
        return self.metric.loss(figures[self.metric.name]), figures["cross_entropy"]

    def resampled(
        self, target: Values, scores: NDArray[np.float64], resamples: Resamples
    ) -> NDArray[np.float64]:
        """The metric of the finding (R,) on resamples."""
        return self.trials(target, scores).resampled(resamples)[self.metric.name]

    def interval(
        self,
        value: float,
        resampled: NDArray[np.float64],
        resamples: Resamples,
        metric: Metric | None = None,
        level: float = LEVEL,
    ) -> Interval:
        """The interval of a figure: as an error rate's if it is a share, else by t.

        `metric` is by default that of the finding.
        """
        metric = metric or self.metric
        if not metric.share:
            return figure_interval(
                value,
                resampled,
                resamples=resamples,
                lowest=metric.lowest,
                highest=metric.highest,
                level=level,
            )
        if not metric.higher_is_better:
            return rate_interval(value, resampled, resamples, level)
        wrong = rate_interval(1 - value, 1 - resampled, resamples, level)
        return Interval(value, 1 - wrong.high, 1 - wrong.low)

    def difference(
        self,
        value: float,
        resampled: NDArray[np.float64],
        resamples: Resamples,
        level: float = LEVEL,
    ) -> Interval:
        """The interval of a difference of the metric."""
        if self.metric.share:
            return difference_interval(value, resampled, resamples, level)
        return figure_interval(value, resampled, resamples, level=level)

    def clusters(
        self, table: pd.DataFrame, unit: str, *, inside: bool = False, where: str = "utterance"
    ) -> Clusters:
        """What a bootstrap of trials draws: of units inside utterances at least whole utterances.

        Args:
            table: of the trials.
            unit: see `probing.metrics.clusters.columns_of`; `auto` draws no speakers where they are
                what is read.
            inside: whether trials are units inside utterances.
            where: what the trials are, for messages.
        """
        if unit == AUTO and self.target == SPEAKER:
            unit = UTTERANCE
        found = clusters_of(table, unit, where, by_class=self.is_spoofing)
        if not inside:
            return found
        clips = table[CLIP].to_numpy(object)
        # where nothing else can be drawn, as of one speaker, single trials are: of units these are
        # whole utterances
        return replace(
            found, factors=found.factors or (Factor(CLIP, clips),), ids=pd.util.hash_array(clips)
        )

    def draw(self, target: Values, clusters: Clusters, n: int, seed: int) -> Resamples:
        """Resamples of trials, stratified by class if there are two."""
        if self.name == BINARY:
            return draw(target, clusters, n=n, seed=seed, words=self.words)
        return draw(np.ones(len(target), bool), clusters, n=n, seed=seed, words=self.words)

    def counts(self, target: Values, trials: str = "utterances") -> dict[str, int]:
        """Trials by class, in the order of `words` or of the classes.

        A number has one count, named by what the trials are.
        """
        if self.name == NUMBER:
            return {trials: len(target)}
        if self.name == BINARY:
            positive, negative = (BONAFIDE, SPOOF) if self.is_spoofing else self.words
            return {positive: int(target.sum()), negative: int((~target).sum())}
        return {
            name: int(n)
            for name, n in zip(
                self.classes, np.bincount(target, minlength=len(self.classes)), strict=True
            )
        }

    def in_words(self, counts: Mapping[str, int]) -> str:
        """How many trials there are, for people.

        >>> SPOOFING.in_words({"bonafide": 20, "spoof": 30})
        '20 bona fide + 30 spoof'
        """
        if self.name == NUMBER:
            return ", ".join(f"{n} {trials}" for trials, n in counts.items())
        if self.name == BINARY:
            return " + ".join(
                f"{n} {word}" for n, word in zip(counts.values(), self.words, strict=True)
            )
        return f"{sum(counts.values())} of {sum(n > 0 for n in counts.values())} classes"

    def table(
        self, ids: Sequence[str], target: Values, scores: NDArray[np.float64]
    ) -> pd.DataFrame:
        """Predictions as files have them, one row a trial.

        Columns: utterance_id, target; of two classes score; of more predicted, and bits (-log2 of
        the probability given to the true class); of a number predicted.
        """
        if self.name == NUMBER:
            return pd.DataFrame({"utterance_id": ids, "target": target, "predicted": scores})
        names = np.array(self.classes, object)
        table = pd.DataFrame({"utterance_id": ids, "target": names[target.astype(np.intp)]})
        if self.name == BINARY:
            return table.assign(score=scores)
        trials = self.trials(target, scores)
        assert isinstance(trials, ClassTrials)
        return table.assign(predicted=names[trials.chosen], bits=trials.bits)

    def read(self, table: pd.DataFrame) -> Trials:
        """The trials of a table of predictions.

        Raises:
            ValueError: it is not one of this task.
        """
        if self.name == NUMBER:
            return number_trials(table["target"], table["predicted"])
        number = {name: i for i, name in enumerate(self.classes)}
        codes = [
            table[name].astype(str).map(number).fillna(-1).to_numpy(np.intp) for name in self._named
        ]
        if any((column < 0).any() for column in codes):
            raise ValueError("names a class that the run does not have")
        target = codes[0]
        if self.name == BINARY:
            return BinaryTrials(target == 1, table["score"].to_numpy(np.float64))
        bits = table["bits"].to_numpy(np.float64)
        return ClassTrials(
            target,
            codes[1],
            n_classes=len(self.classes),
            bits=bits,
            prior_bits=self._prior_bits(target),
        )

    @property
    def _named(self) -> tuple[str, ...]:
        return ("target",) if self.name == BINARY else ("target", "predicted")

    def as_dict(self) -> dict[str, Any]:
        """For the run record."""
        return {
            "name": self.target,
            "task": self.name,
            "metric": self.metric.name,
            "classes": list(self.classes),
            "prior": list(self.prior),
        }

    @classmethod
    def of(cls, record: dict[str, Any]) -> Task:
        """The task of a run record.

        >>> Task.of(SPOOFING.as_dict()) == SPOOFING
        True
        """
        metric = METRICS[record["metric"]]
        return cls(
            record["task"], record["name"], metric, tuple(record["classes"]), tuple(record["prior"])
        )


SPOOFING = Task(BINARY, "label", METRICS["eer"], (SPOOF, BONAFIDE))

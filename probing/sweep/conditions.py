"""Figures of linear probes by condition, and on attacks left out of the training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from cache.errors import OptionError
from probing.metrics import (
    Interval,
    Resamples,
    difference_interval,
    draw,
    eer,
    eer_resamples,
    rate_interval,
)
from probing.metrics.clusters import FEW_TRIALS
from probing.metrics.decomposition import POOLED, conditions, too_few
from probing.runs.condition_names import condition_name
from probing.sweep.experiments import BY_CONDITION, UNSEEN
from probing.sweep.fitting import Probe
from probing.sweep.results import Results
from probing.sweep.split import Split

MOST_LEFT_OUT = 200  # attacks, each of which takes a training of every layer
KEPT_NUMBERS = 50_000_000  # of resamples kept from layer to layer


@dataclass(frozen=True)
class Condition:
    """Some trials of a split.

    name: `attack=A07`, or `attack=A07,codec=opus` where several columns meet; see
        `probing.runs.condition_names`.
    part: of the sweep.
    rows: (n,) their places in the split.
    bonafide: (n,) true for bona fide.
    """

    name: str
    part: str
    rows: NDArray[np.intp]
    bonafide: NDArray[np.bool_]

    @property
    def counts(self) -> dict[str, int]:
        """Trials of each class."""
        return {"bonafide": int(self.bonafide.sum()), "spoof": int((~self.bonafide).sum())}


def conditions_of(
    splits: Mapping[str, Split],
    factors: Sequence[str],
    say: Callable[[str], None] = lambda text: None,
) -> list[Condition]:
    """Every condition of the evaluation sets, of each column alone and of the columns together.

    Which trials a condition has is what the official packages take (see
    `probing.metrics.decomposition`); a column is passed over in a corpus that does not have it, a
    condition if it has fewer than 5 trials of a class.

    Args:
        splits: part -> utterances.
        factors: columns.
        say: where to put which conditions have too few trials.

    Raises:
        ProbeError: no corpus has such a column.
    """
    for factor in factors:
        if not any(factor in split.table for split in splits.values()):
            columns = sorted({name for split in splits.values() for name in split.table.columns})
            raise OptionError(
                "by",
                factor,
                f"no evaluated cache has such a column. They have: {', '.join(columns)}",
            )
    found: list[Condition] = []
    dropped: list[Condition] = []
    for part, split in splits.items():
        known = [factor for factor in factors if factor in split.table]
        table = split.table[list(dict.fromkeys(["label", *known]))].reset_index(drop=True)
        for values, chosen in conditions(table, known) if known else ():
            name = condition_name(
                {factor: value for factor, value in values.items() if value != POOLED}
            )
            bonafide = chosen["label"].eq("bonafide").to_numpy()
            condition = Condition(name, part, chosen.index.to_numpy(), bonafide)
            if name:
                (dropped if too_few(chosen["label"]) else found).append(condition)
    if dropped:
        shown = ", ".join(
            f"{condition.name} ({min(condition.counts.values())})" for condition in dropped[:20]
        )
        others = f" and {len(dropped) - 20} more" if len(dropped) > 20 else ""
        say(f"Conditions left out, fewer than {FEW_TRIALS} trials of a class: {shown}{others}.")
    return found


@dataclass(frozen=True)
class LeftOut:
    """The training without each attack in turn.

    attacks: of the training set.
    rows: `train` and `dev` -> (attacks, N), what is trained and chosen on.
    conditions: attack -> where it is measured: its spoofs and every bona fide trial of dev and the
        evaluation sets.
    """

    attacks: list[str]
    rows: dict[str, NDArray[np.bool_]]
    conditions: dict[str, list[Condition]]


def leave_out(splits: Mapping[str, Split]) -> LeftOut:
    """Plan the training without each attack of the training set in turn.

    An attack is measured on every part that has it: evaluation sets, and dev, whose spoofs of that
    attack play no role in the choice of the strength. (In ASVspoof 2019 LA and later, eval has none
    of the attacks of train; dev has all.)

    Raises:
        ProbeError: train or dev would be left without spoofs.
    """
    train = splits["train"]
    attacks = sorted(train.table.loc[~train.bonafide, "attack"].unique())
    if len(attacks) > MOST_LEFT_OUT:
        raise OptionError(
            "unseen_attacks",
            True,
            f"the column attack of {train.corpus} has {len(attacks):,} values in train, and "
            "every layer would be trained as often; at most "
            f"{MOST_LEFT_OUT}. Leave it out, or name attacks by kinds",
        )
    rows = {}
    for part in ("train", "dev"):
        split = splits[part]
        rows[part] = np.stack(
            [split.bonafide | (split.table["attack"] != attack).to_numpy() for attack in attacks]
        )
        for attack, kept in zip(attacks, rows[part], strict=True):
            if not (kept & ~split.bonafide).any():
                raise OptionError(
                    "unseen_attacks",
                    True,
                    f"without {attack}, {part} of {split.corpus} has no spoofed utterances. "
                    "Expected two attacks or more, as the column "
                    f"attack has them: {', '.join(attacks)}",
                )
    measured: dict[str, list[Condition]] = {attack: [] for attack in attacks}
    for part, split in splits.items():
        for attack in attacks if part != "train" else ():
            chosen = np.flatnonzero(split.bonafide | (split.table["attack"] == attack).to_numpy())
            if not split.bonafide[chosen].all():
                measured[attack].append(
                    Condition(
                        condition_name({"attack": attack}), part, chosen, split.bonafide[chosen]
                    )
                )
    return LeftOut(attacks, rows, measured)


class ConditionFigures:
    """Adds the rows of conditions to the results, layer by layer.

    Args:
        results: of the run.
        splits: part -> utterances.
        by_condition: conditions of the probes trained on everything.
        left_out: of the probes trained without an attack; None where there are none.
        resamples: of the bootstrap.
        seed: of the bootstrap.
        interval_by: what it draws, see `Split.clusters`.
    """

    def __init__(
        self,
        results: Results,
        splits: Mapping[str, Split],
        by_condition: Sequence[Condition],
        left_out: LeftOut | None,
        resamples: int,
        seed: int,
        interval_by: str,
    ) -> None:
        self._results, self._splits = results, splits
        self._by_condition, self._left_out = by_condition, left_out
        self._n, self._seed = resamples, seed
        self._clusters = {
            part: split.clusters(interval_by) for part, split in splits.items() if part != "train"
        }
        self._drawn: dict[tuple[str, str], Resamples] = {}
        self._units: dict[tuple[str, str], str] = {}

    def add(self, layer: int, probe: Probe, without: Sequence[Probe]) -> None:
        """Add the rows of a layer.

        Args:
            layer: its number.
            probe: trained on everything, and scored.
            without: one trained without each attack.
        """
        for condition in self._by_condition:
            drawn = self._draw(condition)
            value, resampled = _rates(condition, probe, drawn)
            self._append(
                BY_CONDITION,
                "eer",
                condition=condition,
                layer=layer,
                probe=probe,
                interval=rate_interval(value, resampled, drawn),
            )
        for attack, other in zip(
            self._left_out.attacks if self._left_out else (), without, strict=True
        ):
            assert self._left_out is not None
            for condition in self._left_out.conditions[attack]:
                drawn = self._draw(condition)
                unseen, unseen_resampled = _rates(condition, other, drawn)
                seen, seen_resampled = _rates(condition, probe, drawn)
                figures = {
                    "eer": rate_interval(unseen, unseen_resampled, drawn),
                    "eer_seen": rate_interval(seen, seen_resampled, drawn),
                    "eer_excess": difference_interval(
                        unseen - seen, unseen_resampled - seen_resampled, drawn
                    ),
                }
                for metric, interval in figures.items():
                    self._append(
                        UNSEEN,
                        metric,
                        condition=condition,
                        layer=layer,
                        probe=other,
                        interval=interval,
                    )

    @property
    def otherwise(self) -> str:
        """Which conditions are drawn by something else than their corpus, and why, in words."""
        others = [
            f"{name} (by {unit})"
            for (part, name), unit in self._units.items()
            if unit != self._results.resamples[part].unit
        ]
        shown = ", ".join(others[:20]) + (
            f" and {len(others) - 20} more" if len(others) > 20 else ""
        )
        return (
            f"Intervals of conditions of one cluster are by another unit: {shown}."
            if others
            else ""
        )

    def _draw(self, condition: Condition) -> Resamples:
        """The resamples of a condition, kept for the next layer where they are few numbers (those
        of speakers are).
        """
        key = condition.part, condition.name
        if key in self._drawn:
            return self._drawn[key]
        chosen = self._clusters[condition.part].take(condition.rows)
        drawn = draw(condition.bonafide, chosen, n=self._n, seed=self._seed)
        self._units[key] = drawn.unit
        if sum(map(_n_numbers, self._drawn.values())) + _n_numbers(drawn) <= KEPT_NUMBERS:
            self._drawn[key] = drawn
        return drawn

    def _append(
        self,
        experiment: str,
        metric: str,
        condition: Condition,
        layer: int,
        probe: Probe,
        interval: Interval,
    ) -> None:
        split = self._splits[condition.part]
        where = {
            "split": split.name,
            "corpus": split.corpus,
            "condition": condition.name,
            "metric": metric,
        }
        row = {
            "experiment": experiment,
            "head": "linear",
            "layer": layer,
            "strength": probe.strength,
        }
        self._results.append({**row, **where, **asdict(interval)})


def _n_numbers(drawn: Resamples) -> int:
    return len(drawn.cluster) + (0 if drawn.stored is None else drawn.stored.size)


def _rates(
    condition: Condition, probe: Probe, drawn: Resamples
) -> tuple[float, NDArray[np.float64]]:
    scores = probe.scores[condition.part][condition.rows]
    return eer(condition.bonafide, scores), eer_resamples(condition.bonafide, scores, drawn)

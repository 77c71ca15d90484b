"""Systems to calibrate: runs or score files, calibrated on dev, measured on eval, and fused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache.errors import ProbeError, argument
from probing.calibration.affine import Calibration, calibrate, cost_note
from probing.labels import BONAFIDE
from probing.metrics import act_dcf, cllr, eer, min_dcf
from probing.metrics.calibration import min_cllr
from probing.metrics.eer import ScoresError
from probing.runs import Run
from probing.scores.files import read_scores
from probing.scores.joining import join

DEV = "dev"
EVAL = "eval"
FUSED = "fused"
RAW = "scores"
CALIBRATED = "calibrated"
FIGURES = ("eer", "cllr", "min_cllr", "act_dcf", "min_dcf")


@dataclass(frozen=True)
class System:
    """Scores of one system.

    name: for tables.
    parts: `dev`, and others that are only measured, each with `utterance_id`, `label`, `score` and
        what else is known.
    head: of a run, the name of the head; else empty.
    """

    name: str
    parts: Mapping[str, pd.DataFrame]
    head: str = ""


@dataclass(frozen=True)
class Calibrated:
    """Systems calibrated on dev, and what came of it.

    systems: names, in the order of the scales of `calibration`, which is that of all together.
    table: one row a system, part and form (`scores` or `calibrated`): `FIGURES`; several systems
        have a row `fused`. A calibration leaves EER, minCllr and minDCF as they are, unless every
        ratio is 1.
    trials: part -> its utterances with `score`, the log-likelihood ratio of all together; and
        `raw`, the scores of the only system, or those of the one of least minCllr on dev, for
        comparison.
    heads: what runs call them, or the names of systems of score files.
    """

    systems: tuple[str, ...]
    calibration: Calibration
    table: pd.DataFrame
    trials: Mapping[str, pd.DataFrame]
    heads: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know, in words."""
        found = [self.calibration.note] if self.calibration.note else []
        if EVAL not in self.trials:
            return (
                *found,
                "no scores of eval, so that these figures are of what it was made on, and too good",
            )
        table = self.trials[EVAL]
        note = cost_note(cllr(table["label"].eq(BONAFIDE), table["score"]))
        return (*found, note) if note else tuple(found)

    @property
    def title(self) -> str:
        """Whose scores these are, for a picture."""
        return self.systems[0] if len(self.systems) == 1 else f"{len(self.systems)} systems fused"


def system_of_run(run: Run, name: str) -> System:
    """The scores that a run stores of one of its heads, on dev, eval and further corpora."""
    if not run.task.is_spoofing:
        raise ProbeError(
            f"{run.folder}: its target is {run.task.target}; expected bona fide against spoof"
        )
    parts = [DEV, EVAL, *(f"{EVAL}.{corpus}" for corpus in run.corpora[1:])]
    return System(f"{run.folder}/{name}", {part: run.trials(name, part) for part in parts}, name)


def system_of_files(
    dev: Path, evaluated: Path | None = None, known: pd.DataFrame | None = None
) -> System:
    """Scores of files.

    Args:
        dev: scores to calibrate on. With keys that have splits and no `evaluated`, it may hold
            those of both.
        evaluated: scores to measure on.
        known: what the utterances are, from `read_keys` or a corpus; default what the files say.

    Raises:
        ProbeError: a file cannot be read, or says no labels.
    """
    scores = read_scores(dev)
    if evaluated is not None:
        parts = {
            DEV: _labelled(dev, scores, known),
            EVAL: _labelled(evaluated, read_scores(evaluated), known),
        }
        shared = set(parts[DEV]["utterance_id"]) & set(parts[EVAL]["utterance_id"])
        if shared:
            raise ScoresError(
                f"{dev} and {evaluated}: {len(shared):,} utterances are in both, as "
                f"{min(shared)}. What a calibration was made on says "
                "nothing about it. Give other files"
            )
        return System(_name(dev), parts)
    if known is not None and "split" in known and known["split"].isin([DEV, EVAL]).any():
        split = scores["utterance_id"].map(known.set_index("utterance_id")["split"])
        if {DEV, EVAL} <= set(split):
            return System(
                _name(dev), {name: join(scores[split == name], known, name) for name in (DEV, EVAL)}
            )
    return System(_name(dev), {DEV: _labelled(dev, scores, known)})


def calibrate_systems(systems: Sequence[System], prior: float = 0.5) -> Calibrated:
    """Calibrate each system on dev, and all together, and measure that on every part.

    Args:
        systems: with the same utterances in every part.
        prior: of bona fide, at which errors are to cost least; see `calibrate`.

    Raises:
        ProbeError: systems differ in their utterances, parts or labels, or a part lacks a class.

    >>> from probing.runs import Run
    >>> system = system_of_run(Run("results/demo.run"), "linear-layer-02")
    >>> list(calibrate_systems([system]).trials)
    ['dev', 'eval']
    """
    first = systems[0]
    parts = list(first.parts)
    aligned = {part: _aligned(systems, part) for part in parts}
    bonafide = {part: first.parts[part]["label"].eq(BONAFIDE).to_numpy() for part in parts}
    rows = []
    alone = [calibrate(bonafide[DEV], scores, prior) for scores in aligned[DEV]]
    together = alone[0] if len(alone) == 1 else calibrate(bonafide[DEV], aligned[DEV], prior)
    for i, system in enumerate(systems):
        for part in parts:
            scores = aligned[part][i]
            rows.append(_row(system.name, part, of=RAW, bonafide=bonafide[part], scores=scores))
            rows.append(
                _row(
                    system.name,
                    part,
                    of=CALIBRATED,
                    bonafide=bonafide[part],
                    scores=alone[i].apply(scores),
                )
            )
    ratios = {part: together.apply(aligned[part]) for part in parts}
    if len(systems) > 1:
        rows += [
            _row(FUSED, part, of=CALIBRATED, bonafide=bonafide[part], scores=ratios[part])
            for part in parts
        ]
    table = pd.DataFrame(rows)
    on_dev = table[(table["part"] == DEV) & (table["of"] == RAW)].reset_index(drop=True)
    best = int(on_dev["min_cllr"].argmin())
    trials = {
        part: first.parts[part].assign(score=ratios[part], raw=aligned[part][best])
        for part in parts
    }
    heads = tuple(system.head or system.name for system in systems)
    return Calibrated(
        tuple(system.name for system in systems), together, table=table, trials=trials, heads=heads
    )


def _row(
    name: str, part: str, of: str, bonafide: NDArray[np.bool_], scores: NDArray[np.float64]
) -> dict[str, object]:
    figures = {
        "eer": eer(bonafide, scores),
        "cllr": cllr(bonafide, scores),
        "min_cllr": min_cllr(bonafide, scores),
        "act_dcf": act_dcf(bonafide, scores),
        "min_dcf": min_dcf(bonafide, scores),
    }
    return {"system": name, "part": part, "of": of, **figures}


def _aligned(systems: Sequence[System], part: str) -> NDArray[np.float64]:
    """Scores (S, N) of a part in the order of the first system."""
    first = systems[0]
    table = first.parts[part]
    found = []
    for system in systems:
        if set(system.parts) != set(first.parts):
            raise ProbeError(
                f"{system.name} has scores of {', '.join(system.parts)}, {first.name} of "
                f"{', '.join(first.parts)}. Expected the same of all systems that are fused"
            )
        other = system.parts[part].set_index("utterance_id")
        lacking = set(table["utterance_id"]) ^ set(other.index)
        if lacking:
            raise ProbeError(
                f"{part}: {len(lacking):,} utterances have a score of one of {first.name} and "
                f"{system.name} only, as {min(lacking)}. Expected scores of the same utterances"
            )
        other = other.loc[table["utterance_id"]]
        if (other["label"].to_numpy() != table["label"].to_numpy()).any():
            raise ProbeError(
                f"{part}: {first.name} and {system.name} have other labels for the same utterances"
            )
        found.append(other["score"].to_numpy(np.float64))
    scores = np.stack(found)
    if not np.isfinite(scores).all():
        raise ScoresError(
            f"{part}: {int((~np.isfinite(scores)).sum())} scores are not finite. Score them anew"
        )
    return scores


def _labelled(path: Path, scores: pd.DataFrame, known: pd.DataFrame | None) -> pd.DataFrame:
    if known is None and "label" not in scores:
        raise ScoresError(
            f"{path}: its scores carry no labels. Say what the utterances are: "
            f"{argument('corpus', 'SPEC')} or {argument('keys', 'FILE')}"
        )
    if known is None:
        return scores
    return join(
        scores,
        known[known["utterance_id"].isin(scores["utterance_id"])]
        if "split" not in known
        else known,
    )


def _name(path: Path) -> str:
    """A name of a file without what says its form and part."""
    name = path.name
    for end in (".gz", ".txt", ".tsv", ".csv", ".dev"):
        name = name.removesuffix(end)
    return name

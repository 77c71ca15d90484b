"""The table of attacks: figures of every judge, paired with those of clean clips."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.robustness.figures import CLEAN, Scored
from analysis.runs.loaded_run import LoadedRun
from probing.augmentation.smoothing import Smoothing
from probing.robustness.attacks import Attack
from probing.serving.candidates import Candidate

WHITE, SAME, OTHER = "white box", "other head", "other backbone"  # what an attack knows of a judge
OF_CONDITIONS = ("experiment", "head", "at", "condition")  # columns of other tables


class AttackTable:
    """Rows of figures of attacks, one after the other; see `Attacks`."""

    def __init__(
        self,
        runs: Sequence[LoadedRun],
        names: Sequence[str],
        heads: Sequence[Sequence[Candidate]],
        trials: pd.DataFrame,
        bonafide: NDArray[np.bool_],
    ) -> None:
        self.runs, self.names, self.heads, self.bonafide = runs, names, heads, bonafide
        self.ids = list(trials["utterance_id"])
        self.weights = [run.record.fingerprint.get("backbone_weights_sha256") for run in runs]
        self.drawn = runs[0].draw(trials)
        self.scored: dict[tuple[int, int, int], Scored] = {}
        self.rows: list[dict[str, Any]] = []

    def frame(self) -> pd.DataFrame:
        """The table."""
        return pd.DataFrame(self.rows)

    def add_clean(
        self, way: Smoothing, scores: Sequence[Mapping[str, NDArray[np.float64]]]
    ) -> None:
        """Add the figures of all judges on clean clips."""
        for j, k, about in self._judges():
            self.scored[j, k, way.smooth] = Scored(self.runs[j], about, self.bonafide, self.drawn)
            self._add(
                j,
                k,
                about=about,
                way=way,
                scores=scores,
                attack=CLEAN,
                source={"source": "", "source_head": "", "access": ""},
                ratio=np.nan,
            )

    def add(
        self,
        source: Candidate,
        attack: Attack,
        way: Smoothing,
        scores: Sequence[Mapping[str, NDArray[np.float64]]],
        ratio: float,
    ) -> None:
        """Add the figures of all judges on the clips of an attack."""
        for j, k, about in self._judges():
            access = (
                OTHER
                if self.weights[j] != self.weights[0]
                else WHITE
                if not j and about == source
                else SAME
            )
            about_source = {"source": self.names[0], "source_head": source.name, "access": access}
            self._add(
                j,
                k,
                about=about,
                way=way,
                scores=scores,
                attack=attack,
                source=about_source,
                ratio=ratio,
            )

    def _judges(self) -> Iterable[tuple[int, int, Candidate]]:
        return (
            (j, k, about) for j, of_run in enumerate(self.heads) for k, about in enumerate(of_run)
        )

    def _add(
        self,
        j: int,
        k: int,
        about: Candidate,
        way: Smoothing,
        scores: Sequence[Mapping[str, NDArray[np.float64]]],
        attack: Attack | str,
        source: dict[str, str],
        ratio: float,
    ) -> None:
        scored = self.scored[j, k, way.smooth]
        own = np.array([scores[j][name][k] for name in self.ids])
        name = attack if isinstance(attack, str) else attack.name
        figures = scored.row(name, own)
        right = (scored.clean >= scored.threshold) == self.bonafide
        wrong = (own >= scored.threshold) != self.bonafide
        side = np.where(self.bonafide, 1.0, -1.0)
        losses = [np.logaddexp(0, -side * scores).mean() for scores in (scored.clean, own)]
        self.rows.append(
            {
                **source,
                "judge": self.names[j],
                "judge_head": about.name,
                "attack": name,
                "method": "" if isinstance(attack, str) else attack.method,
                "eps": 0 if isinstance(attack, str) else attack.eps,
                "smooth": way.smooth,
                "n_bonafide": int(self.bonafide.sum()),
                "n_spoof": int((~self.bonafide).sum()),
                **{key: value for key, value in figures.items() if key not in OF_CONDITIONS},
                "success": 100 * float(wrong[right].mean()) if right.any() else np.nan,
                "loss": losses[1],
                "loss_rise": losses[1] - losses[0],
                "snr_db": ratio,
            }
        )

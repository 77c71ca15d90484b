"""Where scores and verdicts are written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache.atomic import replaced
from probing.labels import are_of_spoofing
from probing.scores.files import write_scores
from probing.scores.names import Form
from probing.scores.options import ScoreOptions
from probing.serving.server import Server
from probing.serving.verdict import Verdicts


@dataclass(frozen=True)
class Output:
    """Where scores go: a file of a form, of scores or of likelihood ratios; or nowhere."""

    server: Server
    file: Path | None
    options: ScoreOptions

    def write(self, table: pd.DataFrame, values: NDArray[np.float64]) -> None:
        """Write a score file."""
        if self.file is None:
            return
        labelled = "label" in table and are_of_spoofing(table["label"])
        reference = self.server.reference if self.options.calibrated else None
        scores = values if reference is None else reference.calibration.apply(values)
        form = self.options.form or ("2019" if labelled else "2021")
        write_scores(self.file, table, scores, cast("Form", form))


def write_verdicts(file: Path, verdicts: Verdicts) -> None:
    """Write verdicts as a table, .csv, or as JSON; whole or not at all."""
    with replaced(file) as partial:
        if file.suffix.lower() == ".csv":
            verdicts.table().to_csv(partial, index=False)
        else:
            partial.write_text(verdicts.json() + "\n", encoding="utf-8")

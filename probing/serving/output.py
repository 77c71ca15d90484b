"""Where scores and verdicts are written."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache.atomic import replaced
from cache.errors import argument
from probing.labels import are_of_spoofing
from probing.scores.files import write_scores
from probing.scores.names import Form
from probing.scores.options import ScoreOptions
from probing.serving.candidates import ServingError
from probing.serving.server import Server
from probing.serving.verdict import Verdicts


class Output:
    """Where scores go: a file of a form, of scores or of likelihood ratios; or nowhere."""

    def __init__(self, server: Server, file: Path | None, options: ScoreOptions) -> None:
        self.server = server
        self.file = file
        self.options = options
        if options.calibrated and file is None:
            raise ServingError(
                f"{argument('calibrated')}: says what {argument('out')} holds. Name a score file"
            )
        if options.calibrated and server.reference is None:
            raise ServingError(
                f"{argument('calibrated')}: {server.where} is of an earlier version and has no "
                "calibration. Write it again: probe export RUN DIR"
            )

    def check(self, table: pd.DataFrame, where: str) -> None:
        """Refuse a form that the labels of a table do not fill."""
        if self.options.form == "2019" and not are_of_spoofing(table["label"]):
            raise ServingError(
                f"{argument('form', '2019')}: {where} has utterances without label of bona fide "
                f"or spoof. Type {argument('form', '2021')}"
            )

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

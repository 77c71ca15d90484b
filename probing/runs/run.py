"""A finished run, open for reading."""

from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import ProbeError
from cache.bounds import read_parquet
from cache.errors import as_flag, quoted
from probing.labels import BONAFIDE
from probing.metrics import Resamples
from probing.metrics.clusters import Clusters
from probing.runs.form import RECORD, RESULTS, UTTERANCES
from probing.runs.record import RunRecord
from probing.runs.tables_form import check_results, check_utterances
from probing.scores.official import read_official
from probing.sealing import check_file, read_record
from probing.targets.metrics import BINARY, NUMBER, Metric
from probing.targets.task import Task, Trials

RUN = RECORD

# what tables and records of others raise when they are not what a run has
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError)


class Run:
    """A finished run, open for reading.

    Attributes:
        folder, record (run.json, typed: `RunRecord`), results (DataFrame, one row a figure).

    Raises:
        ProbeError: there is no run in the folder, or it is damaged; every file is compared when it
            is read.

    >>> run = Run("results/demo.run")
    >>> run.metric.name, run.record.finding.last
    ('eer', 4)
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            raw = read_record(self.folder / RUN)[0]
            check_file(self.folder / RESULTS)
            self.results = read_parquet(self.folder / RESULTS)
            self.record = RunRecord(raw)
            check_results(self.results, raw)
        except UNREADABLE as error:
            raise ProbeError(
                f"{self.folder}: no run here that can be read "
                f"({error}). Make one: probe sweep CACHE"
            ) from None

    @property
    def id(self) -> str:
        """What tells the run from every other: of its record, which has the sums of its files.

        >>> len(Run("results/demo.run").id)
        16
        """
        return sha256((self.folder / RUN).read_bytes()).hexdigest()[:16]

    @property
    def sentence(self) -> str:
        """The finding in words."""
        return self.record.sentence

    @property
    def corpora(self) -> list[str]:
        """Names of the corpora evaluated on; the findings are about the first."""
        return self.record.corpora

    def rows(self, experiment: str, split: str = "eval", corpus: str | None = None) -> pd.DataFrame:
        """Rows of the results of an experiment and a split; see `probing.sweep.results`.

        Args:
            experiment: as `layer`.
            split: eval or dev.
            corpus: one of those evaluated on; default the first; without effect on dev.

        Raises:
            ProbeError: the run did not evaluate on such a corpus.
        """
        if corpus is not None and corpus not in self.corpora:
            raise ProbeError(
                f"{self.folder}: not evaluated on {corpus!r}, only on {', '.join(self.corpora)}"
            )
        table = self.results[
            (self.results["experiment"] == experiment) & (self.results["split"] == split)
        ]
        return table if split == "dev" else table[table["corpus"] == (corpus or self.corpora[0])]

    @property
    def backbone(self) -> str:
        """Name of the backbone."""
        return self.record.backbone

    @property
    def n_blocks(self) -> int:
        """L, the number of the last layer."""
        return self.record.finding.last

    @property
    def task(self) -> Task:
        """What was read from the layers."""
        return self.record.task

    @property
    def metric(self) -> Metric:
        """The metric of the findings."""
        return self.task.metric

    def trials(self, name: str, part: str = "eval") -> pd.DataFrame:
        """Scores of a head with whose they are: `utterance_id`, `label`, `speaker`, `attack`,
        conditions, `score`.

        Of another target than bona fide against spoof, the columns of
        `probing.targets.task.Task.table` instead of `score`; `run.task.read(table)` makes figures
        of them.

        Args:
            name: as the files of `scores` are called, such as `linear-layer-06` or
                `weighted-sum+linear-depth-06`.
            part: `dev`, `eval`, or `eval.CORPUS` of a further corpus.

        Raises:
            ProbeError: no such scores, or a run of a version that did not keep its utterances.
        """
        suffix = "txt" if self.task.is_spoofing else "parquet" if self.record.unit else "csv"
        path = file_in(self.folder / "scores", f"{name}.{part}.{suffix}")
        if not path.is_file():
            there = sorted(
                file.name.removesuffix(f".eval.{suffix}")
                for file in path.parent.glob(f"*.eval.{suffix}")
            )
            raise ProbeError(f"{path}: no such scores. There are: {', '.join(there)}")
        table = self.trials_of(part)
        scores = read_official(path) if self.task.is_spoofing else self._predictions(path)
        own = [name for name in scores if name in table and name != "utterance_id"]
        table = table.rename(columns={name: f"own_{name}" for name in own})
        # as a sweep writes them
        if table["utterance_id"].tolist() == scores["utterance_id"].tolist():
            columns = {name: scores[name].to_numpy() for name in scores if name != "utterance_id"}
            return table.reset_index(drop=True).assign(**columns)
        joined = table.merge(scores, on="utterance_id", how="inner", validate="one_to_one")
        if not len(joined) == len(table) == len(scores):
            raise ProbeError(
                f"{path}: not the scores of the {len(table)} "
                "utterances of the run. Make the run again"
            )
        return joined

    def trials_of(self, part: str = "eval") -> pd.DataFrame:
        """Whose the trials of a part are, as `trials` has it, without scores.

        Args:
            part: as there.

        Raises:
            ProbeError: as there.
        """
        table = self._utterances
        table = table[table["part"] == part].drop(columns="part")
        if table.empty:
            raise ProbeError(
                f"{self.folder / UTTERANCES}: has no utterances of {part}. Make the run again"
            )
        return table.dropna(axis=1, how="all")

    @cached_property
    def _utterances(self) -> pd.DataFrame:
        """The table of utterances, read and checked once."""
        try:
            check_file(self.folder / UTTERANCES)
            table = read_parquet(self.folder / UTTERANCES)
            check_utterances(table, self.task.is_spoofing)
        except UNREADABLE as error:
            raise ProbeError(
                f"{self.folder}: its utterances cannot be read ({error}). Make it again: probe "
                f"sweep {quoted(self.record.cache_folder)} "
                f"{as_flag('out', str(self.folder))} {as_flag('overwrite')}"
            ) from None
        return table

    def _predictions(self, path: Path) -> pd.DataFrame:
        """A table of predictions, checked."""
        numbers = {"score", "bits"} | (
            {"target", "predicted"} if self.task.name == NUMBER else set()
        )
        try:
            check_file(path)
            if path.suffix == ".parquet":
                table = read_parquet(path)
            else:
                table = pd.read_csv(path, dtype=str, keep_default_na=False)
            table = table.assign(
                **{name: pd.to_numeric(table[name]) for name in numbers if name in table}
            )
            self.task.read(table)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ProbeError(f"{path}: cannot be read ({error}). Make the run again") from None
        return table

    def positive(self, trials: pd.DataFrame) -> NDArray[np.bool_]:
        """Which trials (N,), as `trials` gives them, are of the positive class.

        All are, if there are more than two classes.
        """
        task = self.task
        if task.name != BINARY:
            return np.ones(len(trials), bool)
        named, positive = ("label", BONAFIDE) if task.is_spoofing else ("target", task.words[0])
        return trials[named].eq(positive).to_numpy(bool)

    def scored(self, trials: pd.DataFrame) -> Trials:
        """Trials, as `trials` gives them, with their figures and those of resamples."""
        if self.task.is_spoofing:
            return self.task.trials(self.positive(trials), trials["score"].to_numpy())
        return self.task.read(trials)

    def draw(
        self, trials: pd.DataFrame, n: int | None = None, seed: int | None = None
    ) -> Resamples:
        """Resamples of trials, as `trials` gives them.

        By default as many as the sweep had, with its seed.
        """
        options = self.record.options
        seed = options.seed if seed is None else seed
        return self.task.draw(
            self.positive(trials), self.clusters(trials), n or options.resamples, seed
        )

    def clusters(self, trials: pd.DataFrame) -> Clusters:
        """What a bootstrap of these trials draws, as in the sweep."""
        return self.task.clusters(
            trials, self.record.options.interval_by, inside=bool(self.record.unit)
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r}: {self.sentence})"


def file_in(folder: Path, name: str) -> Path:
    """The file of a name in a folder of a run.

    Raises:
        ProbeError: the name, which anybody may have written, leads out.

    >>> file_in(Path("demo.run/heads"), "linear.safetensors").name
    'linear.safetensors'
    """
    if not name or Path(name).name != name or "\\" in name or "\0" in name:
        raise ProbeError(
            f"{folder.parent}: {name!r} is no name of a file in its folder {folder.name}. "
            "Expected a head that the run has; if the run itself "
            "says so, make it again: probe sweep CACHE"
        )
    return folder / name

"""Runs as a notebook wants them, one or several.

import analysis
run = analysis.load("results/demo.run")
run.layers, run.depths, run.contributions, run.costs      # DataFrames
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import overload

import pandas as pd

from analysis.runs.kinds import RUN, expect
from analysis.runs.loaded_run import LoadedRun
from cache import ProbeError
from probing.runs import Run


class Runs(Sequence[LoadedRun]):
    """Several runs; their frames are one below the other with a column `run` before.

    >>> runs = load_many(["results/demo.run", "results/random.run"])
    >>> list(runs.layers)[:2]
    ['run', 'split']
    """

    def __init__(self, runs: Iterable[LoadedRun]) -> None:
        self._runs = list(runs)

    @overload
    def __getitem__(self, index: int) -> LoadedRun: ...

    @overload
    def __getitem__(self, index: slice) -> Runs: ...

    def __getitem__(self, index: int | slice) -> LoadedRun | Runs:
        """The run at a place, or some of them."""
        return Runs(self._runs[index]) if isinstance(index, slice) else self._runs[index]

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[LoadedRun]:
        return iter(self._runs)

    def __repr__(self) -> str:
        return "\n".join(map(repr, self._runs))

    @property
    def names(self) -> list[str]:
        """A name for each: its backbone, and where two have the same its folder too.

        It is the path of the folder if two folders have one name.
        """
        backbones = [run.backbone for run in self]
        folders = [(run.backbone, run.folder.resolve().name) for run in self]
        return [
            name
            if backbones.count(name) == 1
            else f"{name} ({folder if folders.count((name, folder)) == 1 else run.folder})"
            for (name, folder), run in zip(folders, self, strict=True)
        ]

    @property
    def summary(self) -> pd.DataFrame:
        """One row a run; see `LoadedRun.summary`."""
        return pd.DataFrame([run.summary for run in self])

    @property
    def layers(self) -> pd.DataFrame:
        """See `LoadedRun.layers`."""
        return self._stacked([run.layers for run in self])

    @property
    def depths(self) -> pd.DataFrame:
        """See `LoadedRun.depths`."""
        return self._stacked([run.depths for run in self])

    @property
    def contributions(self) -> pd.DataFrame:
        """See `LoadedRun.contributions`."""
        return self._stacked([run.contributions for run in self])

    @property
    def costs(self) -> pd.DataFrame:
        """See `LoadedRun.costs`."""
        return self._stacked([run.costs for run in self])

    def _stacked(self, tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
        named = [table.assign(run=name) for name, table in zip(self.names, tables, strict=True)]
        table = pd.concat([part for part in named if len(part)] or named[:1], ignore_index=True)
        return table[["run", *(name for name in table if name != "run")]]

    def _repr_html_(self) -> str:
        return str(self.summary.to_html())


def load(run: str | Path | Run, corpus: str | None = None) -> LoadedRun:
    """Open a run with its figures as data frames.

    Args:
        run: its folder, or the run that `probing.sweep.sweep` gave.
        corpus: of those evaluated on, the one to look at; default that of the findings.

    Raises:
        ProbeError: there is no run in the folder, or it was not evaluated on the corpus.

    >>> run = load("results/demo.run")
    >>> list(run.layers.columns)[:5]
    ['split', 'layer', 'relative_depth', 'eer', 'low']
    """
    if isinstance(run, LoadedRun) and corpus in (None, run.corpus):
        return run
    if isinstance(run, pd.DataFrame):
        raise ProbeError(
            "a table, where a run is expected: this needs more "
            "than that. Give the run, or its folder"
        )
    folder = run.folder if isinstance(run, Run) else Path(run)
    expect(folder, RUN)
    return LoadedRun(folder, corpus)


def load_many(
    runs: str | Path | Run | Iterable[str | Path | Run], corpus: str | None = None
) -> Runs:
    """Open several runs.

    Args:
        corpus: see `load`.
        runs: folders or runs; or one folder, of which every run in it is taken, in the order of the
            names.

    Raises:
        ProbeError: no run there.

    >>> len(load_many(["results/demo.run", "results/random.run"]))
    2
    """
    if isinstance(runs, Runs) and corpus is None:
        return runs
    if isinstance(runs, (Run, pd.DataFrame)):
        runs = [runs]
    if isinstance(runs, (str, Path)):
        folder = Path(runs)
        within = (
            []
            if (folder / "run.json").is_file()
            else sorted(path.parent for path in folder.glob("*/run.json"))
        )
        runs = within or [folder]
    return Runs([load(run, corpus) for run in runs])

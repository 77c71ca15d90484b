"""The command `probe transfer`."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analysis.commands.arguments import AsJson, TableFile
from analysis.commands.features import Classes, Features
from analysis.commands.files import TABLES, check_one_output, check_suffix, is_output, save
from analysis.commands.parameters import Only, with_options
from analysis.commands.printing import out, print_frame, print_json
from analysis.runs.kinds import CACHE, RUN, expect_each
from cache.errors import OptionError, ProbeError
from probing.options import NAMES, option
from probing.progress import several

if TYPE_CHECKING:
    import pandas as pd

    from cache import Cache
    from probing.runs import Run


SCORES = ("logme", "h_score", "transrate", "gbc")
ScoredCaches = Annotated[
    list[Path], typer.Argument(metavar="CACHE...", help="Caches, of one or several backbones.")
]
RunsOfCaches = Annotated[
    list[Path] | None,
    typer.Option(
        "--run",
        metavar="RUN",
        help="Run of each cache, in order: how well the scores foretell it.",
    ),
]


@dataclass(frozen=True)
class ScoreKinds:
    """Which scores of transferability, and of which features."""

    scores: tuple[str, ...] = option(
        None,
        "Which; LogME alone takes about two thirds of the time of all.",
        metavar="LIST",
        syntax=NAMES,
        text=",".join(SCORES),
    )
    raw: bool = option(False, "Features as they are, as published, instead of standardised.")

    def __post_init__(self) -> None:
        if not self.scores or not {*self.scores} <= {*SCORES}:
            given = ",".join(self.scores)
            raise OptionError("scores", given, f"expected some of {', '.join(SCORES)}")


@with_options
def transfer(
    caches: ScoredCaches,
    runs: RunsOfCaches = None,
    file: TableFile = None,
    *,
    classes: Classes,
    kinds: ScoreKinds,
    features: Annotated[Features, Only("layers", "tier", "memory_gb")],
    as_json: AsJson = False,
) -> None:
    """Score layers without training: LogME, H-score, TransRate, GBC; higher promises a better
    probe.

    \b
    probe transfer results/demo.cache --run results/demo.run
    probe transfer wavlm.cache hubert.cache whisper.cache --out scores.csv
    """
    check_one_output(file, as_json)
    if file:
        check_suffix(file, TABLES)
    _check_folders(caches, runs or ())
    opened = [import_module("cache").Cache(folder) for folder in caches]
    foretold = _open_runs(runs or (), opened, classes.target)
    table = _scores(opened, classes, kinds, features)
    transferability = import_module("analysis.transferability")
    found = transferability.predicts(_alone(foretold), table) if foretold else None
    if as_json:
        shown = None if found is None else found.reset_index(drop=True)
        print_json({"scores": table.reset_index(), "foretold": shown})
    elif not is_output(file):
        _show(table, found, foretold)
    if file:
        save(file, None, table.reset_index())


def _check_folders(caches: Sequence[Path], runs: Sequence[Path]) -> None:
    """Refuse another number of runs than of caches, and what is neither or is named twice."""
    if runs and len(runs) != len(caches):
        of_each = f"{several(len(runs), 'run')} for the scores of {several(len(caches), 'cache')}"
        raise ProbeError(f"{of_each}. Name the run of each cache, in their order")
    expect_each(caches, CACHE)
    expect_each(runs, RUN)


def _open_runs(folders: Sequence[Path], caches: "Sequence[Cache]", target: str) -> "list[Run]":
    """The runs; refuse those of other caches, or of another target, before layers are scored."""
    if not folders:
        return []
    module = import_module("probing.runs")
    runs = [module.Run(folder) for folder in folders]
    for run, cache in zip(runs, caches, strict=True):
        module.check_cache(run, cache)
    import_module("analysis.transferability.prediction").check_targets(runs, target)
    return runs


def _scores(
    caches: "Sequence[Cache]", classes: Classes, kinds: ScoreKinds, features: Features
) -> "pd.DataFrame":
    """The scores of every layer of the caches."""
    found: pd.DataFrame = import_module("analysis.transferability").transfer_scores(
        _alone(caches),
        features.layers,
        {"split": classes.split},
        target=classes.target,
        labels=classes.labels,
        scores=kinds.scores,
        standardize=not kinds.raw,
        tier=features.tier,
        memory_gb=features.memory_gb,
    )
    return found


def _alone(several: Sequence[Any]) -> Any:
    """The list, or what is alone in it; then the table has no column for the backbone."""
    return several if len(several) > 1 else several[0]


def _show(table: "pd.DataFrame", found: "pd.DataFrame | None", runs: "Sequence[Run]") -> None:
    """The scores on the terminal, and how well they foretell the probes of runs."""
    print_frame(table)
    if "transrate" in table:
        out.print(
            "TransRate: each class centred by its own mean and "
            "weighted by its size; beside it shuffled labels."
        )
    if found is not None:
        metric = runs[0].metric
        better = f"{'higher' if metric.higher_is_better else 'lower'} {metric.called}"
        out.print(
            f"\nRank correlation with the probes' {metric.called} on eval, "
            f"1 where the higher score has the {better}:",
            markup=False,
        )
        print_frame(found.set_index(["over", "score"]))

"""Edited runs: a real run with one value of run.json, or one column of a table, removed or changed,
for every reader.

`changes` gives what can be done to a run, `readers` everything that reads one. All it may raise is
a ProbeError.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import analysis
from analysis.plots.terminal import text_curve
from analysis.reports.report import corpora_table, layer_table
from analysis.runs.rerun import commands
from cache import Cache, ProbeError
from probing.runs import Run
from probing.serving.heads import choose_head

ODD_VALUES: tuple[Any, ...] = (None, [], {}, "odd", -1, 10**18, 1.5, float("nan"), ["other"], True)
FRAMES = ("layers", "depths", "contributions", "costs", "controls", "summary", "utterances")
Edit = Callable[[Path], None]


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is a value in a record: the keys to it."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in items:
        yield (*at, key)
        yield from places(inner, (*at, key))


def edit_record(place: tuple[Any, ...], *value: Any) -> Edit:
    """Set the value at a place, or without one remove it."""

    def edit(folder: Path) -> None:
        record = unsealed(folder)
        inner = record
        for key in place[:-1]:
            inner = inner[key]
        if value:
            inner[place[-1]] = value[0]
        else:
            del inner[place[-1]]
        (folder / "run.json").write_text(json.dumps(record))

    return edit


def edit_table(file: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Edit:
    """Rewrite a table."""

    def edit(folder: Path) -> None:
        (folder / "run.json").write_text(json.dumps(unsealed(folder)))
        change(pd.read_parquet(folder / file)).to_parquet(folder / file, index=False)

    return edit


def unsealed(folder: Path) -> dict[str, Any]:
    """The record of a run without its checksums, as versions wrote it that kept none: else they
    refuse every edit.
    """
    record: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return {name: value for name, value in record.items() if name not in ("files", "checksum")}


def changes(run: Path) -> Iterator[tuple[str, Edit]]:
    """Every change, by name: each key removed and set to odd values, each column removed, emptied
    and changed.
    """
    for place in places(unsealed(run)):
        name = "run.json " + ".".join(map(str, place))
        yield f"{name} removed", edit_record(place)
        for value in ODD_VALUES:
            yield f"{name} = {value!r}", edit_record(place, value)
    for file in ("results.parquet", "utterances.parquet"):
        table = pd.read_parquet(run / file)
        yield f"{file} without rows", edit_table(file, lambda t: t.head(0))
        yield f"{file} twice", edit_table(file, lambda t: pd.concat([t, t]))
        for part in table.columns:
            odd: dict[str, Callable[[pd.DataFrame], Any]] = {
                "text": lambda t: "odd",
                "-1": lambda t: -1,
                "missing": lambda t: None,
                "large": lambda t: 1e308,
                "infinite": lambda t: np.inf,
                "reversed": lambda t, part=part: t[part].to_numpy()[::-1],  # type: ignore[misc]
                "lists": lambda t: [[1]] * len(t),
            }
            yield (
                f"{file} {part} removed",
                edit_table(file, lambda t, part=part: t.drop(columns=part)),
            )  # type: ignore[misc]
            for what, values in odd.items():
                change = lambda t, part=part, values=values: t.assign(**{part: values(t)})  # noqa: E731
                yield f"{file} {part} {what}", edit_table(file, change)
    results = pd.read_parquet(run / "results.parquet")
    for experiment in results["experiment"].unique():
        without = lambda t, experiment=experiment: t[t["experiment"] != experiment]  # noqa: E731
        yield f"results.parquet without {experiment}", edit_table("results.parquet", without)
    for i in range(0, len(results), max(1, len(results) // 40)):
        yield (
            f"results.parquet without row {i}",
            edit_table("results.parquet", lambda t, i=i: t.drop(index=i)),
        )  # type: ignore[misc]


def readers(run: Path, other: Path, out: Path, cache: Cache) -> dict[str, Callable[[], object]]:
    """Everything that reads a run, by name."""

    def plot(draw: Callable[[], object]) -> Callable[[], object]:
        def drawn() -> None:
            draw()
            plt.close("all")

        return drawn

    return {
        "sentence": lambda: (repr(Run(run)), Run(run).sentence),
        "frames": lambda: [getattr(analysis.load(run), name) for name in FRAMES],
        "html": lambda: analysis.load(run)._repr_html_(),
        "by": lambda: (analysis.load(run).by("attack"), analysis.load(run).by("attack", "dev", 10)),
        "many": lambda: analysis.load_many([run, other]).summary,
        "trials": lambda: Run(run).clusters(Run(run).trials("linear-layer-02")),
        "tables": lambda: (
            layer_table(run),
            corpora_table(Run(run)),
            commands(Run(run)),
            text_curve(Run(run)),
        ),
        "heads": lambda: (choose_head(Run(run)), choose_head(Run(run), name="linear-layer-02")),
        "compare": lambda: analysis.compare([run, other], resamples=100),
        "compare heads": lambda: analysis.compare(
            [other, run], "weighted-sum+linear", resamples=100
        ),
        "transfer": lambda: analysis.predicts(
            Run(run), analysis.transfer_scores(cache, scores=["gbc"])
        ),
        "layers": plot(lambda: analysis.layer_curve([run, other])),
        "depths": plot(lambda: analysis.depth_curve(run)),
        "both depths": plot(lambda: analysis.depth_curve([run, other])),
        "gates": plot(lambda: analysis.gate_curve(run)),
        "weights": plot(lambda: analysis.weight_curve(run)),
        "ablation": plot(lambda: analysis.ablation_curve(run)),
        "corpora": plot(lambda: analysis.corpora_curve(run)),
        "conditions": plot(lambda: analysis.condition_map(run)),
        "det": plot(lambda: analysis.det_curve(run)),
        "report": plot(lambda: analysis.save_report(run, out / "r.html", False)),
    }


def outcome(read: Callable[[], object]) -> str:
    """`read`, `refused`, or what was raised."""
    try:
        read()
    except ProbeError:
        return "refused"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:100]}"
    return "read"


def try_all(
    run: Path,
    other: Path,
    work: Path,
    cache: Cache,
    chosen: Callable[[int], bool],
    only: Callable[[str], bool],
) -> tuple[dict[str, int], list[str]]:
    """Try the changes that are chosen by their number; gives counts of outcomes and every one that
    is wrong.
    """
    counts, wrong = {"edits": 0, "read": 0, "refused": 0}, []
    for number, (name, edit) in enumerate(changes(run)):
        if not chosen(number):
            continue
        copy = work / "edited.run"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(run, copy)
        try:
            edit(copy)
        except Exception:  # parquet cannot hold it
            continue
        counts["edits"] += 1
        opened = outcome(lambda copy=copy: Run(copy))  # type: ignore[misc]
        for reader, read in readers(copy, other, work, cache).items():
            if opened == "refused" and reader not in ("frames", "heads"):
                continue
            if not only(reader):
                continue
            found = outcome(read)
            if found in counts:
                counts[found] += 1
            else:
                wrong.append(f"{name}: {reader}: {found}")
    return counts, wrong

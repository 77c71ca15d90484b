"""Views against the clean extraction, side by side: processor time of all views / (their number x
the clean one).

    python tests/benchmarks/views_speed.py [--backbone SPEC] [--corpus SPEC] [--clips 60] \
        [--grid GRID] [--rounds 3]

The aim is 1.15. Transforms that cost more than that beside a small model are told by --each, which
takes one at a time.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from figures import figure

from cache import Cache
from probing.corpora import load_corpus
from probing.extraction import Machine, Options, extract
from probing.robustness import GRID, Condition, parse_grid
from probing.robustness.views import extract_views


def quiet(text: str) -> None:
    """Take what would be printed."""


def busy(work: Callable[[], object]) -> float:
    """Processor time of one call."""
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    """Print the ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--backbone", default="embedded")
    parser.add_argument("--corpus", default="demo")
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--grid", default=GRID)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--each", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    corpus = load_corpus(asked.corpus)
    table = (
        corpus.utterances.iloc[:: max(1, len(corpus) // asked.clips)]
        .head(asked.clips)
        .reset_index(drop=True)
    )
    corpus = replace(corpus, utterances=table)
    options, machine = Options(asked.backbone), Machine("cpu", workers=1)
    conditions = parse_grid(asked.grid)
    grids: list[tuple[Condition, ...]] = (
        [(condition,) for condition in conditions] if asked.each else [conditions]
    )
    with tempfile.TemporaryDirectory() as scratch:
        clean = extract(Path(scratch, "clean"), corpus, options, machine, say=quiet)

        def of_clean() -> Cache:
            shutil.rmtree(Path(scratch, "again"), ignore_errors=True)
            return extract(Path(scratch, "again"), corpus, options, machine, say=quiet)

        for grid in grids:

            def of_views(grid: tuple[Condition, ...] = grid) -> dict[str, Cache]:
                shutil.rmtree(Path(scratch, "views"), ignore_errors=True)
                return extract_views(
                    clean, grid, None, machine, folder=Path(scratch, "views"), say=quiet
                )

            of_views()  # rooms are computed once
            times = [(busy(of_views), busy(of_clean)) for _ in range(asked.rounds)]
            ratios = [views / (len(grid) * alone) for views, alone in times]
            name = grid[0].name if asked.each else f"{len(grid)} views"
            note = ", ".join(f"{ratio:.3f}" for ratio in ratios)
            figure(
                f"{name} / (number x clean extraction), processor time",
                statistics.median(ratios),
                note,
            )


if __name__ == "__main__":
    main()

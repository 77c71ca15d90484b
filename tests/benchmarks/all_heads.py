"""A table of heads: EER with its interval, parameters, time and memory, on both tiers of some
caches.

    python tests/benchmarks/all_heads.py MOONSHINE.cache WHISPER.cache --out FOLDER

Every merge with `linear` on the pooled tier, and every back-end on frames behind the merge it is
published with, at full depth, on what a sweep takes as train, dev and eval. Each head has a process
of its own, in turn: time is that of the processor, from the first batch to the scores of eval;
memory is the anonymous one above what the process has before (Linux only). Rows are added to
FOLDER/heads.csv one by one, and the same command again goes on where it stopped; FOLDER/heads.md
and the picture are made of all of them. Hours on two cores for all heads; `--heads` and `--epochs`
make it short.
"""

import argparse
import multiprocessing
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from frames_memory import Peak

from analysis.plots.axes import colours, new_axes
from analysis.plots.saving import save_figure
from cache import Cache
from probing.heads.kinds import BACKENDS, MERGES
from probing.metrics import Interval
from probing.sweep import SweepOptions
from probing.sweep.depths import fit_depths
from probing.sweep.options import DepthOptions

POOLED = tuple(
    f"{merge}+linear" for merge in MERGES if merge not in ("weighted-sum-kv", "selected")
)
PUBLISHED = {"mhfa": "weighted-sum-kv", "sls": "sls", "lstm": "attentive-compact"}
FRAMES = (
    "weighted-sum+lstm",
    *(f"{PUBLISHED.get(backend, 'weighted-sum')}+{backend}" for backend in BACKENDS),
)
KEY = ["cache", "tier", "head"]
COLUMNS = ["backbone", "tier", "head", "EER", "parameters", "processor time (s)", "memory (GB)"]


def measure(folder: str, depths: DepthOptions, memory_gb: float) -> dict[str, object]:
    """A row of the table."""
    cache = Cache(folder)
    options = SweepOptions(depths=depths)
    splits = options.splits(cache)
    started = time.process_time()
    with Peak(0.02) as peak, tempfile.TemporaryDirectory() as scratch:
        members = fit_depths(cache, splits, depths, Path(scratch), memory_gb=memory_gb)
        seconds = time.process_time() - started
    split = splits["eval"]
    task = split.task
    resamples = task.draw(
        split.target, split.clusters(options.interval_by), options.resamples, options.seed
    )
    rates = [task.value(split.target, member.scores["eval"]) for member in members]
    resampled = [
        task.resampled(split.target, member.scores["eval"], resamples) for member in members
    ]
    interval = task.interval(float(np.mean(rates)), np.mean(resampled, axis=0), resamples)
    return {
        "backbone": Path(folder).name.removesuffix(".cache"),
        "parameters": members[0].heads[0].stack.n_parameters(),
        "value": interval.value,
        "low": interval.low,
        "high": interval.high,
        "seconds": seconds,
        "gb": peak.gb,
        "seeds": len(members),
        "epochs": depths.training().epochs,
        "eval": len(split),
        "interval": resamples.drawn,
    }


def ordered(table: pd.DataFrame) -> pd.DataFrame:
    """The rows by tier, head as it is listed here, and backbone, in whatever order they were
    measured.
    """
    heads = [*POOLED, *FRAMES]
    key = table.assign(
        tier=table["tier"] == "frames", head=[heads.index(head) for head in table["head"]]
    )
    return table.loc[key.sort_values(["tier", "head", "backbone"], kind="stable").index]


def markdown(table: pd.DataFrame) -> str:
    """The table for a README."""
    shown = []
    for row in table.itertuples():
        eer = Interval(row.value, row.low, row.high)
        figures = [eer, f"{row.parameters:,}", f"{row.seconds:.0f}", f"{row.gb:.2f}"]
        shown.append([row.backbone, row.tier, f"`{row.head}`", *figures])
    lines = [COLUMNS, ["---"] * len(COLUMNS), *shown]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def draw(table: pd.DataFrame, path: Path) -> None:
    """EER with its interval by head, a colour a backbone."""
    heads = list(dict.fromkeys(zip(table["tier"], table["head"], strict=True)))
    backbones = list(dict.fromkeys(table["backbone"]))
    ax = new_axes(height=1.2 + 0.32 * len(heads))
    for i, (backbone, colour) in enumerate(zip(backbones, colours(len(backbones)), strict=True)):
        rows = table[table["backbone"] == backbone]
        shift = 0.24 * (i - (len(backbones) - 1) / 2)
        y = [heads.index(key) + shift for key in zip(rows["tier"], rows["head"], strict=True)]
        ends = 100 * np.abs(rows[["low", "high"]].to_numpy() - rows[["value"]].to_numpy()).T
        ax.errorbar(
            100 * rows["value"], y, xerr=ends, fmt="o", capsize=2, color=colour, label=backbone
        )
    ax.set_yticks(range(len(heads)), [f"{head}, {tier}" for tier, head in heads])
    ax.invert_yaxis()
    ax.set_xlabel("EER on eval (%), 95 % interval")
    ax.set_xlim(left=0)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(backbones))
    save_figure(ax, path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("caches", nargs="+", help="with frames")
    parser.add_argument("--out", type=Path, required=True, help="folder of heads.csv and heads.md")
    parser.add_argument(
        "--picture", type=Path, help="where to put the picture [default: OUT/heads.png]"
    )
    parser.add_argument("--heads", default="", help="only these, with commas between")
    parser.add_argument("--tiers", default="pooled,frames")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=0, help="0: as the recipe says")
    parser.add_argument("--memory-gb", type=float, default=2.0)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "heads.csv"
    only = set(filter(None, arguments.heads.split(",")))
    table = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=KEY)
    for folder in (str(Path(cache).resolve()) for cache in arguments.caches):
        full = max(Cache(folder).layers)
        for tier in arguments.tiers.split(","):
            for head in POOLED if tier == "pooled" else FRAMES:
                done = (table[KEY] == [folder, tier, head]).all(axis=1).any()
                if done or (only and head not in only):
                    continue
                seeds = tuple(range(arguments.seeds))
                depths = DepthOptions(
                    (head,), tier, seeds=seeds, depths=(full,), epochs=arguments.epochs
                )
                with multiprocessing.get_context("spawn").Pool(1) as alone:
                    row = alone.apply(measure, (folder, depths, arguments.memory_gb))
                row = pd.DataFrame([{"cache": folder, "tier": tier, "head": head, **row}])
                table = row if table.empty else pd.concat([table, row], ignore_index=True)
                table.to_csv(path, index=False)
                print(markdown(row).splitlines()[-1], flush=True)
    table = ordered(table)
    (arguments.out / "heads.md").write_text(markdown(table))
    draw(table, arguments.picture or arguments.out / "heads.png")


if __name__ == "__main__":
    main()

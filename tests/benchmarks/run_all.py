"""Run every benchmark of extraction, reading and looking, and write one table of the figures beside
their aims.

    python tests/benchmarks/run_all.py [--only NAME] [--out FILE.md]

Each script prints its figures as `figure: NAME = VALUE`, measured side by side in one process,
threads pinned, median of at least five rounds. A script can be run alone with the same arguments.
On two quiet cores all of it takes about three quarters of an hour; other work on the machine makes
the ratios noisier.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from figures import FIGURE

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Benchmark:
    """A script, its arguments, and the figures it prints with their aims (empty where there is
    none).
    """

    name: str
    script: str
    arguments: tuple[str, ...]
    aims: dict[str, str]


BENCHMARKS = (
    Benchmark(
        "forward",
        "forward_speed.py",
        (),
        {
            "fused against stock, max abs difference, base": "<= 2e-5",
            "fused against stock, max abs difference, large": "<= 2e-5",
            "padded against alone, relative, base": "<= 1e-5",
            "stock / fused forward, base, batch 1": "",
            "stock / fused forward, base, batch 4": "",
            "stock / fused forward, large, batch 1": "",
            "stock / fused forward, large, batch 4": ">= 1.35",
            "padded operations / ideal": "<= 1.06",
        },
    ),
    Benchmark(
        "products",
        "product_shares.py",
        (),
        {
            f"share of the rate of bare products, WavLM {shape}, {part}": aim
            for shape in ("base", "large")
            for part, aim in {
                "linear layers": ">= 0.85",
                "attention": ">= 0.85",
                "front end": ">= 0.85",
                "positional convolution": "",
                "the whole pass": ">= 0.85",
            }.items()
        },
    ),
    Benchmark(
        "reading",
        "reading_speed.py",
        (),
        {
            "layer read, frames / raw sequential read": ">= 0.85",
            "layer read, pooled / raw sequential read": ">= 0.85",
            "utterance read, shuffled / raw sequential read": ">= 0.85",
            "everything read the first time, with checksums / raw sequential read": "",
            "layer scan of one .pt per utterance / ours, frames": ">= 15",
            "layer scan of one .pt per utterance / ours, pooled, one layer": "",
            "layer scan of one .pt per utterance / ours, pooled, all layers one by one": ">= 300",
        },
    ),
    Benchmark("engine", "engine_speed.py", (), {"two Ray workers / one, base shape": ">= 1.7"}),
    Benchmark("int8", "int8_effect.py", ("--no-heads",), {}),
    Benchmark(
        "overhead",
        "extraction_overhead.py",
        ("--shape", "base", "--threads", "2", "--limit", "96"),
        {"whole extraction / bare forward, pooled, base shape": "<= 1.05"},
    ),
    Benchmark(
        "overhead of frames",
        "extraction_overhead.py",
        ("--shape", "base", "--threads", "2", "--limit", "96", "--frames"),
        {"whole extraction / bare forward, frames float16, base shape": "<= 1.05"},
    ),
    Benchmark("similarity", "similarity_speed.py", (), {}),
    Benchmark("transferability", "transferability_speed.py", (), {}),
    Benchmark("usual loop", "usual_loop.py", (), {"usual loop / ours": ">= 1.8"}),
    Benchmark("decoding", "decoding_speed.py", (), {}),
    Benchmark("forward options", "forward_options.py", (), {}),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", choices=[benchmark.name for benchmark in BENCHMARKS], action="append"
    )
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    arguments = parser.parse_args()
    rows = ["| figure | value | aim | holds |", "|---|---|---|---|"]
    for benchmark in BENCHMARKS:
        if not arguments.only or benchmark.name in arguments.only:
            rows += run(benchmark)
    table = "\n".join(rows) + "\n"
    print("\n" + table)
    if arguments.out:
        arguments.out.write_text(table, encoding="utf-8")


def run(benchmark: Benchmark) -> list[str]:
    """The rows of one benchmark; what it prints is passed on as it comes."""
    print(f"== {benchmark.script} {' '.join(benchmark.arguments)}", flush=True)
    started, printed = time.monotonic(), []
    command = [sys.executable, str(HERE / benchmark.script), *benchmark.arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            printed.append(line)
    print(f"== {time.monotonic() - started:.0f} s", flush=True)
    found = {match["name"]: match["value"] for match in FIGURE.finditer("".join(printed))}
    missing = f"none, exit code {process.returncode}"
    names = dict.fromkeys([*benchmark.aims, *found])
    return [row(name, found.get(name, missing), benchmark.aims.get(name, "")) for name in names]


def row(name: str, value: str, aim: str) -> str:
    """A row of the table."""
    holds = ""
    if aim:
        sign, bound = aim.split()
        try:
            reached = float(value) <= float(bound) if sign == "<=" else float(value) >= float(bound)
        except ValueError:
            reached = False
        holds = "yes" if reached else "no"
    return f"| {name} | {value} | {aim} | {holds} |"


if __name__ == "__main__":
    main()

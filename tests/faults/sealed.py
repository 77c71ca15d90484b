"""A run and two exports, one bit of them otherwise, and whether that is noticed: `long.py sealed`
tries many.
"""

import random
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import numpy as np
from faults.damage import changed
from faults.hostile import run_folder
from small_extraction import speech

from cache import ProbeError
from probing.runs import Run
from probing.sealing import RECORDS, faults_of
from probing.serving.candidates import candidates
from probing.serving.exported import open_exported
from probing.serving.heads import AnyHead, choose_head


@dataclass
class Tally:
    """Flips of the files of one kind: refused by what reads them, of no effect, and what went
    wrong.
    """

    file: str
    flips: int = 0
    refused: int = 0
    same: int = 0
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        said = f"{self.file}: {self.flips} flips, {self.refused} refused, {self.same} of no effect"
        return f"{said}, {len(self.failures)} silent or failed" + "".join(
            f"\n  {what}" for what in self.failures
        )


def scored(head: AnyHead) -> list[float]:
    """What a head makes of numbers that are always the same."""
    x = np.random.default_rng(0).normal(size=(len(head.layers), 3, 2, head.dim)).astype(np.float32)
    return list(head.score(x))


def numbers_of(folder: Path) -> dict[str, object]:
    """Everything that a run or an export tells."""
    if (folder / "run.json").exists():
        run = Run(folder)
        heads = {
            known.name: scored(choose_head(run, name=known.name).head) for known in candidates(run)
        }
        parts = [
            path.name.removesuffix(".txt").split(".", 1)
            for path in sorted((folder / "scores").glob("*.txt"))
        ]
        trials = [run.trials(name, part).to_json() for name, part in parts]
        return {
            "record": run.record,
            "results": run.results.to_json(),
            "heads": heads,
            "trials": trials,
        }
    made = open_exported(folder)
    states = made.load_backbone().hidden_states([speech(0, 4000)]).layers
    return {
        "record": made.record,
        "head": scored(made.head),
        "states": [layer.numpy().tobytes() for layer in states],
    }


def files_of(folder: Path) -> list[Path]:
    """The files of a run or an export, but for the table that only people read."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in paths if path.name != "results.csv" and path.stat().st_size]


def verified(folder: Path) -> list[str]:
    """What `verify` names."""
    record = next(name for name in RECORDS if (folder / name).is_file())
    try:
        return [fault.file for fault in faults_of(folder, record) or []]
    except (ProbeError, ValueError):
        return [record]


def flips(n: int, home: Path, seed: int = 0) -> list[Tally]:
    """Flip `n` bits, one at a time, shared among the files."""
    run_folder(home / "made")
    chance, tallies = random.Random(seed), dict[str, Tally]()
    folders = [home / "made" / name for name in ("c.run", "small", "probe")]
    kinds: dict[str, list[tuple[Path, Path]]] = {}
    for folder in folders:
        for path in files_of(folder):
            kinds.setdefault(f"{folder.name}/{path.relative_to(folder).parts[0]}", []).append(
                (folder, path)
            )
    # first one of each kind
    places = [place for turn in zip_longest(*kinds.values()) for place in turn if place]
    right = {folder: numbers_of(folder) for folder in folders}
    for number in range(n):
        folder, path = places[number % len(places)]
        kind = f"{folder.name}/{path.relative_to(folder).parts[0]}"
        tally = tallies.setdefault(kind, Tally(kind))
        position, bit = chance.randrange(path.stat().st_size), chance.randrange(8)
        tally.flips += 1
        with changed(path, position, 1 << bit):
            name = path.relative_to(folder).as_posix()
            if verified(folder) != [name]:
                tally.failures.append(
                    f"{name}, byte {position}, bit {bit}: verify names {verified(folder)}"
                )
            try:
                found = numbers_of(folder)
            except ProbeError as error:
                tally.refused += 1
                if str(folder) not in str(error):
                    tally.failures.append(
                        f"{name}, byte {position}, bit {bit}: the "
                        f"message does not say where: {error}"
                    )
                continue
            except Exception as error:
                tally.failures.append(
                    f"{name}, byte {position}, bit {bit}: {type(error).__name__}: {error}"
                )
                continue
            if found != right[folder]:
                tally.failures.append(
                    f"{name}, byte {position}, bit {bit}: other numbers in silence"
                )
            tally.same += 1
    return list(tallies.values())

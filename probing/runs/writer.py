"""Writes a run: beside its final place, and moved there when it is whole."""

import json
import platform
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from cache import ProbeError
from cache.atomic import DISK, PARTIAL, Unwritten, put_back, replace_file, replace_folder
from cache.errors import argument
from cache.lock import LOCK, OWNER, lock_folder
from cache.manifest import canonical_json, read_json
from probing.options import differences
from probing.runs.form import RESULTS, TRAINING, UTTERANCES
from probing.runs.run import RUN, Run
from probing.scores.files import write_scores
from probing.sealing import seal
from probing.tensors import save_arrays

CONFIGURATION = "configuration.json"
DRAWN = ("figures", "report.html")  # by `analysis`, again and again
PACKAGES = ("torch", "transformers", "numpy", "scikit-learn", "h5py")


def made_with(record: Mapping[str, Any], configuration: Mapping[str, Any]) -> bool:
    """Whether the record of a run says that it was made with a configuration.

    What versions before did not keep, the checksums of the audio, is not compared in a run of
    theirs.

    >>> made_with({"configuration": {"seed": 1}}, {"seed": 2})
    False
    """
    made, wanted = _both(record, configuration)
    return made == wanted


def _both(
    record: Mapping[str, Any], configuration: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a run was made with, and what is wanted, as they are compared."""
    known = {
        name: value for name, value in configuration.items() if name != "audio" or name in record
    }
    return _compared({name: record.get(name) for name in known}), _compared(known)


def _compared(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as it is compared: of a table of labels its name alone, as its content is
    compared by itself.

    Earlier versions wrote where it lay.
    """
    found: dict[str, Any] = json.loads(canonical_json(configuration))
    options = found.get("options")
    target = options.get("target") if isinstance(options, dict) else None
    if isinstance(target, dict) and isinstance(target.get("labels"), str):
        target["labels"] = PurePath(target["labels"]).name
    return found


class RunWriter:
    """Writes a run beside its final place and moves it there when it is whole.

    One process at a time.

    Use it in a `with` statement: others may write when it ends, and go on with what is left where
    it failed.

    Args:
        folder: where the run is to be.
        configuration: what makes one run another; a run of the same configuration is replaced.
        overwrite: replace any run.

    Raises:
        ProbeError: the folder holds another run, or something that is no run.
        CacheBusy: another process is writing this run.
    """

    def __init__(
        self, folder: Path, configuration: Mapping[str, Any], *, overwrite: bool = False
    ) -> None:
        self.folder = folder
        self.partial = folder.with_name(folder.name + PARTIAL)
        put_back(folder)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            try:
                record = read_json(folder / RUN)
            except (OSError, ValueError):
                raise ProbeError(
                    f"{folder}: is there and is no run. Name another folder: "
                    f"{argument('out', 'DIR')}"
                ) from None
            if not made_with(record, configuration) and not overwrite:
                raise ProbeError(
                    f"{folder}: holds a run made with other options or another cache "
                    f"({differences(*_both(record, configuration))}). Name another folder "
                    f"({argument('out', 'DIR')}) or replace it ({argument('overwrite', True)})"
                )
        identity = canonical_json(configuration).encode()
        self._lock = lock_folder(
            self.partial,
            advice=f"Wait for it to end, or name another folder: {argument('out', 'DIR')}",
        )
        try:
            kept = {LOCK, OWNER, *([self.training.name] if self._begun(identity) else [])}
            for path in [path for path in self.partial.iterdir() if path.name not in kept]:
                _remove(path)
            for path in (
                *(self.partial / name for name in ("scores", "heads", "figures")),
                self.training,
            ):
                path.mkdir(exist_ok=True)
            replace_file(self.partial / CONFIGURATION, identity)
        except OSError as error:
            self._lock.release()
            raise ProbeError(
                f"{folder}: cannot be written to ({error.strerror}). Name another: "
                f"{argument('out', 'DIR')}"
            ) from None

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._lock.release()
        refused = (
            isinstance(error, OSError) and error.errno in DISK and not isinstance(error, ProbeError)
        )
        if refused or isinstance(error, Unwritten):
            why = error.why if isinstance(error, Unwritten) else getattr(error, "strerror", "")
            raise ProbeError(
                f"{self.folder}: cannot be written to ({why}). Make room, or the folder "
                "writable: the same command goes on where it stopped"
            ) from error

    @property
    def training(self) -> Path:
        """Where checkpoints are kept until the run is whole; a killed sweep finds its own here."""
        return self.partial / "training"

    def _begun(self, identity: bytes) -> bool:
        """Whether what an earlier sweep left there was begun with the same configuration."""
        try:
            begun = read_json(self.partial / CONFIGURATION)
        except (OSError, ValueError):
            return False
        return _compared(begun) == _compared(json.loads(identity))

    def add_utterances(self, tables: Mapping[str, pd.DataFrame]) -> None:
        """Keep whose scores these are: `part` and the columns of the cache's table."""
        parts = [
            table.assign(part=part).drop(columns=["shard", "row"]) for part, table in tables.items()
        ]
        pd.concat(parts, ignore_index=True).to_parquet(self.partial / UTTERANCES, index=False)

    def add_scores(
        self, name: str, tables: Mapping[str, pd.DataFrame], scores: Mapping[str, NDArray[Any]]
    ) -> None:
        """Write `scores/NAME.PART.txt` for each part that was scored.

        `tables` say whose scores they are.
        """
        for part, values in scores.items():
            write_scores(self.partial / "scores" / f"{name}.{part}.txt", tables[part], values)

    def add_predictions(self, name: str, table: pd.DataFrame, inside: bool = False) -> None:
        """Write `scores/NAME.csv`, the predictions of a target that is not bona fide against spoof.

        If they are `inside` utterances, of which there may be millions, NAME.parquet.
        """
        path = self.partial / "scores" / name
        if inside:
            table.to_parquet(path.with_name(f"{name}.parquet"), index=False)
        else:
            table.to_csv(path.with_name(f"{name}.csv"), index=False)

    def add_training(self, table: pd.DataFrame) -> None:
        """Write `training.csv`: how heads were trained, by epoch."""
        table.to_csv(self.partial / TRAINING, index=False, float_format="%.6g")

    def add_heads(
        self, name: str, tensors: Mapping[str, NDArray[Any]], config: Mapping[str, Any]
    ) -> None:
        """Write `heads/NAME.safetensors` with its configuration beside it as JSON."""
        save_arrays(self.partial / "heads" / f"{name}.safetensors", tensors)
        text = json.dumps(config, indent=1, ensure_ascii=False)
        (self.partial / "heads" / f"{name}.json").write_text(text + "\n", encoding="utf-8")

    def finish(self, results: pd.DataFrame, record: Mapping[str, Any]) -> Run:
        """Write the results and the record, and give the folder its name."""
        shutil.rmtree(self.training, ignore_errors=True)
        (self.partial / CONFIGURATION).unlink(missing_ok=True)
        results.to_parquet(self.partial / RESULTS, index=False)
        results.to_csv(self.partial / "results.csv", index=False)
        versions = {
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        }
        seal(self.partial, RUN, {**record, "versions": versions}, leave_out=(LOCK, OWNER, *DRAWN))
        self._lock.check()
        replace_folder(self.partial, self.folder)
        for name in (LOCK, OWNER):  # they came along
            (self.folder / name).unlink(missing_ok=True)
        return Run(self.folder)


def _remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()

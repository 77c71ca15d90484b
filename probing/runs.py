"""Runs: a folder with everything a sweep found.

run.json            configuration, fingerprint of the cache, versions, seeds, timings, finding; size and checksum of
                    every file, see `probing.sealing`
results.parquet     one row per figure: experiment, head, layer, depth, seed, split, corpus, condition, metric, value,
                    low, high, strength; what each holds is in `probing.sweep.results`
results.csv         the same
utterances.parquet  the dev and eval utterances: part, utterance_id, label, speaker, attack and every other condition
scores/*.txt        `utterance attack key score`, the official ASVspoof 2019 form: HEAD.dev.txt, HEAD.eval.txt of the
                    corpus that the findings are about, HEAD.eval.CORPUS.txt of the others
heads/*.safetensors trained heads with their configuration
figures/, report.html   drawn by `analysis`
"""

import json
import platform
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from cache import ProbeError
from cache.atomic import DISK, PARTIAL, Unwritten, put_back, replace_file, replace_folder
from cache.bounds import read_parquet
from cache.lock import LOCK, OWNER, lock_folder
from cache.manifest import canonical_json, read_json
from probing.metrics.clusters import Clusters, clusters_of
from probing.run_form import FINDINGS, RECORD, RESULTS, UTTERANCES, check_record, check_results, check_utterances
from probing.scores import read_scores, write_scores
from probing.sealing import check_file, read_record, seal
from probing.tensors import save_arrays

RUN, CONFIGURATION = RECORD, "configuration.json"
DRAWN = ("figures", "report.html")  # by `analysis`, again and again
PACKAGES = ("torch", "transformers", "numpy", "scikit-learn", "h5py")


class Run:
    """A finished run, open for reading.

    Attributes:
        folder, record (run.json), results (DataFrame, one row a figure).

    Raises:
        ProbeError: there is no run in the folder, or it is damaged; every file is compared when it is read.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self.record: dict[str, Any] = read_record(self.folder / RUN)[0]
            check_file(self.folder / RESULTS)
            self.results = read_parquet(self.folder / RESULTS)
            check_record(self.record)
            check_results(self.results, self.record)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
            raise ProbeError(
                f"{self.folder}: no run here that can be read ({error}). Make one: probe sweep CACHE"
            ) from None

    @property
    def sentence(self) -> str:
        """The finding in words."""
        return " ".join(str(self.record[key]["sentence"]) for key in FINDINGS if self.record.get(key))

    @property
    def corpora(self) -> list[str]:
        """Names of the corpora evaluated on; the findings are about the first."""
        return [str(name) for name in self.record["corpora"]]

    def rows(self, experiment: str, split: str = "eval", corpus: str | None = None) -> pd.DataFrame:
        """Rows of the results of an experiment and a split; see `probing.sweep.results`.

        Args:
            experiment: as `layer`.
            split: eval or dev.
            corpus: one of those evaluated on; default the first. Of no meaning for dev.

        Raises:
            ProbeError: the run did not evaluate on such a corpus.
        """
        if corpus is not None and corpus not in self.corpora:
            raise ProbeError(f"{self.folder}: not evaluated on {corpus!r}, only on {', '.join(self.corpora)}")
        table = self.results[(self.results["experiment"] == experiment) & (self.results["split"] == split)]
        return table if split == "dev" else table[table["corpus"] == (corpus or self.corpora[0])]

    @property
    def backbone(self) -> str:
        """Name of the backbone."""
        return str(self.record["about"]["backbone"])

    @property
    def n_blocks(self) -> int:
        """L, the number of the last layer."""
        return int(self.record["finding"]["last"])

    def trials(self, name: str, part: str = "eval") -> pd.DataFrame:
        """Scores of a head with whose they are: `utterance_id`, `label`, `speaker`, `attack`, conditions, `score`.

        Args:
            name: as the files of `scores` are called, such as `linear-layer-06` or `weighted-sum+linear-depth-06`.
            part: `dev`, `eval`, or `eval.CORPUS` of a further corpus.

        Raises:
            ProbeError: no such scores, or a run of a version that did not keep its utterances.
        """
        path = file_in(self.folder / "scores", f"{name}.{part}.txt")
        if not path.is_file():
            there = sorted(file.name.removesuffix(".eval.txt") for file in path.parent.glob("*.eval.txt"))
            raise ProbeError(f"{path}: no such scores. There are: {', '.join(there)}")
        try:
            check_file(self.folder / UTTERANCES)
            table = read_parquet(self.folder / UTTERANCES)
            check_utterances(table)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
            raise ProbeError(
                f"{self.folder}: its utterances cannot be read ({error}). Make it again: "
                f"probe sweep {self.record['cache_folder']} --out {self.folder} --overwrite"
            ) from None
        scores = read_scores(path)[["utterance_id", "score"]]
        table = table[table["part"] == part].drop(columns="part")
        if table.empty:
            raise ProbeError(f"{self.folder / UTTERANCES}: has no utterances of {part}. Make the run again")
        table = table.dropna(axis=1, how="all")
        joined = table.merge(scores, on="utterance_id", how="inner", validate="one_to_one")
        if not len(joined) == len(table) == len(scores):
            raise ProbeError(f"{path}: not the scores of the {len(table)} utterances of the run. Make the run again")
        return joined

    def clusters(self, trials: pd.DataFrame) -> Clusters:
        """What a bootstrap of these trials draws, as in the sweep."""
        return clusters_of(trials, self.record["options"]["interval_by"])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r}: {self.sentence})"


def file_in(folder: Path, name: str) -> Path:
    """The file of a name in a folder of a run; ProbeError where the name, which anybody may have written, leads out."""
    if not name or Path(name).name != name or "\\" in name or "\0" in name:
        raise ProbeError(
            f"{folder.parent}: {name!r} is no name of a file in its folder {folder.name}. Expected a head that the run "
            "has; if the run itself says so, make it again: probe sweep CACHE"
        )
    return folder / name


def made_with(record: Mapping[str, Any], configuration: Mapping[str, Any]) -> bool:
    """Whether the record of a run says that it was made with a configuration."""
    return {name: record.get(name) for name in configuration} == json.loads(canonical_json(configuration))


class RunWriter:
    """Writes a run beside its final place and moves it there when it is whole; one process at a time.

    Use it in a `with` statement: others may write when it ends, and go on with what is left where it failed.

    Args:
        folder: where the run is to be.
        configuration: what makes one run another; a run of the same configuration is replaced.
        overwrite: replace any run.

    Raises:
        ProbeError: the folder holds another run, or something that is no run.
        CacheBusy: another process is writing this run.
    """

    def __init__(self, folder: Path, configuration: Mapping[str, Any], *, overwrite: bool = False) -> None:
        self.folder = folder
        self.partial = folder.with_name(folder.name + PARTIAL)
        put_back(folder)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            try:
                record = read_json(folder / RUN)
            except (OSError, ValueError):
                raise ProbeError(f"{folder}: is there and is no run. Name another folder: --out DIR") from None
            if not made_with(record, configuration) and not overwrite:
                raise ProbeError(
                    f"{folder}: holds a run made with other options or another cache. "
                    "Name another folder (--out DIR) or replace it (--overwrite)"
                )
        identity = canonical_json(configuration).encode()
        self._lock = lock_folder(self.partial, advice="Wait for it to end, or name another folder: --out DIR")
        try:
            kept = {LOCK, OWNER, *([self.training.name] if self._begun(identity) else [])}
            for path in [path for path in self.partial.iterdir() if path.name not in kept]:
                _remove(path)
            for path in (*(self.partial / name for name in ("scores", "heads", "figures")), self.training):
                path.mkdir(exist_ok=True)
            replace_file(self.partial / CONFIGURATION, identity)
        except OSError as error:
            self._lock.release()
            raise ProbeError(f"{folder}: cannot be written to ({error.strerror}). Name another: --out DIR") from None

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._lock.release()
        refused = isinstance(error, OSError) and error.errno in DISK and not isinstance(error, ProbeError)
        if refused or isinstance(error, Unwritten):
            why = error.why if isinstance(error, Unwritten) else getattr(error, "strerror", "")
            raise ProbeError(
                f"{self.folder}: cannot be written to ({why}). Make room, or the folder writable: the same command "
                "goes on where it stopped"
            ) from error

    @property
    def training(self) -> Path:
        """Where checkpoints are kept until the run is whole; a killed sweep finds its own here."""
        return self.partial / "training"

    def _begun(self, identity: bytes) -> bool:
        """Whether what an earlier sweep left there was begun with the same configuration."""
        try:
            return (self.partial / CONFIGURATION).read_bytes() == identity
        except OSError:
            return False

    def add_utterances(self, tables: Mapping[str, pd.DataFrame]) -> None:
        """Keep whose scores these are, with every condition: `part` and the columns of the cache's table."""
        parts = [table.assign(part=part).drop(columns=["shard", "row"]) for part, table in tables.items()]
        pd.concat(parts, ignore_index=True).to_parquet(self.partial / UTTERANCES, index=False)

    def add_scores(self, name: str, tables: Mapping[str, pd.DataFrame], scores: Mapping[str, NDArray[Any]]) -> None:
        """Write `scores/NAME.PART.txt` for each part that was scored; `tables` say whose scores they are."""
        for part, values in scores.items():
            write_scores(self.partial / "scores" / f"{name}.{part}.txt", tables[part], values)

    def add_heads(self, name: str, tensors: Mapping[str, NDArray[Any]], config: Mapping[str, Any]) -> None:
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
        versions = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
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

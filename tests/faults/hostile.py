"""Spoilt files of every format, given to what reads them: only a ProbeError may come out, and
nothing else be touched.

`python tests/faults/long.py fuzz` runs it; a case is known by the name of its format and its
number.
"""

import hashlib
import io
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

import corpus_trees
import numpy as np
import pandas as pd
from faults.damage import write_small
from faults.mutation import spoil_bytes, spoil_json, spoil_table
from random_store import names
from resealed import reseal
from small_extraction import speech

from cache import Cache, ProbeError, verify
from cache.atomic import crc32_of_file
from cache.manifest import canonical_json, load_manifest

SECONDS = 20  # of processor time a case may take
MEMORY = 6 << 30  # bytes of address space beyond what is taken at the start


@dataclass(frozen=True)
class Format:
    """A format: the files of it that are spoilt, how, and what reads them.

    make: writes sound files into a folder.
    files: those to spoil, one a case.
    spoil: changes one of them in place.
    read: all that reads it; raises ProbeError where it refuses.
    share: of the cases; more where a case costs a few milliseconds.
    """

    name: str
    make: Callable[[Path], None]
    files: tuple[str, ...]
    read: Callable[[Path], object]
    spoil: Callable[[Path, random.Random], None]
    share: int = 1


def in_bytes(path: Path, chance: random.Random) -> None:
    path.write_bytes(spoil_bytes(path.read_bytes(), chance))


def in_values(path: Path, chance: random.Random) -> None:
    path.write_text(json.dumps(spoil_json(json.loads(path.read_text()), chance)))


def in_bytes_or_values(path: Path, chance: random.Random) -> None:
    (in_values if path.suffix == ".json" and chance.random() < 0.8 else in_bytes)(path, chance)


def in_cells(path: Path, chance: random.Random) -> None:
    path.write_bytes(
        (spoil_table if chance.random() < 0.8 else spoil_bytes)(path.read_bytes(), chance)
    )


def resealed(spoil: Callable[[Path, random.Random], None]) -> Callable[[Path, random.Random], None]:
    """Spoil a file of a run or an export and give its records the checksums of what is
    there now.
    """

    def spoil_and_seal(path: Path, chance: random.Random) -> None:
        spoil(path, chance)
        for folder in (path.parent, path.parent.parent):
            reseal(folder)

    return spoil_and_seal


def manifest_vouched_for(path: Path, chance: random.Random) -> None:
    """Spoil the values of cache.json and give it the checksum of what it says now."""
    content = json.loads(path.read_text())
    del content["checksum"]
    content = spoil_json(content, chance)
    if isinstance(content, dict):
        try:
            content["checksum"] = hashlib.sha256(canonical_json(content).encode()).hexdigest()
        except UnicodeEncodeError:
            content["checksum"] = ""
    path.write_text(
        json.dumps(content, indent=1, ensure_ascii=False) + "\n", errors="surrogatepass"
    )


def table_vouched_for(path: Path, chance: random.Random) -> None:
    in_cells(path, chance)
    manifest = load_manifest(path.parent)
    replace(manifest, table_crc32=crc32(path.read_bytes())).save(path.parent)


def shard_vouched_for(path: Path, chance: random.Random) -> None:
    in_bytes(path, chance)
    manifest = load_manifest(path.parent)
    record = next(shard for shard in manifest.shards if shard.file == path.name)
    known = {
        "bytes": path.stat().st_size,
        "crc32": crc32_of_file(path),
        "outside_crc32": None,
        "states": None,
    }
    manifest.with_shard(replace(record, **known)).save(path.parent)


def read_cache(folder: Path) -> None:
    """Everything a reader offers, whatever of it is refused."""
    refused = []

    def attempt(work: Callable[[], object]) -> None:
        try:
            work()
        except ProbeError as error:
            refused.append(error)

    attempt(lambda: verify(folder))
    cache = Cache(folder)
    repr(cache)
    for check in (True, False):
        cache = Cache(folder, check=check)
        for tier in cache.tiers:
            attempt(lambda cache=cache, tier=tier: cache.layer(cache.layers[0], tier))
        attempt(cache.pooled)
        attempt(lambda cache=cache: cache.frames(list(cache.utterances["utterance_id"][:3])))
        attempt(lambda cache=cache: cache.select({"split": "dev"}))
        attempt(lambda cache=cache: cache.select("label == 'spoof'"))
    from analysis.commands.cache import info

    with redirect_stdout(io.StringIO()):
        info(folder)
    if refused:
        raise refused[0]


def manifest_files(folder: Path) -> None:
    rows = pd.DataFrame(
        {"path": ["a.wav", "b/é.flac"], "label": ["bonafide", "spoof"], "attack": ["", "A01"]}
    )
    rows.to_csv(folder / "m.csv", index=False)
    rows.to_csv(folder / "m.tsv", index=False, sep="\t")
    rows.to_parquet(folder / "m.parquet", index=False)


def read_manifests(folder: Path) -> None:
    from probing.corpora import load_corpus, read_corpus

    for name in ("m.csv", "m.tsv", "m.parquet"):
        corpus = read_corpus(str(folder / name))
        inside = [
            (folder / path).resolve().is_relative_to(folder.resolve())
            for path in corpus.utterances["path"]
        ]
        assert all(inside), "a path outside the root"
        try:
            load_corpus(str(folder / name))
        except ProbeError:
            continue  # the audio is not there


def corpus_files(folder: Path) -> None:
    corpus_trees.asvspoof2019_la(folder / "2019")
    corpus_trees.asvspoof2021(folder / "la", "LA", corpus_trees.LA_2021)
    corpus_trees.asvspoof2021(folder / "df", "DF", corpus_trees.DF_2021)
    corpus_trees.asvspoof5(folder / "5")
    corpus_trees.in_the_wild(folder / "wild")
    corpus_trees.spoofceleb(folder / "celeb")


PROTOCOLS = {
    "2019/LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.train.trn.txt": "asvspoof2019-la:2019",
    "la/keys/LA/CM/trial_metadata.txt": "asvspoof2021-la:la",
    "df/keys/DF/CM/trial_metadata.txt": "asvspoof2021-df:df",
    "5/ASVspoof5.dev.track_1.tsv": "asvspoof5:5",
    "wild/release_in_the_wild/meta.csv": "in-the-wild:wild",
    "celeb/spoofceleb/metadata/train.csv": "spoofceleb:celeb",
}


def read_protocols(folder: Path) -> None:
    from probing.corpora import read_corpus

    for spec in PROTOCOLS.values():
        name, _, root = spec.partition(":")
        corpus = read_corpus(f"{name}:{folder / root}")
        assert not any(path.startswith(("/", "..")) for path in corpus.utterances["path"]), (
            "a path outside the root"
        )
        corpus.missing()


def score_files(folder: Path) -> None:
    def lines(form: str, *keys: str) -> str:
        return "".join(
            form.format(i=i, key=keys[i % len(keys)], score=i / 7) + "\n" for i in range(9)
        )

    classes = ("bonafide", "spoof")
    (folder / "2019.txt").write_text(lines("u{i} A01 {key} {score}", *classes))
    (folder / "2021.txt").write_text(lines("u{i} {score}", ""))
    (folder / "s.csv").write_text("utterance_id,score\n" + lines("u{i},{score}", ""))
    (folder / "5.tsv").write_text("filename\tcm-score\n" + lines("u{i}\t{score}", ""))
    (folder / "keys.txt").write_text(lines("s u{i} - A01 {key}", *classes))
    (folder / "asv.txt").write_text(lines("- {key} {score}", "target", "nontarget", "spoof"))


def read_score_files(folder: Path) -> None:
    from probing import evaluation
    from probing.scores import files as scores

    keys = evaluation.read_keys(folder / "keys.txt")
    for name in ("2019.txt", "2021.txt", "s.csv", "5.tsv"):
        evaluation.join(evaluation.read_scores(folder / name), keys)
    for name in ("2019.txt", "2021.txt"):
        scores.read_scores(folder / name)
    asv = evaluation.read_verification(folder / "asv.txt")
    evaluation.evaluate(
        evaluation.join(evaluation.read_scores(folder / "2019.txt")), ["attack"], asv, resamples=100
    )


def audio_files(folder: Path) -> None:
    import soundfile

    samples = speech(0, 8000)
    for name in ("a.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff", "a.au"):
        soundfile.write(folder / name, samples, 16000)
    soundfile.write(folder / "a.opus", samples, 16000, format="OGG", subtype="OPUS")


def read_audio(folder: Path) -> None:
    from probing.audio import Cropping
    from probing.extraction.states import decode

    for path in sorted(folder.iterdir()):
        clip = decode(path.name, path, Cropping(2.0), 400)
        assert (clip.waveform is None) == bool(clip.failure)
        if clip.waveform is not None:
            assert len(clip.waveform) <= 32_000
            assert np.isfinite(clip.waveform).all()


@contextmanager
def copies(source: Path, home: Path) -> Iterator[Path]:
    folder = home / "case"
    shutil.copytree(source, folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_folder(folder: Path) -> None:
    """A run with a linear probe and heads, and the smaller model exported from it."""
    from small_extraction import machine, quiet, write_clips
    from tiny_models import build

    from probing.corpora import load_corpus
    from probing.extraction import Options, extract
    from probing.runs import Run
    from probing.serving import export
    from probing.sweep import DepthOptions, SweepOptions, sweep

    work = folder.with_name("work")
    write_clips(work / "audio")
    paths = sorted(path.name for path in (work / "audio").iterdir())
    table = pd.DataFrame({"path": [f"audio/{name}" for name in paths], "utterance_id": names(16)})
    table["label"], table["split"] = (
        ["bonafide", "spoof"] * 8,
        ["train"] * 8 + ["dev"] * 4 + ["eval"] * 4,
    )
    table.to_csv(work / "c.csv", index=False)
    options = Options(str(build("wavlm", work / "model")), max_seconds=0.8)
    extract(work / "c", load_corpus(str(work / "c.csv")), options, machine(), say=quiet)
    depths = DepthOptions(
        heads=("weighted-sum+linear",), seeds=(0,), epochs=1, weight_decays=(0.1,)
    )
    what = SweepOptions(strengths=(0.1,), control_seeds=(), resamples=100, depths=depths)
    sweep(work / "c", folder / "c.run", what, say=quiet)
    export(Run(folder / "c.run"), folder / "small", depth=2, head="weighted-sum+linear-depth-02")
    export(Run(folder / "c.run"), folder / "probe", depth=2, head="linear-layer-02")


def read_run(folder: Path) -> None:
    from probing.runs import Run
    from probing.serving.candidates import candidates
    from probing.serving.heads import choose_head

    run = Run(folder / "c.run")
    assert isinstance(run.sentence, str)
    repr(run)
    for known in candidates(run):
        head = choose_head(run, name=known.name).head
        head.score(np.zeros((len(head.layers), 2, 2, head.dim), np.float32))
    choose_head(run)


def read_exported(folder: Path) -> None:
    from probing.serving.exported import open_exported

    for name in ("small", "probe"):
        exported = open_exported(folder / name)
        assert exported.options.cropping.n_samples() > 0
        head = exported.head
        head.score(np.zeros((len(head.layers), 2, 2, head.dim), np.float32))


def read_backbone(folder: Path) -> None:
    from probing.backbones import load_backbone

    load_backbone(str(folder / "small"), device="cpu").hidden_states([speech(0, 4000)])


FORMATS = {
    form.name: form
    for form in (
        Format("cache.json, bytes", write_small, ("cache.json",), read_cache, in_bytes, 5),
        Format(
            "cache.json, values", write_small, ("cache.json",), read_cache, manifest_vouched_for, 5
        ),
        Format(
            "utterances.parquet",
            write_small,
            ("utterances.parquet",),
            read_cache,
            table_vouched_for,
            2,
        ),
        Format(
            "shard",
            write_small,
            ("shard-00000.h5", "shard-00001.h5"),
            read_cache,
            shard_vouched_for,
        ),
        Format("manifest", manifest_files, ("m.csv", "m.tsv"), read_manifests, in_bytes, 5),
        Format("manifest, parquet", manifest_files, ("m.parquet",), read_manifests, in_cells, 2),
        Format("protocol", corpus_files, tuple(PROTOCOLS), read_protocols, in_bytes),
        Format(
            "scores",
            score_files,
            ("2019.txt", "2021.txt", "s.csv", "5.tsv", "keys.txt", "asv.txt"),
            read_score_files,
            in_bytes,
            5,
        ),
        Format(
            "audio",
            audio_files,
            tuple(f"a.{kind}" for kind in ("wav", "flac", "ogg", "opus", "mp3", "aiff", "au")),
            read_audio,
            in_bytes,
            5,
        ),
        Format("run", run_folder, ("c.run/run.json",), read_run, resealed(in_bytes_or_values)),
        Format(
            "run, results", run_folder, ("c.run/results.parquet",), read_run, resealed(in_cells), 2
        ),
        Format(
            "head",
            run_folder,
            (
                "c.run/heads/weighted-sum+linear-depth-02.json",
                "c.run/heads/weighted-sum+linear-depth-02.safetensors",
                "c.run/heads/linear.safetensors",
            ),
            read_run,
            resealed(in_bytes_or_values),
        ),
        Format(
            "exported",
            run_folder,
            (
                "small/serving.json",
                "small/head.json",
                "small/head.safetensors",
                "probe/head.json",
                "probe/head.safetensors",
            ),
            read_exported,
            resealed(in_bytes_or_values),
            5,
        ),
        Format(
            "backbone",
            run_folder,
            (
                "small/config.json",
                "small/preprocessor_config.json",
                "small/export.json",
                "small/model.safetensors",
            ),
            read_backbone,
            resealed(in_bytes_or_values),
        ),
    )
}


class Trespass(Exception):
    """Something was touched that has nothing to do with the files given."""


class Guard:
    """Watches what Python opens, connects to and runs while `home` is set."""

    FORBIDDEN = (
        "socket.connect",
        "socket.getaddrinfo",
        "subprocess.Popen",
        "os.system",
        "os.exec",
        "pickle.find_class",
    )

    def __init__(self) -> None:
        self.home: Path | None = None
        self.seen: list[str] = []
        places = (
            sys.prefix,
            sys.base_prefix,
            str(Path(__file__).resolve().parents[2]),
            "/usr",
            "/proc",
            "/sys",
            "/dev",
        )
        self.readable = tuple(os.path.realpath(place) for place in (*places, *sys.path) if place)
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.home is None:
            return
        if event in self.FORBIDDEN:
            self.seen.append(f"{event} {arguments[:2]}")
        elif event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path, flags = os.path.realpath(os.fsdecode(arguments[0])), arguments[2]
            writes = isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
            if not path.startswith(os.path.realpath(self.home)) and (
                writes or not path.startswith(self.readable)
            ):
                self.seen.append(f"open {path}")


def try_case(form: Format, source: Path, home: Path, number: int, guard: Guard) -> str | None:
    """What came out of one case that may not, or None."""
    chance = random.Random(f"{form.name} {number}")
    with copies(source, home) as folder:
        form.spoil(folder / chance.choice(form.files), chance)
        guard.home = folder
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
        try:
            form.read(folder)
        except ProbeError as error:
            if not str(error).strip():
                return "a ProbeError that says nothing"
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            ours = [
                f for f in traceback.extract_tb(error.__traceback__) if "/tests/" not in f.filename
            ][:9]
            path = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(ours))
            return (
                f"{type(error).__name__}: {str(error)[:200]} "
                f"({Path(where.filename).name}:{where.lineno}; {path})"
            )
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            guard.home = None
        if guard.seen:
            return f"touched {guard.seen.pop()}"
    return None


def fuzz(n: int, home: Path, only: str | None = None, first: int = 0) -> tuple[int, list[str]]:
    """Try `n` cases shared among the formats; gives how many there were, and the failures."""
    import warnings

    warnings.simplefilter("ignore")

    def too_long(*_: object) -> None:
        raise Trespass(f"more than {SECONDS} s")

    signal.signal(signal.SIGVTALRM, too_long)
    guard, failures, cases, made = Guard(), [], 0, {}
    chosen = {name: form for name, form in FORMATS.items() if only in (None, name)}
    shares = sum(form.share for form in chosen.values())
    for name, form in chosen.items():
        if form.make not in made:
            source = made[form.make] = home / f"sound{len(made)}"
            source.mkdir()
            form.make(source)
            form.read(source)  # what is sound is read
        found, began, count = [], time.process_time(), -(-n * form.share // shares)
        for number in range(first, first + count):
            cases += 1
            if what := try_case(form, made[form.make], home, number, guard):
                found.append(f"{name}, case {number}: {what}")
        took = time.process_time() - began
        print(f"{name}: {count} cases in {took:.1f} s, {len(found)} failures", flush=True)
        failures += found
    return cases, failures

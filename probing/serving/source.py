"""What is to be scored: audio, a corpus or a cache, read and compared with the head that scores.

PyTorch is not imported: what no head can score is refused before one is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path

import pandas as pd

from cache import Cache
from cache.errors import argument
from cache.manifest import MANIFEST
from probing.audio import Cropping, UnusableAudio, load_audio
from probing.corpora import Corpus, load_corpus
from probing.corpora.manifest import is_manifest
from probing.labels import are_of_spoofing
from probing.progress import console
from probing.scores.names import check_output
from probing.scores.options import ScoreOptions
from probing.serving.candidates import ServingError
from probing.serving.named_audio import audio_files
from probing.serving.stated import StatedHead, check_model

# audio files by name, or utterances with what is known of them
Source = dict[str, Path] | Corpus | Cache
TRIED = 20  # files that are decoded to see whether any of them is audio


def read_source(
    where: Path,
    inputs: Sequence[Path],
    file: Path | None = None,
    options: ScoreOptions | None = None,
    *,
    corpus: str | None = None,
    audio_root: Path | None = None,
    say: Callable[[str], None] = console.print,
) -> Source:
    """Read what is to be scored, and refuse what the head of a run or an export cannot score.

    Arguments are those of `probing.serving.score_inputs`.

    Raises:
        ProbeError: an input, option or head that cannot serve, as far as it is known before a head
            is loaded.

    >>> read_source(Path("results/demo.run"), [Path("clip.wav")])
    {'clip': PosixPath('clip.wav')}
    """
    options = options or ScoreOptions()
    caches = [path for path in inputs if (path / MANIFEST).is_file()]
    on_audio = not corpus and not caches
    check_output(file, options.form, verdicts=on_audio)
    if options.calibrated and file is None:
        raise ServingError(
            f"{argument('calibrated', True)}: says what {argument('out')} holds. Name a score file"
        )
    _check_inputs(inputs, caches, corpus, options)
    if on_audio:
        _check_no_labels(options)
    stated = check_model(where, options)
    if caches:
        return _cache(caches[0], stated, options)
    stated.options.check_backbone()
    if not corpus:
        files = audio_files(inputs, say)
        _check_usable(files, stated.options.cropping)
        return files
    splits = [options.split] if options.split else None
    read = load_corpus(corpus, audio_root=audio_root, splits=splits)
    _check_form(read.utterances, read.name, options)
    _check_usable(files_of(read), stated.options.cropping)
    return read


def files_of(corpus: Corpus) -> dict[str, Path]:
    """The audio files of a corpus by utterance id.

    >>> files_of(load_corpus("demo", splits=["dev"]))["demo-0009"].name
    'demo-0009.opus'
    """
    table = corpus.utterances
    return {
        name: corpus.root / path
        for name, path in zip(table["utterance_id"], table["path"], strict=True)
    }


def rows_of(cache: Cache, options: ScoreOptions) -> pd.DataFrame:
    """The utterances of a cache that are to be scored.

    Raises:
        ServingError: there are none.

    >>> len(rows_of(Cache("results/demo.cache"), ScoreOptions(split="eval")))
    12
    """
    split = options.split
    table = cache.select({"split": split} if split else None)
    if len(table):
        return table
    if split:
        splits = ", ".join(cache.utterances["split"].unique())
        raise ServingError(f"{argument('split', split)}: {cache.folder} has only {splits}")
    raise ServingError(f"{cache.folder}: has no utterances. Give a cache that has some, or audio")


def none_usable(reasons: Mapping[Path, str], n_files: int) -> ServingError:
    """The refusal of audio of which nothing can be used, with the reason of the first file."""
    path, reason = next(iter(reasons.items()))
    advice = "Give other audio"
    if is_manifest(path):
        advice = f"A manifest is given as {argument('corpus', path)}"
    what = f"{path}: {reason}"
    if n_files > 1:
        what = f"{n_files:,} files, and none can be used; {what}"
    return ServingError(f"{what}. {advice}")


def _check_inputs(
    inputs: Sequence[Path], caches: Sequence[Path], corpus: str | None, options: ScoreOptions
) -> None:
    """Refuse nothing to score, a cache among others, and noise on a cache."""
    if bool(inputs) == bool(corpus):
        raise ServingError(
            "expected what to score: one cache, or audio files and folders, or "
            f"{argument('corpus', 'SPEC')}"
        )
    if caches and len(inputs) > 1:
        raise ServingError(f"{caches[0]}: a cache is scored alone. Give one cache, or audio")
    if caches and options.smoothing:
        raise ServingError(
            f"{argument('smooth', options.smoothing.smooth)}: noise is added to audio, and "
            f"{caches[0]} is a cache. Score audio, or a {argument('corpus')}"
        )


def _check_no_labels(options: ScoreOptions) -> None:
    """Refuse what needs labels or splits, which audio has not."""
    if options.form == "2019":
        flag, needs = argument("form", "2019"), "labels"
    elif options.split:
        flag, needs = argument("split", options.split), "splits"
    else:
        return
    raise ServingError(
        f"{flag}: needs {needs}, and audio has none. Leave it out, or "
        f"score a cache, or a {argument('corpus')}"
    )


def _cache(folder: Path, stated: StatedHead, options: ScoreOptions) -> Cache:
    """Open a cache, and refuse one whose states the head cannot be given."""
    cache = Cache(folder)
    table = rows_of(cache, options)
    _check_form(table, str(folder), options)
    stated.check_cache(cache)
    if stated.needs is not None:
        cache.require(*stated.needs)
    return cache


def _check_form(table: pd.DataFrame, where: str, options: ScoreOptions) -> None:
    """Refuse a form of score files that the labels of a table do not fill."""
    if options.form == "2019" and not are_of_spoofing(table["label"]):
        raise ServingError(
            f"{argument('form', '2019')}: {where} has utterances without label of bona fide "
            f"or spoof. Type {argument('form', '2021')}"
        )


def _check_usable(files: Mapping[str, Path], cropping: Cropping) -> None:
    """Refuse audio of which nothing can be used; of more than TRIED files, scoring finds it out."""
    reasons = {}
    for path in islice(files.values(), TRIED):
        try:
            load_audio(path, cropping)
        except UnusableAudio as error:
            reasons[path] = str(error)
        else:
            return
    if len(reasons) == len(files):
        raise none_usable(reasons, len(files))

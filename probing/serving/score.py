"""Scores of a trained head, on a cache, a corpus or audio."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import Cache
from cache.errors import ProbeError, argument
from cache.manifest import MANIFEST
from probing.audio import SUFFIXES
from probing.backbones import Backbone
from probing.corpora import load_corpus
from probing.corpora.corpus import ids_of
from probing.corpora.folders import files_below, is_audio, passed_over
from probing.devices import find_device
from probing.evaluation import Evaluation, evaluate
from probing.extraction import Options, layers_of
from probing.heads.head import Head
from probing.labels import are_of_spoofing
from probing.progress import console, progress_line
from probing.runs import Run
from probing.scores.files import Form, check_score_file, write_scores
from probing.serving.export import Exported, load_run_backbone, open_exported, run_options
from probing.serving.heads import AnyHead, ServingError, chance_note, choose_head, head_depth
from probing.serving.matching import check_matching

ROWS_AT_ONCE = 1024


class Server:
    """A head with what it needs to score: of a run, or of an exported folder.

    Attributes:
        head, name. note: what a person should know of it: that it is not shown to be better than chance, or of an
            earlier version; empty if there is nothing to say.
    """

    def __init__(self, where: Path, head: str | None = None) -> None:
        self.where = where
        self.exported: Exported | None = None
        if (where / "serving.json").is_file():
            self.exported = open_exported(where)
            self.head, self.name = self.exported.head, str(self.exported.record["head"])
            self._note(str(self.exported.record.get("note", "")))
            if head not in (None, self.name):
                raise ServingError(f"{argument('head', head)}: {where} has no such head. It has: {self.name}")
            return
        self.run = Run(where)
        chosen = choose_head(self.run, name=head)
        self.head, self.name = chosen.head, chosen.about.name
        self._note(chance_note(self.run, chosen.about))

    def _note(self, of_chance: str) -> None:
        of_version = self.head.note if isinstance(self.head, Head) else ""
        self.note = ". ".join(note for note in (of_chance, of_version) if note)

    def on_cache(
        self, cache: Cache, table: pd.DataFrame, say: Callable[[str], None] = lambda text: None
    ) -> NDArray[np.float64]:
        """Scores (N,) of utterances of a cache, which must be of the same backbone and made the same way."""
        return score_cache(self.head, cache, table, *self._trained_on(), str(self.where), say)

    def check(self, cache: Cache, say: Callable[[str], None] = lambda text: None) -> None:
        """Refuse a cache whose states this head cannot be given, as `check_cache` does."""
        check_cache(self.head, cache, *self._trained_on(), str(self.where), say)

    def _trained_on(self) -> tuple[list[object], Mapping[str, Any]]:
        """Weights of the backbones the head is for, and the fingerprint of the cache it was trained on."""
        if self.exported:
            record = self.exported.record
            fingerprint = record["fingerprint"]
            return [fingerprint.get("backbone_weights_sha256"), record["weights_sha256"]], fingerprint
        fingerprint = self.run.record.fingerprint
        return [fingerprint.get("backbone_weights_sha256")], fingerprint

    def on_audio(self, files: dict[str, Path], device: str, on_failure: Callable[[str, str], None]) -> dict[str, float]:
        """Scores by name of audio files."""
        if self.exported:
            return score_audio(self.head, self.exported.load_backbone(device), self.exported.options, files, on_failure)
        options = run_options(self.run, self.head)
        backbone = load_run_backbone(self.run, options, device)
        if head_depth(self.head):
            backbone = backbone.truncate(head_depth(self.head))
        return score_audio(self.head, backbone, options, files, on_failure)


def check_cache(
    head: AnyHead,
    cache: Cache,
    weights: Sequence[object],
    fingerprint: Mapping[str, Any],
    where: str,
    say: Callable[[str], None] = lambda text: None,
) -> None:
    """Refuse a cache whose states are not made as those a head was trained on; arguments as of `score_cache`.

    Raises:
        ServingError: the cache is of another backbone, or cropped, normalised, pooled or computed another way.
    """
    found = cache.fingerprint.get("backbone_weights_sha256")
    if found not in weights or cache.dim != head.dim:
        raise ServingError(
            f"{cache.folder}: of another backbone, {cache.about.get('backbone')} ({str(found)[:12]}, {cache.dim} "
            f"wide); the head of {where} is for weights {str(weights[0])[:12]}, {head.dim} wide. Score a cache of that "
            "backbone, or the audio itself"
        )
    for difference in check_matching(cache.fingerprint, fingerprint, str(cache.folder), where):
        say(f"Note: {difference}")


def score_cache(
    head: AnyHead,
    cache: Cache,
    table: pd.DataFrame,
    weights: Sequence[object],
    fingerprint: Mapping[str, Any],
    where: str,
    say: Callable[[str], None] = lambda text: None,
) -> NDArray[np.float64]:
    """Score utterances of a cache.

    Args:
        head: trained.
        cache: with the head's tier and layers.
        table: rows of its utterances.
        weights: sha256 of backbones that the head is for.
        fingerprint: of the cache that the head was trained on.
        where: what the head belongs to, for messages.
        say: told what differs and does not matter, such as versions.

    Raises:
        ServingError: see `check_cache`.
    """
    check_cache(head, cache, weights, fingerprint, where, say)
    cache.require(head.tier, head.layers)
    scores = np.zeros(len(table))
    with progress_line("Scoring", len(table), "utterances") as line:
        if head.tier == "frames":
            for i, name in enumerate(table["utterance_id"]):
                scores[i] = head.score(cache.frames([name], head.layers)[0])[0]
                line.advance(1)
            return scores
        for first in range(0, len(table), ROWS_AT_ONCE):
            rows = table.iloc[first : first + ROWS_AT_ONCE]
            scores[first : first + len(rows)] = head.score(cache.pooled(head.layers, rows))
            line.advance(len(rows))
    return scores


def score_audio(
    head: AnyHead,
    backbone: Backbone,
    options: Options,
    files: dict[str, Path],
    on_failure: Callable[[str, str], None],
) -> dict[str, float]:
    """Score audio files by name, in their order; those of no use are told to `on_failure`, and are not there."""
    scores: dict[str, float] = {}
    with progress_line("Scoring", len(files), "files") as line:

        def failed(name: str, reason: str) -> None:
            line.advance(1)
            on_failure(name, reason)

        for name, layers in layers_of(files, backbone, options, on_failure=failed):
            x = layers[head.layers]
            scores[name] = float(head.score(x if head.tier == "frames" else x[:, None])[0])
            line.advance(1)
    return scores


def audio_files(given: Sequence[Path], say: Callable[[str], None] = lambda text: None) -> dict[str, Path]:
    """Audio files, and those in folders, under the names of the utterances: stems where no two are alike, else paths.

    Raises:
        ServingError: nothing there, or no audio.
    """
    found: dict[str, Path] = {}
    for path in given:
        if path.is_dir():
            names = sorted(files_below(path))
            paths = [path / name for name in names if is_audio(name)]
            others = passed_over(names)
            if not paths:
                why = f" ({others})" if others else ""
                raise ServingError(
                    f"{path}: no audio in there, and no cache{why}. Expected files in {', '.join(SUFFIXES)}"
                )
            if others:
                say(f"Note: {path}: {others}")
        elif path.exists():
            paths = [path]
        else:
            raise ServingError(f"{path}: no such file or folder. Name a cache, audio files, or folders of them")
        found.update({os.path.abspath(one): one for one in paths})
    table = pd.Series([str(one) for one in found.values()], dtype=str)
    names = ids_of(table.map(os.path.basename))
    if names.duplicated().any():
        names = ids_of(table)
    if names.duplicated().any():
        twice = table[names.duplicated()].iloc[0]
        raise ProbeError(f"{twice}: there is another file of that name. Rename one, or score them apart")
    return dict(zip(names, found.values(), strict=True))


@dataclass(frozen=True)
class Scored:
    """What was written: the head, how many utterances, how many were of no use, and the evaluation by split.

    A split without both classes has no evaluation.
    """

    head: str
    scored: int
    left_out: int = 0
    evaluations: dict[str, Evaluation] = field(default_factory=dict)


def score_inputs(
    where: Path,
    inputs: Sequence[Path],
    file: Path,
    *,
    corpus: str | None = None,
    audio_root: Path | None = None,
    head: str | None = None,
    form: Form | None = None,
    split: str | None = None,
    device: str = "cpu",
    on_failure: Callable[[str, str], None] = lambda name, reason: None,
    say: Callable[[str], None] = console.print,
) -> Scored:
    """Score a cache, a corpus, or audio, into a score file.

    Args:
        where: a run, or an exported folder.
        inputs: one cache, or audio files and folders of them; none for a corpus.
        file: written whole or not at all.
        corpus: as `load_corpus` takes it: its audio is scored under its ids, with its labels and splits.
        audio_root: folder that the paths of a manifest start from.
        head: see `choose_head`.
        form: 2019, 2021 or 5; by default 2019 where there are labels, else 2021.
        split: only this split of a cache or corpus.
        device: where audio is run.
        on_failure: told the name and the reason of audio of no use.
        say: where to put what a person should know.

    Raises:
        ProbeError: an input, option or head that cannot serve.
    """
    check_score_file(file, form)
    find_device(device)
    if bool(inputs) == bool(corpus):
        raise ServingError(
            f"expected what to score: one cache, or audio files and folders, or {argument('corpus', 'SPEC')}"
        )
    server = Server(where, head)
    if server.note:
        say(f"Note: {server.note}.")
    if corpus:
        read = load_corpus(corpus, audio_root=audio_root, splits=[split] if split else None)
        table = read.utterances
        for note in read.notes:
            say(f"Note: {note}")
        labelled = are_of_spoofing(table["label"])
        if form == "2019" and not labelled:
            raise ServingError(
                f"{argument('form', '2019')}: {read.name} has utterances without label of bona fide or spoof. Type "
                f"{argument('form', '2021')}"
            )
        files = {name: read.root / path for name, path in zip(table["utterance_id"], table["path"], strict=True)}
        scores = server.on_audio(files, device, on_failure)
        table = table[table["utterance_id"].isin(scores)]
        if table.empty:
            raise ServingError(f"{len(files)} files, and none can be used. Nothing was written; give other audio")
        values = np.array([scores[name] for name in table["utterance_id"]])
        write_scores(file, table, values, form or ("2019" if labelled else "2021"))
        evaluations = _evaluations(table, values) if labelled else {}
        return Scored(server.name, len(table), len(files) - len(table), evaluations)
    caches = [path for path in inputs if (path / MANIFEST).is_file()]
    if caches and len(inputs) > 1:
        raise ServingError(f"{caches[0]}: a cache is scored alone. Give one cache, or audio")
    if not caches:
        if form == "2019" or split:
            flag, needs = (
                (argument("form", "2019"), "labels") if form == "2019" else (argument("split", split), "splits")
            )
            raise ServingError(
                f"{flag}: needs {needs}, and audio has none. Leave it out, or score a cache, or a {argument('corpus')}"
            )
        files = audio_files(inputs, say)
        scores = server.on_audio(files, device, on_failure)
        if not scores:
            raise ServingError(f"{len(files)} files, and none can be used. Nothing was written; give other audio")
        write_scores(file, pd.DataFrame({"utterance_id": list(scores)}), list(scores.values()), form or "2021")
        return Scored(server.name, len(scores), len(files) - len(scores))
    cache = Cache(caches[0])
    table = cache.select({"split": split} if split else None)
    if not len(table):
        raise ServingError(
            f"{argument('split', split)}: {cache.folder} has only {', '.join(cache.utterances['split'].unique())}"
        )
    labelled = are_of_spoofing(table["label"])
    if form == "2019" and not labelled:
        raise ServingError(
            f"{argument('form', '2019')}: {cache.folder} has utterances without label. Type {argument('form', '2021')}"
        )
    values = server.on_cache(cache, table, say)
    write_scores(file, table, values, form or ("2019" if labelled else "2021"))
    return Scored(server.name, len(table), evaluations=_evaluations(table, values) if labelled else {})


def _evaluations(table: pd.DataFrame, values: NDArray[np.float64]) -> dict[str, Evaluation]:
    """What `probe evaluate` finds, for each split that has both classes."""
    trials = table.assign(score=values)
    rows = {str(name): trials[trials["split"] == name] for name in trials["split"].unique()}
    return {name: evaluate(of_split) for name, of_split in rows.items() if of_split["label"].nunique() == 2}

"""Units: the k-means cluster of every 20 ms of speech, predicted where it is masked."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans

from cache.errors import ProbeError, argument
from probing.progress import progress_line

from .config import Recipe
from .forward import half_precision, hidden_states
from .mfcc import Features, mfcc
from .model import load_model
from .recordings import Recordings
from .whisper import WhisperLayer, pack

# samples
FRAME = 400
HOP = 320
LONGEST = 1_390  # frames of one piece; longer clips are cut, so that a piece fits a window of 30 s
FIT_FRAMES = 150_000
KINDS = ("mfcc", "whisper", "own")
WHISPER_LAYER = 2

Extractor = Callable[[list[NDArray[np.float32]]], list[Features]]


class UnitsUnavailable(ProbeError, ValueError):
    """The units asked for cannot be computed."""


@dataclass(frozen=True)
class Units:
    """The unit of every frame of every clip.

    Attributes:
        labels: (sum of frames,) uint16.
        offsets: (clips + 1,).
        kind, n_clusters: what they are.
    """

    kind: str
    n_clusters: int
    labels: NDArray[np.uint16]
    offsets: NDArray[np.int64]

    def clip(self, row: int) -> NDArray[np.uint16]:
        """Give the units of one clip (frames,)."""
        return self.labels[self.offsets[row] : self.offsets[row + 1]]


@dataclass(frozen=True)
class Teachers:
    """Folders of the models that units are read from: a Whisper encoder, and a first model."""

    whisper: Path
    own: Path | None


def n_frames(n_samples: int) -> int:
    """Count the model's frames of so many samples."""
    return max(0, (n_samples - FRAME) // HOP + 1)


def open_units(
    recordings: Recordings,
    kind: str,
    recipe: Recipe,
    work: Path,
    teachers: Teachers,
    device: torch.device,
) -> Units:
    """Cluster the speech, or open the units that an earlier run left in the work folder.

    The centres are fitted on 50 minutes of training speech drawn by `seed`; every clip is then
    labelled.

    Args:
        recordings: the clips.
        kind: `mfcc`; `whisper` for block 2 of a Whisper encoder; `own` for the middle block of the
            model that the training begins with, HuBERT's second iteration.
        recipe: gives how many units, and the seed of the choice of clips and of k-means.
        work: folder of this training.
        teachers: folders of the models that units are read from.
        device: where they run.

    Raises:
        UnitsUnavailable: no such kind, or no encoder in the folder.
    """
    n_clusters = recipe.n_clusters
    seed = recipe.seed
    taught_by = f"-{recipe.start[:8]}" if kind == "own" else ""
    path = work / f"units-{kind}{taught_by}-{n_clusters}-{seed}.npz"
    offsets = np.cumsum([0, *(n_frames(int(n)) for n in recordings.table["length"])])
    if path.is_file():
        with np.load(path) as stored:
            return Units(kind, n_clusters, stored["labels"], offsets)
    labels = _cluster(
        recordings,
        offsets,
        batches=_batches(recordings, kind, seed=seed, teachers=teachers, device=device),
        kind=kind,
        n_clusters=n_clusters,
        seed=seed,
    )
    partial = path.with_name(f"{path.stem}.partial.npz")
    np.savez(partial, labels=labels)
    os.replace(partial, path)
    return Units(kind, n_clusters, labels, offsets)


Piece = tuple[int, int]  # row of the clip, first frame


def _batches(
    recordings: Recordings, kind: str, seed: int, teachers: Teachers, device: torch.device
) -> Iterator[list[tuple[Piece, Features]]]:
    """The features of pieces of clips, training clips first, in an order by the seed."""
    generator = np.random.default_rng(seed)
    rows = [*generator.permutation(recordings.rows("train")), *recordings.rows("heldout")]
    pieces = [
        (int(row), at)
        for row in rows
        for at in range(0, n_frames(recordings.length(int(row))), LONGEST)
    ]
    if kind == "mfcc":
        for piece in pieces:
            yield [(piece, mfcc(_samples(recordings, piece)))]
    elif kind == "whisper":
        if not (teachers.whisper / "config.json").is_file():
            raise UnitsUnavailable(
                f"no config.json in {teachers.whisper}; expected a Whisper encoder. Type "
                f"{argument('units', 'mfcc')}."
            )
        layer = WhisperLayer(teachers.whisper, WHISPER_LAYER, device)
        lengths = [len(_samples(recordings, piece)) for piece in pieces]
        for group in pack(lengths):
            found = layer.features([_samples(recordings, pieces[i]) for i in group])
            yield [(pieces[i], features) for i, features in zip(group, found, strict=True)]
    elif kind == "own":
        if teachers.own is None:
            raise UnitsUnavailable(
                f"{argument('units', 'own')}: expected a model to read them from. Type "
                f"{argument('start', 'embedded')}."
            )
        yield from _own(recordings, pieces, teachers.own, device)
    else:
        raise UnitsUnavailable(f"unknown units {kind!r}; expected one of: {', '.join(KINDS)}.")


@torch.inference_mode()
def _own(
    recordings: Recordings, pieces: list[Piece], folder: Path, device: torch.device
) -> Iterator[list[tuple[Piece, Features]]]:
    model = load_model(folder).eval().to(device)
    middle = model.config.num_hidden_layers // 2
    for piece in pieces:
        waveform = torch.from_numpy(_samples(recordings, piece))[None].to(device)
        with half_precision(device):
            yield [(piece, hidden_states(model, waveform)[middle][0].float().cpu().numpy())]


def _samples(recordings: Recordings, piece: Piece) -> NDArray[np.float32]:
    row, first = piece
    return recordings.clip(row)[first * HOP : (first + LONGEST - 1) * HOP + FRAME]


def _cluster(
    recordings: Recordings,
    offsets: NDArray[np.int64],
    batches: Iterator[list[tuple[Piece, Features]]],
    kind: str,
    n_clusters: int,
    seed: int,
) -> NDArray[np.uint16]:
    labels = np.zeros(offsets[-1], np.uint16)
    kmeans = MiniBatchKMeans(n_clusters, random_state=seed, batch_size=8192, n_init=3, max_iter=60)
    waiting: list[tuple[Piece, Features]] = []
    n_waiting = 0
    fitted = False
    is_train = recordings.table["part"].to_numpy() == "train"

    def fit() -> None:
        train = [features for (row, _), features in waiting if is_train[row]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on threads and memory of k-means under MKL
            kmeans.fit(np.concatenate(train))

    def label() -> None:
        found = kmeans.predict(np.concatenate([features for _, features in waiting]))
        at = 0
        for (row, first), features in waiting:
            start = offsets[row] + first
            labels[start : start + len(features)] = found[at : at + len(features)]
            at += len(features)
        waiting.clear()

    with progress_line(f"{kind} units", len(labels), "frames") as line:
        for batch in batches:
            waiting.extend(batch)
            n_waiting += sum(len(features) for _, features in batch)
            line.advance(sum(len(features) for _, features in batch))
            if not fitted and n_waiting >= FIT_FRAMES:
                fit()
                fitted = True
            if fitted and n_waiting >= 20_000:
                label()
                n_waiting = 0
        if not fitted:
            fit()
        if waiting:
            label()
    return labels

"""Clips to train and measure on: read, changed and cropped in threads, each by its own seed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from cache.errors import ProbeError
from probing.audio import SAMPLING_RATE, Cropping, UnusableAudio, Waveform, fit_audio, load_audio
from probing.augmentation import Augmentation, crop
from probing.extraction.states import batches
from probing.tuning.utterances import Utterances

NOTHING = Augmentation.of("")
AHEAD = 3  # batches that are read before they are needed


@dataclass(frozen=True)
class Reading:
    """How clips become waveforms.

    cropping: how much of a clip is taken in evaluation, which is how the head was trained.
    min_samples: fewest that the backbone takes.
    crop_seconds: of random crops to train on; None as in evaluation.
    augmentation: what training audio is changed by, before it is cropped, anew in every epoch.
    seed: of the augmentation and of random crops.
    """

    cropping: Cropping
    min_samples: int
    crop_seconds: float | None = None
    augmentation: Augmentation = NOTHING
    seed: int = 0

    def waveform(self, utterances: Utterances, row: int, epoch: int | None = None) -> Waveform:
        """The waveform (n,) of an utterance, in evaluation or in a training epoch.

        Raises:
            ProbeError: the file cannot be used any more.
        """
        path = utterances.root / str(utterances.table["path"].iloc[row])
        name = str(utterances.table["utterance_id"].iloc[row])
        plain = epoch is None or not (self.augmentation or self.crop_seconds)
        # what is changed or cropped at random is read whole
        cropping = self.cropping if plain else replace(self.cropping, seconds=None)
        try:
            waveform = load_audio(path, cropping, self.min_samples)
            if plain:
                return waveform
            assert epoch is not None
            by: dict[str, Any] = {"seed": self.seed, "utterance": name, "epoch": epoch}
            changed = self.augmentation.apply(waveform, **by)
            if self.crop_seconds:
                return crop(changed, round(self.crop_seconds * SAMPLING_RATE), **by)
            return fit_audio(changed[:, None], SAMPLING_RATE, self.cropping, self.min_samples)
        except UnusableAudio as error:
            raise ProbeError(
                f"{path}: cannot be used ({error}). Mend the file, "
                f"or leave {name} out of the corpus"
            ) from None


class Reader:
    """Threads that read ahead; used in a `with` statement."""

    def __init__(self, reading: Reading, workers: int) -> None:
        self.reading = reading
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="read")

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *error: object) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    def batches(
        self, utterances: Utterances, of_rows: Iterable[Sequence[int]], epoch: int | None = None
    ) -> Iterator[list[Waveform]]:
        """The waveforms of each batch of rows."""
        waiting: deque[list[Future[Waveform]]] = deque()
        rest = iter(of_rows)
        while True:
            for rows in islice(rest, AHEAD - len(waiting)):
                waiting.append(
                    [
                        self._threads.submit(self.reading.waveform, utterances, row, epoch)
                        for row in rows
                    ]
                )
            if not waiting:
                return
            yield [clip.result() for clip in waiting.popleft()]


def in_parts(lengths: Sequence[int], most: int, padding: str) -> list[list[int]]:
    """Positions of clips that go through the backbone together, by length.

    If padding leaks, only clips of one length do.

    >>> in_parts([5, 3, 5, 4], 2, "exact"), in_parts([5, 3, 5, 4], 2, "equal")
    ([[1, 3], [0, 2]], [[1], [3], [0, 2]])
    """
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    return [order[run] for run in batches([lengths[i] for i in order], most, padding)]


def unusable(utterances: Utterances, reading: Reading, workers: int = 2) -> dict[str, str]:
    """Utterances whose audio cannot be used -> why; reads all of it once."""

    def why(row: int) -> str:
        try:
            reading.waveform(utterances, row)
        except ProbeError as error:
            return str(error)
        return ""

    names = [str(name) for name in utterances.table["utterance_id"]]
    with ThreadPoolExecutor(workers) as threads:
        return {
            name: reason
            for name, reason in zip(names, threads.map(why, range(len(names))), strict=True)
            if reason
        }

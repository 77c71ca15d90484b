"""Reverberation: measured impulse responses of a folder, or rooms by the image-source method."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from probing.audio import SAMPLING_RATE, Waveform
from probing.augmentation.folders import audio_folder
from probing.augmentation.transform import Transform, TransformError

N_ROOMS = 16  # of a size; each takes about 0.2 s once
MOST_REFLECTIONS = 40  # of an image source
FROM_WALLS_M = 0.5


@dataclass(frozen=True)
class Rooms:
    """A size of rooms: sides in m, and the reverberation time (RT60) in s.

    Sabine's formula is solved for that time.
    """

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    rt60: tuple[float, float]


SIZES = {
    "small": Rooms((3.0, 3.0, 2.4), (6.0, 5.0, 3.0), (0.2, 0.5)),
    "large": Rooms((10.0, 8.0, 3.0), (20.0, 15.0, 6.0), (0.6, 1.2)),
}


def _room_acoustics() -> Any:
    try:
        import pyroomacoustics
    except ImportError as error:
        raise TransformError(
            f"the rooms {' and '.join(SIZES)} need pyroomacoustics, which cannot be imported "
            f"({error}). Install it: pip install 'speech-layer-probe[rooms]'; or give a folder "
            "of impulse responses, as reverb:./rirs"
        ) from None
    return pyroomacoustics


@cache
def room_response(size: str, number: int) -> NDArray[np.float64]:
    """The impulse response of one of the 16 rooms of a size, from its direct path on.

    It is the same each time.
    """
    library, rooms = _room_acoustics(), SIZES[size]
    rng = np.random.default_rng([list(SIZES).index(size), number])
    sides = rng.uniform(rooms.low, rooms.high)
    absorption, reflections = library.inverse_sabine(rng.uniform(*rooms.rt60), sides)
    source, microphone = (rng.uniform(FROM_WALLS_M, sides - FROM_WALLS_M) for _ in range(2))
    room = library.ShoeBox(
        sides,
        fs=SAMPLING_RATE,
        materials=library.Material(absorption),
        max_order=min(reflections, MOST_REFLECTIONS),
    )
    room.add_source(source)
    room.add_microphone(microphone)
    room.compute_rir()
    # A large room adds reflections to a sample that is larger than the direct path, so it is found
    # by its distance.
    late = float(np.linalg.norm(source - microphone)) / library.constants.get("c") * SAMPLING_RATE
    start = round(late) + library.constants.get("frac_delay_length") // 2
    return np.asarray(room.rir[0][0], np.float64)[start:]


def from_direct_path(response: NDArray[np.float64]) -> NDArray[np.float64]:
    """A measured response from its largest sample on, so that speech stays where it was."""
    return response[int(np.abs(response).argmax()) :]


@lru_cache(maxsize=256)
def _file_response(root: str, file: str) -> NDArray[np.float64]:
    return from_direct_path(audio_folder(root).load_response(file).astype(np.float64))


@dataclass(frozen=True)
class Reverb(Transform):
    """Reverberation: y = a (h * x), cut to the length of x; a keeps the power of x.

    h is an impulse response from its direct path on: of a random file of the folder, or of a random
    one of 16 shoebox rooms (image-source method, Allen and Berkley 1979, up to 40 reflections).
    `small`: sides 3 to 6, 3 to 5 and 2.4 to 3 m, RT60 0.2 to 0.5 s; `large`: 10 to 20, 8 to 15 and
    3 to 6 m, 0.6 to 1.2 s, by Sabine's formula.
    """

    name: ClassVar[str] = "reverb"
    help: ClassVar[str] = "reverberation of a room"
    syntax: ClassVar[str] = "reverb:small|large|FOLDER"
    expected: ClassVar[str] = "small, large, or a folder of impulse responses, as reverb:small"
    choices: ClassVar[tuple[str, ...]] = tuple(SIZES)

    source: str

    @classmethod
    def read(cls, value: str) -> Self:
        """See `Transform`."""
        if not value:
            raise ValueError("it does not say which room")
        if value not in SIZES:
            audio_folder(value)
        return cls(value)

    def apply(self, waveform: Waveform, rng: np.random.Generator) -> Waveform:
        """See `Transform`; the length stays."""
        from scipy.signal import oaconvolve  # slow to import

        x = waveform.astype(np.float64)
        if self.source in SIZES:
            response = room_response(self.source, int(rng.integers(N_ROOMS)))
        else:
            files = audio_folder(self.source).files
            response = _file_response(self.source, files[int(rng.integers(len(files)))])
        y = oaconvolve(x, response)[: len(x)]
        power = float(y @ y)
        return (y * (np.sqrt(float(x @ x) / power) if power > 0 else 0.0)).astype(np.float32)

    def check(self) -> None:
        """See `Transform`."""
        if self.source in SIZES:
            _room_acoustics()

    def identity(self) -> dict[str, Any]:
        """See `Transform`; of a folder its files count, and not its place."""
        if self.source in SIZES:
            return {**super().identity(), "pyroomacoustics": _room_acoustics().__version__}
        return {**super().identity(), "source": f"files {audio_folder(self.source).digest}"}

"""Decoded audio of the shards in work, within a bound; the rest is decoded again later.

A shard can be begun only when the length of every clip in it is known, and a shard of long clips is
more than some machines can hold. The samples are the same however often a file is decoded, so that
the bound changes no result.
"""

from dataclasses import replace
from pathlib import Path
from threading import Lock

from cache.errors import ProbeError
from probing.audio import Cropping, Waveform
from probing.augmentation import View
from probing.extraction.states import Clip, loaded, through_view


class Waveforms:
    """Decodes files and holds their samples as long as there is room; used by many threads.

    Args:
        root: folder that paths start from.
        cropping, min_samples: see `probing.audio.load_audio`.
        most: bytes to hold.
        shared: whether the same files are heard through several views, one soon after the other:
            then they are kept, as decoded, in half of the room, the latest.
    """

    def __init__(
        self, root: Path, cropping: Cropping, min_samples: int, most: int, shared: bool = False
    ) -> None:
        self._root = root
        self._cropping = cropping
        self._min_samples = min_samples
        self._most = most // 2 if shared else most
        self._held: dict[tuple[str, View | None], Waveform] = {}
        self._held_bytes, self._lock = 0, Lock()
        self._most_loaded = self._most if shared else 0
        self._loaded: dict[Path, Clip] = {}
        self._loaded_bytes = 0

    def decode(self, utterance_id: str, path: str, view: View | None = None) -> Clip:
        """Decode a file; the clip has no samples of its own, `take` gives them."""
        clip = self._decoded(utterance_id, self._root / path, view)
        if clip.waveform is not None:
            with self._lock:
                if self._held_bytes + clip.waveform.nbytes <= self._most:
                    self._held[utterance_id, view] = clip.waveform
                    self._held_bytes += clip.waveform.nbytes
        return replace(clip, waveform=None)

    def take(self, clip: Clip) -> Waveform:
        """The samples (n,) of a clip, held no longer; decoded again if they are not there.

        Raises ProbeError if the file is not what it was.
        """
        with self._lock:
            waveform = self._held.pop((clip.utterance_id, clip.view), None)
            if waveform is not None:
                self._held_bytes -= waveform.nbytes
                return waveform
        assert clip.path is not None
        again = self._decoded(clip.utterance_id, clip.path, clip.view)
        if again.waveform is None or again.measures != clip.measures:
            raise ProbeError(f"{clip.path}: changed while it was read. Run the same command again.")
        return again.waveform

    def _decoded(self, utterance_id: str, path: Path, view: View | None) -> Clip:
        clip = self._loaded.get(path)
        if clip is None or clip.utterance_id != utterance_id:
            clip = loaded(utterance_id, path, self._cropping, self._min_samples)
            self._keep(path, clip)
        return through_view(clip, self._cropping, self._min_samples, view)

    def _keep(self, path: Path, clip: Clip) -> None:
        """Keep a decoded file for the next view, and let go of the oldest as room is needed."""
        n_bytes = 0 if clip.waveform is None else clip.waveform.nbytes
        if n_bytes > self._most_loaded or not self._most_loaded:
            return
        with self._lock:
            self._loaded_bytes += n_bytes - _bytes_of(self._loaded.pop(path, None))
            while self._loaded_bytes > self._most_loaded:
                self._loaded_bytes -= _bytes_of(self._loaded.pop(next(iter(self._loaded))))
            self._loaded[path] = clip


def _bytes_of(clip: Clip | None) -> int:
    return 0 if clip is None or clip.waveform is None else clip.waveform.nbytes

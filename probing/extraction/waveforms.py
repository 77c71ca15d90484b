"""Decoded audio of the shards in work, within a bound: what has no room is decoded again when its batch comes.

A shard can be begun only when the length of every clip in it is known, and a shard of long clips is more than some
machines can hold. The samples are the same however often a file is decoded, so that the bound changes no result.
"""

from dataclasses import replace
from pathlib import Path
from threading import Lock

from cache.errors import ProbeError
from probing.audio import Cropping, Waveform
from probing.extraction.states import Clip, decode


class Waveforms:
    """Decodes files and holds their samples as long as there is room; used by many threads.

    Args:
        root: folder that paths start from.
        cropping, min_samples: see `probing.audio.load_audio`.
        most: bytes to hold.
    """

    def __init__(self, root: Path, cropping: Cropping, min_samples: int, most: int) -> None:
        self._root, self._cropping, self._min_samples, self._most = root, cropping, min_samples, most
        self._held: dict[str, Waveform] = {}
        self._held_bytes, self._lock = 0, Lock()

    def decode(self, utterance_id: str, path: str) -> Clip:
        """Decode a file; the clip has no samples of its own, `take` gives them."""
        clip = decode(utterance_id, self._root / path, self._cropping, self._min_samples)
        if clip.waveform is not None:
            with self._lock:
                if self._held_bytes + clip.waveform.nbytes <= self._most:
                    self._held[utterance_id] = clip.waveform
                    self._held_bytes += clip.waveform.nbytes
        return replace(clip, waveform=None)

    def take(self, clip: Clip) -> Waveform:
        """The samples (n,) of a clip, held no longer; decoded again where there was no room, or where taken before.

        Raises ProbeError where the file is not what it was.
        """
        with self._lock:
            waveform = self._held.pop(clip.utterance_id, None)
            if waveform is not None:
                self._held_bytes -= waveform.nbytes
                return waveform
        assert clip.path is not None
        again = decode(clip.utterance_id, clip.path, self._cropping, self._min_samples)
        if again.waveform is None or again.measures != clip.measures:
            raise ProbeError(f"{clip.path}: changed while it was read. Run the same command again.")
        return again.waveform

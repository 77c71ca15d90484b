"""The audio behind a cache: where it lies, and its waveforms as the model saw them."""

from __future__ import annotations

from pathlib import Path

from cache import Cache, ProbeError
from cache.errors import argument
from probing.audio import Cropping, UnusableAudio, Waveform, load_audio
from probing.corpora.cached import audio_of
from probing.extraction import Options


class Waveforms:
    """Waveforms of the utterances of a cache, as its backbone was given them.

    Args:
        cache: an open cache.
        audio_root: where the audio is now; default where it was, or beside the cache.
        cropping: how much of a clip is wanted; default as much as the model saw.

    Raises:
        ProbeError: the cache does not say how it was made, or the folder is not there.

    >>> from cache import Cache
    >>> cache = Cache("results/demo.cache")
    >>> first = cache.utterances.iloc[0]
    >>> len(Waveforms(cache).load(first["utterance_id"], first["path"]))
    8000
    """

    def __init__(
        self, cache: Cache, audio_root: Path | None = None, cropping: Cropping | None = None
    ) -> None:
        about = cache.about
        if not about.get("options"):
            raise ProbeError(
                f"{cache.folder}: does not say how its audio was read, so it cannot be read again"
            )
        options = Options(**about["options"])
        self.cropping, self.view = cropping or options.cropping, options.parsed_view
        self.root, self.cache = audio_of(cache, audio_root), cache

    def load(self, utterance_id: str, path: str) -> Waveform:
        """The waveform (n,) at 16 kHz of an utterance with its `path`, as in `cache.utterances`.

        Raises:
            ProbeError: it cannot be decoded any more.
        """
        try:
            waveform = load_audio(self.root / path, self.cropping)
        except UnusableAudio as error:
            where = argument("audio_root", "DIR")
            raise ProbeError(
                f"{self.root / path}: {error}. Say where the audio is now: {where}"
            ) from None
        return (
            waveform
            if self.view is None
            else self.cropping.apply(self.view.apply(waveform, utterance_id))
        )

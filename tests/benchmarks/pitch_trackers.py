"""How exact pitch trackers are on tones of known F0, and how fast: Praat, which we use, and Harvest
and DIO of WORLD.

    pip install pyworld 'setuptools<81'
    python tests/benchmarks/pitch_trackers.py

Tones are harmonics below 7 kHz that fall by 12 dB an octave, at random phases, 2 s, with white
noise. Errors are in cents over frames that a tracker calls voiced; speed is of the demo corpus.
Without pyworld, Praat alone is measured.
"""

import time
from collections.abc import Callable

import numpy as np
from figures import figure
from numpy.typing import NDArray

from probing.audio import SAMPLING_RATE, Cropping, load_audio
from probing.corpora import load_corpus
from probing.targets.pitch import CEILING_HZ, FLOOR_HZ, STEP_S, Pitch

Array = NDArray[np.float64]
N_CLIPS = 60
N_NOISES = 5
TIME = np.arange(2 * SAMPLING_RATE) / SAMPLING_RATE
TONES = {
    **{f"{f0} Hz": np.full(len(TIME), float(f0)) for f0 in (80, 120, 220, 400)},
    "glide 100 to 300 Hz": 100 * 3 ** (TIME / 2),
    "vibrato 200 Hz": 200 + 15 * np.sin(2 * np.pi * 5 * TIME),
}


def praat(x: Array) -> tuple[Array, Array]:
    """Times and F0, 0 where unvoiced."""
    pitch = Pitch(x.astype(np.float32))
    return pitch._pitch.xs(), pitch.f0


def trackers() -> dict[str, Callable[[Array], tuple[Array, Array]]]:
    """Name -> samples -> times, F0."""
    found = {"praat": praat}
    try:
        import pyworld
    except ImportError as error:
        print(f"WORLD is left out: {error}")
        return found
    how = {"f0_floor": FLOOR_HZ, "f0_ceil": CEILING_HZ, "frame_period": 1000 * STEP_S}

    def harvest(x: Array) -> tuple[Array, Array]:
        f0, times = pyworld.harvest(x, SAMPLING_RATE, **how)
        return times, f0

    def dio(x: Array) -> tuple[Array, Array]:
        f0, times = pyworld.dio(x, SAMPLING_RATE, **how)
        return times, pyworld.stonemask(x, f0, times, SAMPLING_RATE)

    return {**found, "harvest": harvest, "dio and stonemask": dio}


def tone(f0: Array, rng: np.random.Generator) -> Array:
    """Harmonics of an F0 for each sample."""
    phase = 2 * np.pi * np.cumsum(f0) / SAMPLING_RATE
    parts = [
        (k * f0 < 7000) * k**-2.0 * np.sin(k * phase + rng.uniform(0, 2 * np.pi))
        for k in range(1, 80)
    ]
    samples = np.sum(parts, axis=0)
    return 0.1 * samples / np.std(samples)


def main() -> None:
    """Print every figure."""
    rng = np.random.default_rng(0)
    found = trackers()
    corpus = load_corpus("demo", splits=["dev"])
    clips = [
        load_audio(corpus.root / path, Cropping())
        for path in corpus.utterances["path"].head(N_CLIPS)
    ]
    seconds = sum(map(len, clips)) / SAMPLING_RATE
    speed = {}
    for name, track in found.items():
        for snr in (60, 20, 5):
            cents = []
            for f0 in TONES.values():
                clean = tone(f0, rng)
                times, heard = track(
                    clean + 0.1 * 10 ** (-snr / 20) * rng.standard_normal(len(clean))
                )
                inner = (times > 0.1) & (times < 1.9) & (heard > 0)
                cents.append(
                    np.abs(1200 * np.log2(heard[inner] / np.interp(times[inner], TIME, f0)))
                )
            figure(
                f"{name}: median error at {snr} dB, cents", float(np.median(np.concatenate(cents)))
            )
            figure(
                f"{name}: errors above 50 cents at {snr} dB, %",
                float(100 * np.mean(np.concatenate(cents) > 50)),
            )
        noises = 0.05 * rng.standard_normal((N_NOISES, len(TIME)))
        voiced = [np.mean(track(noise)[1] > 0) for noise in noises]
        figure(f"{name}: noise called voiced, %", float(100 * np.mean(voiced)))
        after = 1e-4 * noises / 0.05
        halves = [
            np.where(TIME < 1, tone(f0, rng), quiet) for quiet in after for f0 in TONES.values()
        ]
        voiced = [np.mean(track(half)[1] > 0) for half in halves]
        figure(
            f"{name}: called voiced where half is, %",
            float(100 * np.mean(voiced)),
            f"at most {100 * max(voiced):.1f}",
        )
        started = time.process_time()
        for clip in clips:
            track(clip.astype(np.float64))
        speed[name] = time.process_time() - started
        print(f"{name}: {seconds / speed[name]:.0f} s of speech a second of processor time")
    for name in found:
        figure(f"processor time of {name} / praat", speed[name] / speed["praat"])


if __name__ == "__main__":
    main()

"""What transforms do to real speech, beside what their equations say: RawBoost, noise, codecs; and
what they cost.

    python tests/benchmarks/augmentation_figures.py [--clips 40] [--draws 5]

A line each for RawBoost 1 to 8: share of samples that differ, of those that the impulsive noise may
touch at most 10 %; SNR against the clip in dB (of 3: U(10, 40), mean 25), peak, and milliseconds
for a second of audio. Then the notch filters alone, the products u1 u2 of the impulsive noise, and
every other transform.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from figures import figure
from numpy.typing import NDArray

from probing.audio import SAMPLING_RATE, Cropping, Waveform, load_audio
from probing.augmentation import Augmentation
from probing.augmentation.rawboost import impulsive, notch_filter
from probing.corpora import load_corpus

OTHERS = [
    "noise:white@10",
    "noise:pink@10",
    "reverb:small",
    "reverb:large",
    "speed:0.9",
    "resample:8000",
    "clip:0.3",
]
CODECS = ["mulaw", "alaw", "gsm", "g722", "opus@8", "opus@24", "mp3@16", "mp3@32", "vorbis"]


def snr(clean: Waveform, made: Waveform) -> float:
    """Power of a clip over that of what was changed, in dB; infinite if nothing was."""
    n = min(len(clean), len(made))
    x, y = clean[:n].astype(np.float64), made[:n].astype(np.float64)
    power = float(np.sum((y - x) ** 2))
    return float(10 * np.log10(np.sum(x**2) / power)) if power else np.inf


def row(text: str, clips: list[Waveform], draws: int) -> None:
    """Print a line of the table."""
    chain = Augmentation.of(text)
    chain.apply(clips[0], seed=0, utterance="warm")
    ratios, shares, peaks = [], [], []
    seconds = time.process_time()
    for i, clip in enumerate(clips):
        for seed in range(draws):
            made = chain.apply(clip, seed=seed, utterance=str(i))
            n = min(len(made), len(clip))
            ratios.append(snr(clip, made))
            shares.append(float(np.mean(made[:n] != clip[:n])))
            peaks.append(float(np.abs(made).max()))
    cost = 1000 * (time.process_time() - seconds) / (draws * sum(map(len, clips)) / SAMPLING_RATE)
    spread = np.percentile(ratios, [0, 50, 100])
    print(
        f"{text:16} {100 * np.mean(shares):7.2f} {100 * np.max(shares):7.2f} {spread[0]:8.2f} "
        f"{spread[1]:8.2f} {spread[2]:8.2f} "
        f"{np.mean(peaks):7.3f} {np.max(peaks):7.3f} {cost:8.2f}",
        flush=True,
    )


def notches(n: int) -> None:
    """Print what filters alone are like: their peak, the depth of their lowest point,
    their length.
    """
    responses: list[NDArray[np.float64]] = []
    lengths = []
    for seed in range(n):
        b = notch_filter(np.random.default_rng(seed), (-20.0, -5.0))
        responses.append(20 * np.log10(np.maximum(np.abs(np.fft.rfft(b, 4096)), 1e-6)))
        lengths.append(len(b))
    peaks = np.array([response.max() for response in responses])
    figure(
        "peak of a notch filter with a gain U(-20, -5) dB, mean",
        peaks.mean(),
        f"{peaks.min():.2f}, {peaks.max():.2f}",
    )
    figure(
        "lowest point of its response below the peak, median dB",
        np.median([response.min() for response in responses] - peaks),
    )
    figure(
        "share of the band 3 dB below its peak",
        np.mean([np.mean(response < response.max() - 3) for response in responses]),
    )
    figure(
        "length in taps, mean",
        np.mean(lengths),
        f"{min(lengths)} to {max(lengths)}; 51 to 491 are possible",
    )


def products(n: int) -> None:
    """Print the share of touched samples, and moments of u1 u2."""
    shares, factors = [], []
    for seed in range(n):
        y = impulsive(np.full(16000, 0.1), np.random.default_rng(seed))
        touched = y != 0.1
        shares.append(touched.mean())
        factors.append((y[touched] / 0.1 - 1) / 2)
    every = np.concatenate(factors)
    figure(
        "share of samples the impulsive noise touches, mean",
        np.mean(shares),
        f"0.05; most {max(shares):.4f}",
    )
    figure("mean square of u1 u2", np.mean(every**2), "1/9 = 0.1111")
    figure("mean of |u1 u2|", np.mean(np.abs(every)), "1/4")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--draws", type=int, default=5)
    asked = parser.parse_args()
    corpus = load_corpus("demo")
    paths = corpus.utterances["path"].iloc[:: max(1, len(corpus) // asked.clips)].head(asked.clips)
    clips = [load_audio(corpus.root / path, Cropping(4.0)) for path in paths]
    print(
        f"{'':16} changed %, most %, SNR dB least, median, most, "
        "peak mean, most, ms a second of audio"
    )
    for text in [
        *(f"rawboost:{i}" for i in range(1, 9)),
        *OTHERS,
        *(f"codec:{name}" for name in CODECS),
    ]:
        row(text, clips, asked.draws if text.startswith("rawboost") else 1)
    notches(400)
    products(400)


if __name__ == "__main__":
    main()

"""What frames of one byte do to the EER: the same audio extracted with float16 and with int8
frames.

For every layer: the relative error of the int8 frames, and the EER on eval of a linear probe on
mean and deviation of the frames as they are read (the pooled tier is taken before the cast and
would not show it). Then heads on all layers, every frame, over several seeds: each head read on
both caches, which shows what the bytes alone do; and heads trained on either, which shows it beside
what a seed does.

    python tests/benchmarks/int8_effect.py --corpus my/manifest.csv --backbone PATH [--seeds 3] \
        [--epochs 0]
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from figures import figure

from cache import Cache
from probing.corpora import load_corpus
from probing.extraction import Machine, Options, extract
from probing.metrics import eer
from probing.probes import LinearProbeCV
from probing.serving import Server
from probing.sweep import DepthOptions, SweepOptions, sweep


def statistics_of(cache: Cache, layer: int) -> np.ndarray:
    """(N, 2 D): mean and deviation over time of the frames of a layer as they are read."""
    frames, table = cache.layer(layer, "frames")
    clips = np.split(frames.astype(np.float64), table["first_frame"].to_numpy()[1:])
    return np.stack([np.concatenate([clip.mean(0), clip.std(0)]) for clip in clips])


def probe_eer(x: np.ndarray, split: np.ndarray, bonafide: np.ndarray) -> tuple[float, np.ndarray]:
    """EER and scores on eval of a probe trained on train and dev, its strength chosen
    over folds.
    """
    trained, held_out = split != "eval", split == "eval"
    scores = LinearProbeCV().fit(x[trained], bonafide[trained]).decision_function(x[held_out])
    return eer(bonafide[held_out], scores), scores


def head_rates(
    trained_on: Cache, read_on: Sequence[Cache], home: Path, head: str, seed: int, epochs: int
) -> list[float]:
    """EER on eval of a head on all layers, over each of the caches `read_on`."""
    n_layers = max(trained_on.layers)
    depths = DepthOptions((head,), "frames", seeds=(seed,), depths=(n_layers,), epochs=epochs)
    options = SweepOptions(strengths=(0.01,), control_seeds=(), depths=depths, resamples=100)
    run = sweep(trained_on, home / f"{trained_on.folder.name}-{seed}.run", options)
    server, table = Server(run.folder, head), trained_on.select({"split": "eval"})
    bonafide = (table["label"] == "bonafide").to_numpy()
    return [
        eer(bonafide, server.on_cache(cache, cache.utterances.loc[table.index]))
        for cache in read_on
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--corpus", default="demo", help="as probe extract --corpus; splits train, dev and eval"
    )
    parser.add_argument("--backbone", default="embedded", help="as probe extract --backbone")
    parser.add_argument(
        "--head", default="attentive-compact+lstm", help="as probe sweep --heads, one"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--epochs", type=int, default=0, help="of heads at most; 0 as the recipe says"
    )
    parser.add_argument("--no-heads", action="store_true", help="probes only")
    asked = parser.parse_args()
    corpus = load_corpus(asked.corpus)
    corpus = corpus.only(
        [name for name in ("train", "dev", "eval") if name in set(corpus.utterances["split"])]
    )
    with tempfile.TemporaryDirectory() as home:
        half, byte = (
            extract(
                Path(home) / dtype,
                corpus,
                Options(asked.backbone, frames=True, frames_dtype=dtype),
                Machine(),
            )
            for dtype in ("float16", "int8")
        )
        figure("bytes of an int8 cache / of a float16 one", byte.n_bytes / half.n_bytes)
        compare(half, byte)
        if not asked.no_heads:
            compare_heads(half, byte, Path(home), asked.head, asked.seeds, asked.epochs)


def compare_heads(
    half: Cache, byte: Cache, home: Path, head: str, n_seeds: int, epochs: int
) -> None:
    """Print the EERs of heads by seed: trained and read on float16, the same read on int8, trained
    and read on int8.
    """
    rates = np.zeros((n_seeds, 3))
    for seed in range(n_seeds):
        rates[seed, :2] = head_rates(half, (half, byte), home, head, seed, epochs)
        rates[seed, 2] = head_rates(byte, (byte,), home, head, seed, epochs)[0]
        print(
            f"{head}, seed {seed}, EER %: float16 "
            f"{100 * rates[seed, 0]:.2f}, the same head on int8 ",
            end="",
        )
        print(f"{100 * rates[seed, 1]:.2f}, trained on int8 {100 * rates[seed, 2]:.2f}", flush=True)
    read, trained = 100 * (rates[:, 1:] - rates[:, :1]).T
    figure(f"{head}, EER of the same heads on int8 less float16, points, mean", read.mean())
    figure(
        f"{head}, EER of the same heads on int8 less float16, points, largest difference",
        np.abs(read).max(),
    )
    error = trained.std(ddof=1) / len(trained) ** 0.5 if len(trained) > 1 else float("nan")
    figure(
        f"{head}, EER trained on int8 less on float16, points, mean over seeds",
        trained.mean(),
        f"+- {error:.2f}",
    )
    figure(f"{head}, spread of float16 over seeds, points", 100 * np.ptp(rates[:, 0]))


def compare(half: Cache, byte: Cache) -> None:
    """Print the table by layer and the largest differences."""
    split = half.utterances["split"].to_numpy().astype(str)
    bonafide = (half.utterances["label"] == "bonafide").to_numpy()
    print(
        "layer  relative error  largest value / RMS  EER % "
        "float16  EER % int8  correlation of scores"
    )
    differences = []
    for k in half.layers:
        exact, rounded = (cache.layer(k, "frames")[0].astype(np.float32) for cache in (half, byte))
        error = np.sqrt(np.square(rounded - exact).mean(dtype=np.float64))
        rms = np.sqrt(np.square(exact).mean(dtype=np.float64))
        (one, scores), (two, others) = (
            probe_eer(statistics_of(cache, k), split, bonafide) for cache in (half, byte)
        )
        differences.append(100 * (two - one))
        print(
            f"{k:5}  {error / rms:14.4f}  {np.abs(exact).max() / rms:19.1f}  {100 * one:13.2f}  "
            f"{100 * two:10.2f}  {np.corrcoef(scores, others)[0, 1]:21.5f}",
            flush=True,
        )
    figure(
        "EER of probes, int8 less float16, points, mean over layers", float(np.mean(differences))
    )
    figure(
        "EER of probes, int8 and float16, points, largest difference of a layer",
        float(np.abs(differences).max()),
    )


if __name__ == "__main__":
    main()

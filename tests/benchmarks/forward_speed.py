"""The fused forward pass against the stock one: the same numbers, and how much faster.

    python tests/benchmarks/forward_speed.py [--rounds 5] [--threads 2] [--shapes base,large]

Stock is transformers as it is; fused is what `load_backbone` gives: fused attention for WavLM, and
linear layers through oneDNN where that is the faster one on this machine (said in the output).
About 5 minutes on 2 quiet cores.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
import torch
from figures import figure, interleaved, median_ratio
from shapes import clips_of, real_clips, shape

from probing.backbones import Backbone, load_backbone
from probing.backbones.layers import relative_differences
from probing.backbones.products import onednn_is_faster
from probing.extraction.states import batches

SECONDS = 4.0
UNEQUAL = (1.3, 2.0, 3.1, 4.0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="interleaved pairs; the median counts"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--shapes", default="base,large")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(
        f"PyTorch {torch.__version__}, {arguments.threads} threads, "
        f"oneDNN faster than BLAS: {onednn_is_faster()}"
    )
    for name in arguments.shapes.split(","):
        with shape(name) as spec:
            stock = load_backbone(spec, device="cpu", attention="stock")
            fused = load_backbone(spec, device="cpu")
        assert (stock.attention, fused.attention) == ("stock", "fused")
        parity(name, stock, fused)
        for batch_size in (1, 4):
            clips = clips_of([SECONDS] * batch_size)
            times = interleaved(
                [partial(encoder.hidden_states, clips) for encoder in (stock, fused)],
                arguments.rounds,
            )
            ratio, ratios = median_ratio(times)
            best = min(seconds for _, seconds in times)
            figure(
                f"stock / fused forward, {name}, batch {batch_size}",
                ratio,
                f"{ratios}; fused {best:.2f} s",
            )
        del stock, fused
    padding()


def parity(name: str, stock: Backbone, fused: Backbone) -> None:
    """Every hidden state, padded and not, by both; and a clip alone against the same
    clip padded.
    """
    clips = clips_of(UNEQUAL)
    by_stock, by_fused = stock.hidden_states(clips), fused.hidden_states(clips)
    worst = max(
        float((a[i, :n] - b[i, :n]).abs().max())
        for a, b in zip(by_stock.layers, by_fused.layers, strict=True)
        for i, n in enumerate(by_stock.n_frames)
    )
    figure(f"fused against stock, max abs difference, {name}", worst)
    rms = max(float(layer.square().mean().sqrt()) for layer in by_stock.layers)
    print(f"  (largest root mean square of a layer: {rms:.2f})")
    alone = [fused.hidden_states([clip]) for clip in clips]
    joined = type(by_fused)(
        [
            torch.nn.utils.rnn.pad_sequence([states.layers[k][0] for states in alone], True)
            for k in range(len(alone[0].layers))
        ],
        by_fused.n_frames,
    )
    figure(f"padded against alone, relative, {name}", max(relative_differences(by_fused, joined)))


def padding(batch_size: int = 16, n_batches: int = 50) -> None:
    """Operations on a padded batch against those on the clips alone, batches drawn as extraction
    draws them.
    """
    seconds = np.array([len(clip) / 16000 for clip in real_clips(batch_size * n_batches)])
    for what, lengths in (("", seconds), (", log-normal lengths", _log_normal(len(seconds)))):
        frames = np.sort(np.floor((lengths * 16000 - 400) / 320) + 1)
        runs = list(batches(frames.tolist(), batch_size, "exact"))
        padded = sum(_operations(frames[run].max()) * len(frames[run]) for run in runs)
        figure(f"padded operations / ideal{what}", padded / sum(map(_operations, frames)))


def _log_normal(n: int) -> np.ndarray:
    """Lengths as of a large corpus: mean 3.4 s, 0.5 to 16 s."""
    return np.clip(np.random.default_rng(0).lognormal(np.log(3.0), 0.5, n), 0.5, 16.0)


def _operations(frames: float) -> float:
    """Multiply-accumulates of WavLM-Base: what is linear in the frames, and the two products of
    attention.
    """
    front_end, block = 10e9 / 199, 12 * 768 * 768 + 2 * 768 * frames
    return frames * (front_end + 768 * 768 / 16 * 128 + 12 * block)


if __name__ == "__main__":
    main()

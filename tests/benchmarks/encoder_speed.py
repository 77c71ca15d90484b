"""Encoders as transformers computes them against as `load_backbone` gives them, one thread,
processor time.

    python tests/benchmarks/encoder_speed.py [--rounds 5] \
        [--models wavlm,hubert,wav2vec2,moonshine] [--also FOLDER]

WavLM, HuBERT and wav2vec 2.0 are of the large shape (24 blocks; `--depth 12` cuts them) with random
weights, clips have 4 s. Prints stock / ours for batches of one and four, and the matrix rates of
this processor: bare products of a large feed-forward layer by PyTorch's BLAS and by oneDNN, which
bound what can be gained. About 10 minutes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import torch
from figures import figure
from shapes import clips_of, shape
from torch.nn import functional

from probing.backbones import Backbone, load_backbone
from probing.backbones.products import linear_onednn, onednn_is_faster

CONFIGS = {"wavlm": "WavLMConfig", "hubert": "HubertConfig", "wav2vec2": "Wav2Vec2Config"}
SECONDS = 4.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="interleaved pairs; the median counts"
    )
    parser.add_argument("--models", default="wavlm,hubert,wav2vec2,moonshine")
    parser.add_argument(
        "--also", nargs="*", default=[], help="folders or hub ids of other models, such as Whisper"
    )
    parser.add_argument("--depth", type=int, help="of the large shapes [default: all 24 blocks]")
    given = parser.parse_args()
    torch.set_num_threads(1)
    capability = torch.backends.cpu.get_cpu_capability()
    print(
        f"PyTorch {torch.__version__}, {capability}, oneDNN faster than BLAS: {onednn_is_faster()}"
    )
    matrix_rates(given.rounds)
    for name in [*given.models.split(","), *given.also]:
        with ExitStack() as stack:
            spec = stack.enter_context(shape("large", CONFIGS[name])) if name in CONFIGS else name
            stock = load_backbone(spec, device="cpu", attention="stock")
            ours = load_backbone(spec, device="cpu")
        if name in CONFIGS and given.depth:
            stock, ours = stock.truncate(given.depth), ours.truncate(given.depth)
        compare(name, stock, ours, given.rounds)


def compare(name: str, stock: Backbone, ours: Backbone, rounds: int) -> None:
    for size in (1, 4):
        clips = clips_of([SECONDS] * size)
        times = in_turn([partial(model.hidden_states, clips) for model in (stock, ours)], rounds)
        ratios = [one / two for one, two in times]
        note = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        figure(
            f"stock / ours, {name}, {ours.n_layers} blocks, batch {size}",
            statistics.median(ratios),
            note,
        )


@torch.inference_mode()
def matrix_rates(rounds: int) -> None:
    x, weight, bias = torch.randn(796, 1024), torch.randn(4096, 1024), torch.randn(4096)
    times = in_turn(
        [partial(product, x, weight, bias) for product in (functional.linear, linear_onednn)],
        rounds,
    )
    for name, seconds in zip(("BLAS", "oneDNN"), zip(*times, strict=True), strict=True):
        figure(
            f"GFLOP/s of {name}, one thread",
            2e-9 * x.numel() * len(weight) / statistics.median(seconds),
        )


def in_turn(works: list[Callable[[], object]], rounds: int) -> list[tuple[float, ...]]:
    """Processor seconds of each piece of work, one tuple a round, after one round that does not
    count.
    """
    times = []
    for _ in range(rounds + 1):
        seconds = []
        for work in works:
            started = time.thread_time()
            work()
            seconds.append(time.thread_time() - started)
        times.append(tuple(seconds))
    return times[1:]


if __name__ == "__main__":
    main()

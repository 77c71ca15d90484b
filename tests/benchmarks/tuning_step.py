"""A training step of WavLM: gradients, time and memory against stock transformers.

    python tests/benchmarks/tuning_step.py [--what gradients,time,memory] [--rounds 5] \
        [--threads 1] [--lora 8]

Stock is `WavLMModel` in training mode, its front end frozen, layerdrop, masking and dropout off;
ours is `Backbone.trainable` of the same random weights. A step is a forward pass to every layer and
a backward pass from all of them, without the optimiser. Memory is what a step takes at most beside
weights and gradients, in a process of its own for each figure. With --lora, adapters of that rank
on every projection are measured against all weights.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from figures import figure
from frames_memory import Peak
from shapes import clips_of, shape
from torch import Tensor

from probing.backbones import load_backbone
from probing.backbones.layers import recorded_layers

PROJECTIONS = ["q_proj", "k_proj", "v_proj", "out_proj", "intermediate_dense", "output_dense"]


def loss_of(layers: list[Tensor]) -> Tensor:
    """A number that depends on every layer, with other weights on every value."""
    weights = torch.linspace(-1, 1, layers[0].shape[2])
    return torch.stack(
        [(layer.tanh() * weights).mean() * (k + 1) for k, layer in enumerate(layers)]
    ).sum()


def model_of(
    kind: str, name: str, blocks: int, seconds: list[float]
) -> tuple[torch.nn.Module, Callable[[], Tensor]]:
    """A model of a shape cut at so many blocks, `stock`, `ours`, `checkpointed` or `lora:R`, and
    its loss.
    """
    with shape(name) as spec:
        config = Path(spec.removeprefix("random:")) / "config.json"
        config.write_text(
            json.dumps(json.loads(config.read_text()) | {"num_hidden_layers": blocks})
        )
        backbone = load_backbone(
            spec, device="cpu", attention="stock" if kind == "stock" else "auto"
        )
    clips = clips_of(seconds)
    if kind != "stock":
        model = backbone.trainable(checkpointing=kind == "checkpointed")
        model.requires_grad_(True)
        model.front_end.requires_grad_(False)
        if kind.startswith("lora"):
            import peft

            settings = peft.LoraConfig(r=int(kind.split(":")[1]), target_modules=PROJECTIONS)
            peft.tuners.lora.LoraModel(model, settings, "default")
        return model, lambda: loss_of(model(clips).layers)
    encoder = backbone._encoder
    for module in encoder.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif hasattr(module, "dropout") and isinstance(module.dropout, float):
            module.dropout = 0.0
    encoder.config.layerdrop, encoder.config.apply_spec_augment = 0.0, False
    encoder.train().requires_grad_(True)
    encoder.freeze_feature_encoder()
    inputs = backbone._input(clips, backbone.device)

    def loss() -> Tensor:
        with recorded_layers(backbone._blocks) as layers:
            encoder(**inputs)
        return loss_of(layers)

    return encoder, loss


def gradients(name: str, blocks: int) -> None:
    """Largest relative difference of a weight's gradient from stock, over the largest value of that
    weight's.
    """
    found = []
    for kind in ("stock", "ours", "checkpointed"):
        model, loss = model_of(kind, name, blocks, [2.0, 2.0])
        loss().backward()
        found.append(
            {
                key: weight.grad
                for key, weight in model.named_parameters()
                if weight.grad is not None
            }
        )
        del model, loss
    stock = found[0]
    scales = {key: float(value.abs().max()) for key, value in stock.items()}
    # The bias of the keys moves all scores of a query alike: its gradient is 0 but for rounding.
    for key in stock:
        if key.endswith("k_proj.bias"):
            scales[key] = scales[key.replace("k_proj", "q_proj")]
    for what, ours in zip(("", ", checkpointed"), found[1:], strict=True):
        assert ours.keys() == stock.keys()
        worst = {key: float((ours[key] - stock[key]).abs().max()) / scales[key] for key in stock}
        key = max(worst, key=worst.__getitem__)
        note = f"{len(stock)} weights; worst {key}"
        figure(
            f"gradients against stock, largest relative difference, {name}{what}", worst[key], note
        )


def times(kinds: list[str], name: str, blocks: int, seconds: list[float], rounds: int) -> None:
    """Wall and processor time of steps in turn; ratios of the first kind over the others, medians
    over the rounds.
    """
    models = [model_of(kind, name, blocks, seconds) for kind in kinds]
    spent: list[list[tuple[float, float]]] = []
    for number in range(rounds + 1):
        row = []
        for model, loss in models:
            started, busy = time.perf_counter(), time.process_time()
            loss().backward()
            row.append((time.perf_counter() - started, time.process_time() - busy))
            model.zero_grad(set_to_none=False)
        print(
            " ".join(
                f"{kind} {w:.1f} s ({p:.1f} s)" for kind, (w, p) in zip(kinds, row, strict=True)
            ),
            flush=True,
        )
        if number:
            spent.append(row)
    for i, kind in enumerate(kinds[1:], 1):
        for column, what in enumerate(("wall", "processor")):
            ratios = [row[0][column] / row[i][column] for row in spent]
            note = ", ".join(f"{ratio:.2f}" for ratio in ratios)
            figure(
                f"training step, {name} cut at {blocks}, {kinds[0]} / {kind}, {what}",
                statistics.median(ratios),
                note,
            )


def peak(kind: str, name: str, blocks: int, seconds: list[float]) -> tuple[float, int]:
    """GB that a step takes at most beside weights and gradients, and how many values
    are trained.
    """
    torch.set_num_threads(1)
    model, loss = model_of(kind, name, blocks, seconds)
    for weight in model.parameters():
        if weight.requires_grad:
            weight.grad = torch.full_like(weight, 0.0)
    gc.collect()
    with Peak(0.002) as peak:
        loss().backward()
    return peak.gb, sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def memory(kinds: list[str], name: str, blocks: int, seconds: list[float], rounds: int) -> None:
    """Peaks by kind, and ratios over the first."""
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"  # what is freed goes back to the system at once
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            with multiprocessing.get_context("spawn").Pool(1) as alone:
                gb, trained = alone.apply(peak, (kind, name, blocks, seconds))
            found[kind].append(gb)
            print(
                f"{kind}: {gb:.3f} GB beside weights and gradients, {trained:,} values trained",
                flush=True,
            )
    for kind in kinds[1:]:
        ratios = [ours / first for ours, first in zip(found[kind], found[kinds[0]], strict=True)]
        note = ", ".join(f"{ratio:.3f}" for ratio in ratios)
        figure(
            f"peak memory of a step, {name} cut at {blocks}, {kind} / {kinds[0]}",
            statistics.median(ratios),
            note,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--what", default="gradients,time,memory")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--shape", choices=["base", "large"], default="large")
    parser.add_argument("--blocks", type=int, default=12, help="of the model that is timed")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--lora", type=int, help="rank of adapters, measured against all weights")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    kinds = ["ours", f"lora:{asked.lora}"] if asked.lora else ["stock", "ours", "checkpointed"]
    work = (asked.shape, asked.blocks, [asked.seconds] * asked.batch, asked.rounds)
    if "gradients" in asked.what and not asked.lora:
        gradients("base", 12)
        gradients("large", 24)
    if "memory" in asked.what:
        memory(kinds, *work)
    if "time" in asked.what:
        times(kinds, *work)


if __name__ == "__main__":
    main()

"""Heads on frames: processor time, memory and EER of three ways to train the same models.

    python tests/benchmarks/frame_heads.py CACHE [--old FOLDER] \
        [--heads weighted-sum+lstm,attentive-compact+lstm]

All depths x heads x seeds on some clips of every split, for the same epochs on the same batches: by
this build; by an older one, a checkout of which `--old` names; and, if all are LSTMs, one after
another with torch.nn.LSTM and torch.optim.AdamW, each on a source of the layers it sees and no
others. Every way has a process of its own and one thread, in turn, and the figures are medians over
the rounds. Memory is the anonymous one above what the process has before (Linux only). Minutes.
"""

import argparse
import copy
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from figures import figure
from frames_memory import Peak
from torch import Tensor, nn

from cache import Cache
from probing.heads.kinds import split_head
from probing.heads.losses import class_weights
from probing.heads.recipes import QUICK_FRAMES, Recipe
from probing.heads.scoring import scores_of
from probing.heads.sources import FrameSource
from probing.heads.stack import HeadStack, Model, make_stacks
from probing.heads.training import train
from probing.metrics import eer
from probing.options import WHOLE

PARTS = {"train": 0.5, "dev": 0.25, "eval": 0.25}  # of the clips
WAYS = ("ours", "old", "torch")


class Plain(nn.Module):
    """A head of one model as one writes it with torch.nn.LSTM; the merge and the first weights are
    ours.
    """

    def __init__(self, model: Model, dim: int, moments: tuple[Tensor, Tensor]) -> None:
        super().__init__()
        stack = HeadStack([model], model.depth, dim, True)
        stack.start()
        self.mean, self.scale = (value[: model.depth, None] for value in moments)
        self.merge = stack.merge
        self.lstm = nn.LSTM(dim, stack.backend.hidden.shape[1], batch_first=True)
        self.out = nn.Linear(self.lstm.hidden_size, 2)
        with torch.no_grad():
            self.lstm.weight_ih_l0.copy_(stack.backend.input[0].T)
            self.lstm.weight_hh_l0.copy_(stack.backend.hidden[0].T)
            self.lstm.bias_ih_l0.copy_(stack.backend.input_bias[0])
            self.lstm.bias_hh_l0.copy_(stack.backend.hidden_bias[0])
            self.out.weight.copy_(stack.backend.weight[0].T)
            self.out.bias.zero_()

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        outputs, _ = self.lstm(self.merge((x - self.mean) / self.scale, mask)[0])
        share = mask / mask.sum(dim=1, keepdim=True)
        return self.out((outputs * share[:, :, None]).sum(dim=1))


def one_after_another(
    models: Sequence[Model],
    sources: dict[str, FrameSource],
    truth: dict[str, np.ndarray],
    recipe: Recipe,
) -> list[np.ndarray]:
    """Scores on eval of every model."""
    found = []
    weights = {part: class_weights(truth[part], recipe) for part in ("train", "dev")}
    for model in models:
        own = {part: copy.copy(source) for part, source in sources.items()}
        for source in own.values():
            source.layers, source.n_layers = source.layers[: model.depth], model.depth
        head = Plain(model, own["train"].dim, own["train"].moments())
        optimizer = torch.optim.AdamW(
            head.parameters(), model.learning_rate, weight_decay=model.weight_decay
        )

        def summed(batch, part: str, head: nn.Module = head) -> Tensor:
            target = torch.from_numpy(truth[part][batch.rows]).long()
            losses = nn.functional.cross_entropy(
                head(batch.x, batch.mask), target, reduction="none"
            )
            return (losses * weights[part][torch.from_numpy(batch.rows)]).sum()

        best = np.inf, head.state_dict()
        n = len(own["train"])
        for epoch in range(recipe.epochs):
            order = np.random.default_rng([recipe.seed, epoch]).permutation(n)
            seed = int(np.random.SeedSequence([recipe.seed, epoch]).generate_state(1)[0])
            for step, batch in enumerate(own["train"].batches(order, recipe.batch, seed)):
                factor = recipe.rate(epoch + (step + 0.5) / -(-n // recipe.batch))
                optimizer.param_groups[0]["lr"] = model.learning_rate * factor
                optimizer.zero_grad()
                (
                    summed(batch, "train")
                    / float(weights["train"][torch.from_numpy(batch.rows)].sum())
                ).backward()
                optimizer.step()
            with torch.no_grad():
                dev = np.arange(len(own["dev"]))
                loss = sum(
                    float(summed(batch, "dev")) for batch in own["dev"].batches(dev, recipe.batch)
                )
            if loss < best[0]:
                best = loss, copy.deepcopy(head.state_dict())
        head.load_state_dict(best[1])
        scores = np.zeros(len(own["eval"]))
        with torch.no_grad():
            for batch in own["eval"].batches(np.arange(len(scores)), recipe.batch):
                logits = head(batch.x, batch.mask)
                scores[batch.rows] = (logits[:, 1] - logits[:, 0]).numpy()
        found.append(scores)
    return found


def together(
    models: Sequence[Model],
    sources: dict[str, FrameSource],
    truth: dict[str, np.ndarray],
    recipe: Recipe,
    memory_gb: float,
) -> list[np.ndarray]:
    """Scores on eval of every model, by the build that is imported."""
    source = sources["train"]
    vectors = recipe.batch * source.longest
    stacks = make_stacks(
        models, source.n_layers, source.dim, True, memory_gb=memory_gb / 2, vectors=vectors
    )
    train(stacks, source, truth["train"], sources["dev"], truth["dev"], recipe)
    scores = {}
    for stack, of_stack in zip(
        stacks, scores_of(stacks, sources["eval"], recipe.batch), strict=True
    ):
        scores |= dict(zip(stack.models, of_stack.double().numpy(), strict=True))
    return [scores[model] for model in models]


def measure(way: str, arguments: argparse.Namespace) -> dict[str, object]:
    """Processor seconds, GB above the start and EER of every model, in this process."""
    torch.set_num_threads(1)
    cache = Cache(arguments.cache)
    recipe = replace(QUICK_FRAMES, epochs=arguments.epochs, patience=arguments.epochs)
    sources, truth = {}, {}
    for part, share in PARTS.items():
        table = cache.select({"split": part})
        table = table.sample(min(len(table), round(share * arguments.clips)), random_state=0)
        sources[part] = FrameSource(cache, table, recipe.n_frames, arguments.memory_gb / 4)
        truth[part] = (table["label"] == "bonafide").to_numpy()
    models = [
        Model(*split_head(head), depth, seed, recipe.learning_rates[0], recipe.weight_decays[0])
        for head in arguments.heads.split(",")
        for depth in (
            WHOLE.read(arguments.depths)
            if arguments.depths
            else range(1, sources["train"].n_layers + 1)
        )
        for seed in range(arguments.seeds)
    ]
    started = time.process_time()
    with Peak(0.02) as peak:
        if way == "torch":
            scores = one_after_another(models, sources, truth, recipe)
        else:
            scores = together(models, sources, truth, recipe, arguments.memory_gb)
        seconds = time.process_time() - started
    rates = [eer(truth["eval"], of_model) for of_model in scores]
    return {"seconds": seconds, "gb": peak.gb, "eer": rates}


def child(way: str, arguments: argparse.Namespace) -> dict[str, object]:
    """The same in a process of its own, which imports the build of the way."""
    here = Path(__file__).resolve()
    root = Path(arguments.old).resolve() if way == "old" else here.parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    given = [sys.executable, str(here), *sys.argv[1:], "--way", way]
    output = subprocess.run(
        given, env=environment, cwd=root, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    result: dict[str, object] = json.loads(output.splitlines()[-1])
    assert str(result["of"]).startswith(str(root)), (result["of"], root)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "cache", type=lambda folder: str(Path(folder).resolve()), help="with frames"
    )
    parser.add_argument(
        "--old", type=lambda folder: str(Path(folder).resolve()), help="checkout of an older build"
    )
    parser.add_argument("--heads", default="weighted-sum+lstm,attentive-compact+lstm")
    parser.add_argument("--depths", default="", help="as 1,4 or 1:6 [default: all]")
    parser.add_argument(
        "--clips", type=int, default=120, help="of all splits: half to train, a quarter dev, eval"
    )
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-gb", type=float, default=2.0)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        import probing.heads.stack as build

        print(json.dumps({**measure(arguments.way, arguments), "of": build.__file__}))
        return
    left_out = {"old"} if not arguments.old else set()
    if not all(head.endswith("+lstm") for head in arguments.heads.split(",")):
        left_out.add("torch")
    ways = [way for way in WAYS if way not in left_out]
    print(
        f"{arguments.heads}, {arguments.clips} clips, "
        f"{arguments.epochs} epochs, {arguments.seeds} seeds",
        flush=True,
    )
    rounds = []
    for _ in range(arguments.rounds):
        rounds.append({way: child(way, arguments) for way in ways})
        print(
            {way: round(float(result["seconds"]), 1) for way, result in rounds[-1].items()},
            flush=True,
        )
    for way in ways:
        rates = np.array(rounds[0][way]["eer"])
        seconds = statistics.median(float(times[way]["seconds"]) for times in rounds)
        gb = max(float(times[way]["gb"]) for times in rounds)
        print(
            f"{way:6} {seconds:7.1f} s of processor, {gb:.2f} GB, EER of {len(rates)} models "
            f"{100 * rates.mean():.1f} %"
        )
    for way in ways[1:]:
        ratios = [
            float(times[way]["seconds"]) / float(times["ours"]["seconds"]) for times in rounds
        ]
        figure(
            f"{way} / ours, processor time",
            statistics.median(ratios),
            ", ".join(f"{ratio:.2f}" for ratio in ratios),
        )
        apart = np.abs(np.array(rounds[0][way]["eer"]) - rounds[0]["ours"]["eer"])
        figure(
            f"{way} and ours, points of EER apart, mean",
            100 * apart.mean(),
            f"most {100 * apart.max():.1f}",
        )


if __name__ == "__main__":
    main()

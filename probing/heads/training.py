"""Training: every model of every stack from one read of the data."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from probing.tensors import errors_of_the_disk

from .averaging import Best, Successors
from .recipes import Recipe
from .sources import Batch, Source
from .stack import HeadStack
from .workers import Workers

Target = NDArray[Any]  # (N,) bool of two classes, whole numbers of more, float64 of numbers
# (M,) of scores (M, N), or of many classes (M, N, C)
Figure = Callable[[Tensor], NDArray[np.float64]]
CHECKPOINT_EVERY_S = 20.0
BETAS = (0.9, 0.999)
EPSILON = 1e-8


class StackOptimizer:
    """AdamW (Loshchilov & Hutter, ICLR 2019) with a learning rate and a weight decay per model of a
    stack.

    What decays is `HeadStack.decaying`. A model that is not `active` stays as it is.
    """

    def __init__(self, stack: HeadStack) -> None:
        self.parameters = dict(stack.named_parameters())
        self.decaying = stack.decaying()
        self.first = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        self.second = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        self.scratch = {name: torch.empty_like(value) for name, value in self.parameters.items()}
        device = next(iter(self.parameters.values())).device
        self.rate = torch.tensor([model.learning_rate for model in stack.models], device=device)
        self.decay = torch.tensor([model.weight_decay for model in stack.models], device=device)
        self.step_count = 0

    @torch.no_grad()
    def step(self, factor: float, active: Tensor) -> None:
        """Take a step at the models' rates times `factor`."""
        self.step_count += 1
        rate = self.rate * factor * active
        first_share, second_share = (1 - beta**self.step_count for beta in BETAS)
        root = second_share**-0.5
        for name, value in self.parameters.items():
            if value.grad is None:
                continue
            first = self.first[name]
            second = self.second[name]
            scratch = self.scratch[name]
            shape = (-1, *[1] * (value.ndim - 1))
            first.lerp_(value.grad, 1 - BETAS[0])
            second.mul_(BETAS[1]).addcmul_(value.grad, value.grad, value=1 - BETAS[1])
            if name in self.decaying:
                value.mul_((1 - rate * self.decay).view(shape))
            torch.div(first, torch.sqrt(second, out=scratch).add_(EPSILON / root), out=scratch)
            value.addcmul_(scratch, (-rate / (first_share * root)).view(shape))
            value.grad = None


def train(
    stacks: Sequence[HeadStack],
    train_source: Source,
    train_target: Target,
    dev_source: Source,
    dev_target: Target,
    recipe: Recipe,
    *,
    device: str = "cpu",
    checkpoint: Path | None = None,
    said: Callable[[str], None] = lambda text: None,
    figure: Figure | None = None,
) -> list[Tensor]:
    """Train every model on the same batches and leave it with its best parameters by dev loss.

    What the weights of the loss add to the log odds is where their bias begins, and is taken off
    again at the end, see `prior_log_odds`: so it is off whether or not a training was long enough
    to learn it.

    Args:
        stacks: trained in place.
        train_source: utterances to learn from.
        train_target: their targets (N,): true for bona fide; or the number of the class, or the
            number itself where the stacks have outputs for these.
        dev_source: utterances for early stopping and the choice of parameters.
        dev_target: their targets (N,).
        recipe: how.
        device: cpu or cuda.
        checkpoint: file to go on from if it is there, written now and then.
        said: told after each epoch.
        figure: to be logged of the scores on dev by epoch, as `scores_of` gives them but for
            `prior_log_odds`; it chooses nothing.

    Returns:
        Of every stack, (E, 3, M): the losses of each epoch on train (while it learned) and on dev,
        and the figure; NaN after a model stopped, and where there is no figure.
    """
    weights = class_weights(train_target, recipe), class_weights(dev_target, recipe)
    mean, scale = train_source.moments() if recipe.standardize else (None, None)
    for stack in stacks:
        stack.to(device)
        stack.start(recipe.scaled_init)
        if stack.outputs is None:
            stack.backend.shift(prior_log_odds(train_target, recipe))
        if mean is not None and scale is not None:
            stack.mean.copy_(mean[: stack.n_layers])
            stack.scale.copy_(scale[: stack.n_layers])
    state = _State(stacks, recipe)
    if checkpoint is not None and checkpoint.is_file():
        state.load(checkpoint)
    saved = time.monotonic()
    n_used = len(train_source)
    if recipe.drop_last and n_used > recipe.batch:
        n_used -= n_used % recipe.batch
    n_steps = -(-n_used // recipe.batch)
    largest_first = sorted(range(len(stacks)), key=lambda i: -stacks[i].n_parameters())
    with Workers(len(stacks), device) as workers:
        while state.epoch < recipe.epochs and any(active.any() for active in state.active):
            order = np.random.default_rng([recipe.seed, state.epoch]).permutation(
                len(train_source)
            )[:n_used]
            if state.epoch == recipe.fresh_moments_at:
                state.optimizers = [StackOptimizer(stack) for stack in stacks]
            learning = [i for i in largest_first if state.active[i].any()]
            chosen = [stacks[i] for i in learning]
            summed = [torch.zeros(len(stack.models), device=device) for stack in chosen]
            for step, parts in enumerate(_steps(train_source, order, recipe, state.epoch)):
                factor = recipe.rate(state.epoch + (step + 0.5) / n_steps)
                n_before = state.epoch * n_used + step * recipe.batch
                _backward(
                    chosen,
                    parts,
                    target=train_target,
                    weights=weights[0],
                    summed=summed,
                    device=device,
                    workers=workers,
                    n_before=n_before,
                )
                workers.map(partial(state.step, factor), learning)
            state.epoch += 1
            still = [state.active[i] for i in learning]
            found = losses_of(
                chosen,
                dev_source,
                target=dev_target,
                weights=weights[1],
                batch=recipe.batch,
                device=device,
                workers=workers,
                active=still,
                figure=figure,
            )
            in_all = float(weights[0][torch.from_numpy(order)].sum())
            for i, on_train, (losses, figures) in zip(learning, summed, found, strict=True):
                best = state.best[i]
                active = state.active[i]
                of_epoch = torch.stack([on_train / in_all, losses, figures])
                state.losses[i][state.epoch - 1] = torch.where(active, of_epoch, torch.nan)
                best.offer(stacks[i], losses, state.epoch, active)
                active &= ~recipe.stops(state.epoch, state.epoch - best.epochs)
            said(
                f"epoch {state.epoch}, "
                f"{sum(int(active.sum()) for active in state.active)} still learning"
            )
            if checkpoint is not None and time.monotonic() - saved > CHECKPOINT_EVERY_S:
                state.save(checkpoint)
                saved = time.monotonic()
    if checkpoint is not None:
        state.save(checkpoint)
    for stack, best in zip(stacks, state.best, strict=True):
        best.restore(stack)
        if stack.outputs is None:
            stack.backend.shift(-prior_log_odds(train_target, recipe))
    return [losses.cpu() for losses in state.losses]


def class_weights(target: Target, recipe: Recipe) -> Tensor:
    """Weight (N,) of each utterance in the loss; many classes count alike in sum, and numbers all
    the same.
    """
    if target.dtype.kind == "f":
        return torch.ones(len(target))
    if target.dtype != bool:
        counts = np.bincount(target)
        return torch.from_numpy(len(target) / ((counts > 0).sum() * counts[target])).float()
    bonafide = target
    share = float(bonafide.mean())
    human, spoof = (
        (recipe.bonafide_weight, 1 - recipe.bonafide_weight)
        if recipe.bonafide_weight is not None
        else (0.5 / share, 0.5 / (1 - share))
    )
    return torch.from_numpy(np.where(bonafide, human, spoof)).float()


def prior_log_odds(bonafide: Target, recipe: Recipe) -> float:
    """Log odds of bona fide in a training set as the weights of the loss count it; 0 if both
    classes weigh the same.

    A weighted cross-entropy is least at the log odds of that prior, so that less this they are the
    log-likelihood ratio (Bayes' rule), which costs such as Cllr and actDCF take scores for.
    """
    if recipe.bonafide_weight is None:
        return 0.0
    weights = class_weights(bonafide, recipe).double().numpy()
    return float(np.log(weights[bonafide].sum() / weights[~bonafide].sum()))


@torch.no_grad()
def scores_of(
    stacks: Sequence[HeadStack],
    source: Source,
    batch: int = 64,
    device: str = "cpu",
    kept: Sequence[Sequence[int]] | None = None,
) -> list[Tensor]:
    """Scores (M, N), or of many classes (M, N, C), of every stack from one read of a source.

    Those of all its models, or of those in `kept`.
    """
    kept = [range(len(stack.models)) for stack in stacks] if kept is None else kept
    found = [
        torch.zeros(len(models), len(source), *_tail(stack))
        for stack, models in zip(stacks, kept, strict=True)
    ]
    for part in source.batches(np.arange(len(source)), batch):
        x, mask = _on(part, device)
        for stack, models, scores in zip(stacks, kept, found, strict=True):
            scores[:, torch.from_numpy(part.rows)] = stack.score(x[:, : stack.n_layers], mask)[
                list(models)
            ].cpu()
    return found


@torch.no_grad()
def losses_of(
    stacks: Sequence[HeadStack],
    source: Source,
    target: Target,
    weights: Tensor,
    batch: int,
    device: str,
    workers: Workers,
    active: Sequence[Tensor],
    figure: Figure | None = None,
) -> list[tuple[Tensor, Tensor]]:
    """Weighted mean cross-entropy, or squared error of numbers, (M,) of every stack; and the figure
    of its scores (M,).

    The figure is NaN of models that are not active (M,).
    """
    totals = [torch.zeros(len(stack.models), device=device) for stack in stacks]
    shapes = [(len(stack.models), len(source), *_tail(stack)) for stack in stacks]
    scores = None if figure is None else [torch.empty(shape) for shape in shapes]
    for part in source.batches(np.arange(len(source)), batch):
        x, mask = _on(part, device)
        deepest = max(stacks, key=lambda stack: stack.n_layers)
        x = deepest.standardized(x[:, : deepest.n_layers])

        def measure(
            i: int, x: Tensor = x, mask: Tensor | None = mask, part: Batch = part
        ) -> Tensor:
            stack = stacks[i]
            logits = stack(x[:, : stack.n_layers], mask)
            if scores is not None:
                scores[i][:, torch.from_numpy(part.rows)] = stack.read(logits).cpu()
            return loss_of(
                logits, target[part.rows], weights[torch.from_numpy(part.rows)], stack.outputs
            )

        # each thread has its own mode
        losses = workers.map(torch.no_grad()(measure), range(len(stacks)))
        for total, found in zip(totals, losses, strict=True):
            total += found

    def figures_of(i: int) -> Tensor:
        of_stack = torch.full(shapes[i][:1], torch.nan)
        if figure is not None and scores is not None:
            learning = active[i].cpu()
            of_stack[learning] = torch.from_numpy(figure(scores[i][learning])).float()
        return of_stack.to(device)

    figures = workers.map(figures_of, range(len(stacks)))
    return [
        (total / float(weights.sum()), of_stack)
        for total, of_stack in zip(totals, figures, strict=True)
    ]


def _tail(stack: HeadStack) -> tuple[int, ...]:
    """What the scores of a stack have beside models and utterances."""
    return (stack.outputs,) if stack.outputs and stack.outputs > 1 else ()


def _steps(
    source: Source, order: NDArray[np.intp], recipe: Recipe, epoch: int
) -> Iterator[list[Batch]]:
    """The batches of each step: one, or several parts where memory does not hold it whole."""
    size = min(recipe.batch, getattr(source, "part_size", recipe.batch))
    seed = int(np.random.SeedSequence([recipe.seed, epoch]).generate_state(1)[0])
    if size == recipe.batch:
        for batch in source.batches(order, size, seed):
            yield [batch]
        return
    for first in range(0, len(order), recipe.batch):
        yield list(source.batches(order[first : first + recipe.batch], size, seed))


def _backward(
    stacks: Sequence[HeadStack],
    parts: list[Batch],
    target: Target,
    weights: Tensor,
    summed: Sequence[Tensor],
    device: str,
    workers: Workers,
    n_before: int = 0,
) -> None:
    """Add the gradient of a batch to the parameters of every stack; so many utterances were learned
    from before.

    The losses (M,) of each stack are added to those of the epoch in `summed`.
    """
    pairs = list(zip(stacks, summed, strict=True))
    total = float(sum(weights[torch.from_numpy(part.rows)].sum() for part in parts))
    deepest = max(stacks, key=lambda stack: stack.n_layers)
    for part in parts:
        x, mask = _on(part, device)
        x = deepest.standardized(x[:, : deepest.n_layers])

        def learn(
            pair: tuple[HeadStack, Tensor],
            x: Tensor = x,
            mask: Tensor | None = mask,
            part: Batch = part,
            n_before: int = n_before,
        ) -> None:
            stack, losses = pair
            stack.train()
            stack.merge.learn(n_before)
            loss = _loss(
                stack,
                x[:, : stack.n_layers],
                mask=mask,
                rows=part.rows,
                targets=target,
                weights=weights,
            )
            stack.eval()
            losses += loss.detach()
            (loss.sum() / total).backward()

        workers.map(learn, pairs)
        n_before += len(part.rows)


def _loss(
    stack: HeadStack,
    x: Tensor,
    mask: Tensor | None,
    rows: NDArray[np.intp],
    targets: Target,
    weights: Tensor,
) -> Tensor:
    """Sum (M,) of the losses of utterances, of standardised layers."""
    return loss_of(stack(x, mask), targets[rows], weights[torch.from_numpy(rows)], stack.outputs)


def loss_of(logits: Tensor, targets: Target, weights: Tensor, outputs: int | None) -> Tensor:
    """Sum (M,) of the weighted cross-entropies, or squared errors of numbers.

    Args:
        logits: (M, B, O).
        targets: (B,).
        weights: (B,).
        outputs: see `HeadStack`.
    """
    target = torch.from_numpy(targets).to(logits.device)
    if outputs == 1:
        losses = (logits[:, :, 0] - target.float()).square()
    elif logits.shape[2] == 1:
        losses = functional.binary_cross_entropy_with_logits(
            logits[:, :, 0], target.float().expand(len(logits), -1), reduction="none"
        )
    else:
        losses = -torch.log_softmax(logits, dim=2).gather(
            2, target.long().expand(len(logits), -1)[..., None]
        )[..., 0]
    return (losses * weights.to(logits.device)).sum(1)


def _on(batch: Batch, device: str) -> tuple[Tensor, Tensor | None]:
    return batch.x.to(device), None if batch.mask is None else batch.mask.to(device)


class _State:
    """What an interrupted training goes on from.

    losses: and the figure, see `train`.
    """

    def __init__(self, stacks: Sequence[HeadStack], recipe: Recipe) -> None:
        self.epoch, self.stacks = 0, stacks
        self.optimizers = [StackOptimizer(stack) for stack in stacks]
        kind = Successors if recipe.successors else Best
        self.best = [kind(stack, recipe.keep) for stack in stacks]
        self.active = [
            torch.ones(len(stack.models), dtype=torch.bool, device=stack.mean.device)
            for stack in stacks
        ]
        self.losses = [
            torch.full((recipe.epochs, 3, one.numel()), torch.nan, device=one.device)
            for one in self.active
        ]

    def step(self, factor: float, i: int) -> None:
        """Take a step with stack i."""
        self.optimizers[i].step(factor, self.active[i])

    def _models(self) -> list[list[str]]:
        return [[str(stack.n_layers), *map(str, stack.models)] for stack in self.stacks]

    def save(self, path: Path) -> None:
        """Write a checkpoint; the old one stays whole until the new one is."""
        parts = [
            {
                "parameters": stack.state_dict(),
                "first": optimizer.first,
                "second": optimizer.second,
                "steps": optimizer.step_count,
                "losses": best.losses,
                "epochs": best.epochs,
                "values": best.values,
                "active": active,
                "log": losses,
                **({"pending": best.pending} if isinstance(best, Successors) else {}),
            }
            for stack, optimizer, best, active, losses in zip(
                self.stacks, self.optimizers, self.best, self.active, self.losses, strict=True
            )
        ]
        partial = path.with_name(path.name + ".partial")
        with errors_of_the_disk(partial):
            torch.save({"epoch": self.epoch, "models": self._models(), "stacks": parts}, partial)
        os.replace(partial, path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint; one of other models (another memory groups them otherwise) is
        passed over.
        """
        content: dict[str, Any] = torch.load(
            path, map_location=self.stacks[0].mean.device, weights_only=True
        )
        if content["models"] != self._models():
            return
        self.epoch = content["epoch"]
        for i, part in enumerate(content["stacks"]):
            self.stacks[i].load_state_dict(part["parameters"])
            optimizer = self.optimizers[i]
            best = self.best[i]
            optimizer.first, optimizer.second = part["first"], part["second"]
            optimizer.step_count = part["steps"]
            best.losses, best.epochs, best.values = part["losses"], part["epochs"], part["values"]
            if isinstance(best, Successors):
                best.pending = part["pending"]
            self.active[i] = part["active"]
            if "log" in part:  # earlier versions kept none, or no figure
                self.losses[i][:, : part["log"].shape[1]] = part["log"]

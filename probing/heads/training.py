"""Training: every model of every stack from one read of the data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .checkpoints import TrainingState
from .losses import Target, class_weights, loss_of, prior_log_odds
from .recipes import Recipe
from .scoring import no_scores, on_device
from .sources import Batch, Source
from .stack import HeadStack
from .workers import Workers

# (M,) of scores (M, N), or of many classes (M, N, C)
Figure = Callable[[Tensor], NDArray[np.float64]]
CHECKPOINT_EVERY_S = 20.0


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
    say: Callable[[str], None] = lambda text: None,
    figure: Figure | None = None,
) -> list[Tensor]:
    """Train every model on the same batches and leave it with its best parameters by dev loss.

    What the weights of the loss add to the log odds (see `prior_log_odds`) is where their bias
    begins, and is taken off again at the end. So it is off even if a training was too short to
    learn it.

    Args:
        stacks: trained in place.
        train_source: N utterances to learn from.
        train_target: their targets (N,): true for bona fide; or the number of the class, or the
            number itself, of stacks with outputs for these.
        dev_source: N' utterances for early stopping and the choice of parameters.
        dev_target: their targets (N',).
        recipe: how.
        device: cpu or cuda.
        checkpoint: file to go on from if it is there, written now and then.
        say: where to put one line an epoch.
        figure: to be logged of the scores on dev by epoch, as `scores_of` gives them but for
            `prior_log_odds`; it chooses nothing.

    Returns:
        Of every stack, (E, 3, M): the losses of each epoch on train (while it learned) and on dev,
        and the figure; NaN after a model stopped, and if there is no figure.

    >>> from probing.heads.sources import PooledSource
    >>> from probing.heads.stack import Model
    >>> bonafide = np.arange(40) % 2 == 0
    >>> x = np.random.default_rng(0).normal(size=(3, 40, 8)) + bonafide[:, None]
    >>> stack = HeadStack(
    ...     [Model("weighted-sum", "linear", depth=3)], n_layers=3, dim=8, frames=False
    ... )
    >>> source = PooledSource(x)
    >>> (losses,) = train([stack], source, bonafide, source, bonafide, Recipe(epochs=2))
    >>> losses.shape, bool(losses[1, 1, 0] < losses[0, 1, 0])
    (torch.Size([2, 3, 1]), True)
    """
    learned = _Labelled(train_source, train_target, class_weights(train_target, recipe))
    dev = _Labelled(dev_source, dev_target, class_weights(dev_target, recipe))
    _start(stacks, learned, recipe, device)
    state = TrainingState(stacks, recipe)
    if checkpoint is not None and checkpoint.is_file():
        state.load(checkpoint)
    saved = time.monotonic()
    with Workers(len(stacks), device) as workers:
        training = _Training(state, learned, dev=dev, device=device, workers=workers)
        while state.goes_on:
            training.run_epoch(figure)
            say(f"epoch {state.epoch}, {state.n_active} still learning")
            if checkpoint is not None and time.monotonic() - saved > CHECKPOINT_EVERY_S:
                state.save(checkpoint)
                saved = time.monotonic()
    if checkpoint is not None:
        state.save(checkpoint)
    _finish(stacks, state, learned)
    return [losses.cpu() for losses in state.losses]


@dataclass(frozen=True)
class _Labelled:
    """Utterances with their targets (N,), and their weights (N,) in the loss."""

    source: Source
    target: Target
    weights: Tensor


def _start(stacks: Sequence[HeadStack], learned: _Labelled, recipe: Recipe, device: str) -> None:
    """Give every model its first weights, and its stack the moments of the training set."""
    moments = learned.source.moments() if recipe.standardize else None
    for stack in stacks:
        stack.to(device)
        stack.start(recipe.scaled_init)
        if stack.outputs is None:
            stack.backend.shift(prior_log_odds(learned.target, recipe))
        if moments is not None:
            mean, scale = moments
            stack.mean.copy_(mean[: stack.n_layers])
            stack.scale.copy_(scale[: stack.n_layers])


def _finish(stacks: Sequence[HeadStack], state: TrainingState, learned: _Labelled) -> None:
    """Give every model its best parameters, and scores without the prior of the loss."""
    for stack, best in zip(stacks, state.best, strict=True):
        best.restore(stack)
        if stack.outputs is None:
            stack.backend.shift(-prior_log_odds(learned.target, state.recipe))


class _Training:
    """The epochs of a training."""

    def __init__(
        self,
        state: TrainingState,
        learned: _Labelled,
        dev: _Labelled,
        device: str,
        workers: Workers,
    ) -> None:
        self.state = state
        self.stacks = state.stacks
        self.recipe = state.recipe
        self.learned = learned
        self.dev = dev
        self.device = device
        self.workers = workers
        # the largest begins first, so that no thread waits for it in the end
        self.order = sorted(range(len(self.stacks)), key=lambda i: -self.stacks[i].n_parameters())

    def run_epoch(self, figure: Figure | None) -> None:
        """Learn from every utterance once, then measure on dev and record the epoch."""
        state = self.state
        if state.epoch == self.recipe.fresh_moments_at:
            state.forget_moments()
        learning = [i for i in self.order if state.active[i].any()]
        on_train = self._learn(learning)
        state.epoch += 1
        on_dev = self._losses_on_dev(learning, figure)
        for i, loss, (dev_loss, figures) in zip(learning, on_train, on_dev, strict=True):
            state.record(i, loss, dev_loss, figures)

    def _learn(self, learning: Sequence[int]) -> list[Tensor]:
        """Take the steps of an epoch with some stacks; gives the mean losses (M,) of each."""
        recipe = self.recipe
        epoch = self.state.epoch
        utterances = self._utterances(epoch)
        n_steps = -(-len(utterances) // recipe.batch)
        summed = [torch.zeros(len(self.stacks[i].models), device=self.device) for i in learning]
        for step, parts in enumerate(_steps(self.learned.source, utterances, recipe, epoch)):
            n_before = epoch * len(utterances) + step * recipe.batch
            self._add_gradients([self.stacks[i] for i in learning], parts, summed, n_before)
            factor = recipe.rate(epoch + (step + 0.5) / n_steps)
            self.workers.map(partial(self.state.step, factor), learning)
        in_all = float(self.learned.weights[torch.from_numpy(utterances)].sum())
        return [losses / in_all for losses in summed]

    def _utterances(self, epoch: int) -> NDArray[np.intp]:
        """The rows of an epoch in their order, without a last batch that is left out."""
        n = len(self.learned.source)
        order = np.random.default_rng([self.recipe.seed, epoch]).permutation(n)
        if self.recipe.drop_last and n > self.recipe.batch:
            n -= n % self.recipe.batch
        return order[:n]

    def _add_gradients(
        self,
        stacks: Sequence[HeadStack],
        parts: list[Batch],
        summed: Sequence[Tensor],
        n_before: int,
    ) -> None:
        """Add the gradient of a batch to the parameters of stacks, and its losses to `summed`.

        Args:
            stacks: that learn.
            parts: of the batch.
            summed: of each stack, (M,): the losses of the epoch so far.
            n_before: utterances that were learned from before.
        """
        total = float(
            sum(self.learned.weights[torch.from_numpy(part.rows)].sum() for part in parts)
        )
        for part in parts:
            x, mask = self._standardized(part, stacks)

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
                loss = _loss(stack, stack(x[:, : stack.n_layers], mask), part.rows, self.learned)
                stack.eval()
                losses += loss.detach()
                (loss.sum() / total).backward()

            self.workers.map(learn, list(zip(stacks, summed, strict=True)))
            n_before += len(part.rows)

    @torch.no_grad()
    def _losses_on_dev(
        self, learning: Sequence[int], figure: Figure | None
    ) -> list[tuple[Tensor, Tensor]]:
        """Mean losses (M,) of each stack on dev, and the figures (M,) of its scores.

        A figure is NaN of a model that does not learn any more, and if there is none.
        """
        dev = self.dev
        stacks = [self.stacks[i] for i in learning]
        totals = [torch.zeros(len(stack.models), device=self.device) for stack in stacks]
        scores = None
        if figure is not None:
            n = len(dev.source)
            scores = [no_scores(stack, len(stack.models), n) for stack in stacks]
        for part in dev.source.batches(np.arange(len(dev.source)), self.recipe.batch):
            x, mask = self._standardized(part, stacks)

            def measure(
                i: int, x: Tensor = x, mask: Tensor | None = mask, part: Batch = part
            ) -> Tensor:
                stack = stacks[i]
                logits = stack(x[:, : stack.n_layers], mask)
                if scores is not None:
                    scores[i][:, torch.from_numpy(part.rows)] = stack.read(logits).cpu()
                return _loss(stack, logits, part.rows, dev)

            # each thread has a mode of its own
            losses = self.workers.map(torch.no_grad()(measure), range(len(stacks)))
            for total, of_part in zip(totals, losses, strict=True):
                total += of_part

        def figures_of(i: int) -> Tensor:
            figures = torch.full((len(stacks[i].models),), torch.nan)
            if figure is not None and scores is not None:
                active = self.state.active[learning[i]].cpu()
                figures[active] = torch.from_numpy(figure(scores[i][active])).float()
            return figures.to(self.device)

        figures = self.workers.map(figures_of, range(len(stacks)))
        in_all = float(dev.weights.sum())
        return [(total / in_all, of_stack) for total, of_stack in zip(totals, figures, strict=True)]

    def _standardized(
        self, batch: Batch, stacks: Sequence[HeadStack]
    ) -> tuple[Tensor, Tensor | None]:
        """Layers of a batch at mean 0 and deviation 1, as many as the deepest stack takes."""
        x, mask = on_device(batch, self.device)
        deepest = max(stacks, key=lambda stack: stack.n_layers)
        return deepest.standardized(x[:, : deepest.n_layers]), mask


def _steps(
    source: Source, order: NDArray[np.intp], recipe: Recipe, epoch: int
) -> Iterator[list[Batch]]:
    """The batches of each step: one, or several parts if memory does not hold it whole."""
    size = min(recipe.batch, getattr(source, "part_size", recipe.batch))
    seed = int(np.random.SeedSequence([recipe.seed, epoch]).generate_state(1)[0])
    if size == recipe.batch:
        for batch in source.batches(order, size, seed):
            yield [batch]
        return
    for first in range(0, len(order), recipe.batch):
        yield list(source.batches(order[first : first + recipe.batch], size, seed))


def _loss(stack: HeadStack, logits: Tensor, rows: NDArray[np.intp], labelled: _Labelled) -> Tensor:
    """Sum (M,) of the losses of some utterances."""
    weights = labelled.weights[torch.from_numpy(rows)]
    return loss_of(logits, labelled.target[rows], weights, stack.outputs)

"""Training: a run that can be stopped at any moment and goes on as if it had not been."""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from cache.errors import ProbeError, argument
from probing.accelerators import drawn_anew
from probing.progress import progress_line

from .batches import Batch, Batches
from .config import Recipe
from .forward import front_end, half_precision, hidden_states
from .model import load_model, new_model, set_dropout
from .objective import Objective

CHECKPOINT = "checkpoint.pt"
LOG = "log.csv"
HELDOUT_BATCHES = 4


class RunMismatch(ProbeError, ValueError):
    """A checkpoint belongs to another recipe."""


class RunBusy(ProbeError, RuntimeError):
    """Another process trains in this work folder."""


class Training:
    """A model, its objective and its optimizer, at some step of a recipe."""

    def __init__(
        self,
        recipe: Recipe,
        architecture: dict[str, Any],
        device: torch.device,
        start: Path | None = None,
    ) -> None:
        """Draw the weights by the recipe's seed, or take a model's; heads are always drawn.

        Args:
            recipe: of the run.
            architecture: fields of a WavLMConfig.
            device: where to train.
            start: a transformers folder of that architecture.
        """
        self.recipe = recipe
        self.architecture = architecture
        self.device = device
        self.step = 0
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(recipe.seed)
            self.model: Any = (load_model(start) if start else new_model(architecture)).to(device)
            self.model.eval()
            set_dropout(self.model, recipe.dropout)
            self.objective = Objective(
                self.model.config.hidden_size,
                recipe.n_clusters,
                len(recipe.units),
                recipe.unmasked_weight,
            ).to(device)
        self.parameters = [*self.model.parameters(), *self.objective.parameters()]
        groups = [
            {
                "params": [p for p in self.parameters if p.ndim > 1],
                "weight_decay": recipe.weight_decay,
            },
            {"params": [p for p in self.parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(
            groups, lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True
        )

    def train_step(self, batch: Batch, steps: int) -> tuple[float, torch.Tensor]:
        """Take one step of `steps`; returns the loss and the figures of the objective."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate(self.step, steps)
        batch = batch.to(self.device)
        self.model.train()
        # what is dropped in a step depends on seed and step alone, as the batch does
        with drawn_anew(torch.device(self.device)):
            torch.manual_seed((self.recipe.seed << 32) + self.step)
            loss, figures = self._loss(batch)
        self.model.eval()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        return float(loss.detach()), figures

    def _loss(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        with half_precision(self.device):
            if self.recipe.in_front_end(self.step):
                features = self.model.feature_projection(
                    front_end(self.model.feature_extractor, batch.waveforms)
                )[0]
                loss = self.objective.front_end_loss(features, batch.waveforms)
                return loss, torch.zeros(len(self.recipe.units), 2)
            loss, figures = self.objective(
                hidden_states(self.model, batch.waveforms, batch.mask)[-1], batch
            )
            return loss, figures

    @torch.no_grad()
    def measure(self, batches: Batches, n: int = HELDOUT_BATCHES) -> torch.Tensor:
        """Compute loss and accuracy (kinds, 2) at the masked frames of the first `n` batches."""
        found = []
        for i in range(n):
            batch = batches.at(i).to(self.device)
            with half_precision(self.device):
                states = hidden_states(self.model, batch.waveforms, batch.mask)[-1]
                found.append(self.objective(states, batch)[1])
        return torch.stack(found).mean(0)

    def save(self, path: Path) -> None:
        """Write a checkpoint; what was there stays whole until the new one is."""
        state = {
            "step": self.step,
            "recipe": asdict(self.recipe),
            "architecture": self.model.config.to_dict(),
            "model": self.model.state_dict(),
            "objective": self.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        partial = path.with_name(path.name + ".partial")
        torch.save(state, partial)
        os.replace(partial, path)

    def load_if_there(self, work: Path) -> None:
        """Go on from the checkpoint in a work folder; start afresh if there is none."""
        if (work / CHECKPOINT).is_file():
            self.load(work / CHECKPOINT)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            RunMismatch: it was written by another recipe.
        """
        state = torch.load(path, map_location=self.device, weights_only=True)
        mine = asdict(self.recipe)
        differing = {
            key: (state["recipe"].get(key), mine[key])
            for key in mine
            if state["recipe"].get(key) != mine[key]
        }
        if differing:
            found = "; ".join(
                f"{key}: {there!r} there, {here!r} now" for key, (there, here) in differing.items()
            )
            raise RunMismatch(
                f"{path} was written by another recipe ({found}). "
                f"Give a new {argument('work')} folder."
            )
        self.model.load_state_dict(state["model"])
        self.objective.load_state_dict(state["objective"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


def train(
    training: Training,
    batches: Batches,
    heldout: Batches,
    work: Path,
    steps: int,
    minutes: float | None = None,
    every: int = 100,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Train until `steps` are done or `minutes` are over, and leave a checkpoint and a log.

    Args:
        training: at any step.
        batches: training crops.
        heldout: crops of speakers that are not trained on.
        work: where checkpoint.pt and log.csv are kept.
        steps: of the whole run; the learning rate falls towards this end.
        minutes: of this call.
        every: steps between two lines of the log, each with a checkpoint.
        clock: seconds.

    Returns:
        Whether all steps are done.
    """
    begun = training.step
    started = since = clock()
    sums = torch.zeros(len(training.recipe.units), 2)
    total = 0.0
    n = 0
    with progress_line(f"pretraining, from step {begun}", max(0, steps - begun), "steps") as line:
        while training.step < steps and (minutes is None or clock() - started < 60 * minutes):
            loss, figures = training.train_step(batches.at(training.step), steps)
            sums = sums + figures.cpu()
            total = total + loss
            n = n + 1
            line.advance(1, f"loss {loss:.2f}, {(clock() - since) / n:.2f} s/step")
            if training.step % every == 0 or training.step == steps:
                _log(
                    work / LOG,
                    training,
                    loss=total / n,
                    figures=sums / n,
                    heldout=training.measure(heldout),
                    seconds=(clock() - since) / n,
                )
                training.save(work / CHECKPOINT)
                sums = torch.zeros_like(sums)
                total = 0.0
                n = 0
                since = clock()
    if training.step > begun:
        training.save(work / CHECKPOINT)
    return training.step >= steps


def _log(
    path: Path,
    training: Training,
    loss: float,
    figures: torch.Tensor,
    heldout: torch.Tensor,
    seconds: float,
) -> None:
    row: dict[str, Any] = {
        "step": training.step,
        "seconds_per_step": round(seconds, 3),
        "loss": round(loss, 4),
    }
    row["learning_rate"] = f"{training.optimizer.param_groups[0]['lr']:.3g}"
    for part, values in (("train", figures), ("heldout", heldout)):
        for kind, (loss, accuracy) in zip(training.recipe.units, values.tolist(), strict=True):
            row[f"{part}_{kind}_loss"], row[f"{part}_{kind}_accuracy"] = (
                round(loss, 4),
                round(accuracy, 4),
            )
    new = not path.is_file()
    with open(path, "a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)

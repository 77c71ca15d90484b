"""The training of a backbone with its head: epochs, steps, and going on after a kill."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from probing.accelerators import drawn_anew
from probing.heads.losses import class_weights, loss_of
from probing.progress import ProgressLine, progress_line
from probing.tuning.checkpoints import BestEpochs, load_checkpoint, save_checkpoint
from probing.tuning.clips import Reader, in_parts
from probing.tuning.divergence import check_finite
from probing.tuning.engine import Engine
from probing.tuning.lora import merged_weights
from probing.tuning.memory import out_of_memory
from probing.tuning.model import TunedModel
from probing.tuning.optimizer import HEAD, Optimizer
from probing.tuning.options import TuneMachine
from probing.tuning.progress import LOG, Progress, write_log
from probing.tuning.recipes import TuningRecipe
from probing.tuning.trained import Group
from probing.tuning.utterances import Material, Utterances

WINDOW = 8  # parts of a split that are sorted by length together


class Training:
    """Trains a model; a killed training goes on from its folder and ends with the same weights.

    Args:
        model: trained in place.
        groups: of the backbone's parameters that learn.
        material: what is learned.
        recipe: how.
        layer_decay: of the backbone's rate, from each block to the one below.
        first_epoch: of the recipe; the frozen ones are behind a head that is trained already.
        engine: the processes that share it.
        machine: how to use them.
        reader: of the clips.
        folder: of checkpoints and weights of epochs.
        say: where to put what a person should know.

    Attributes:
        progress: how far it is.
        averaged: in the end, the mean weights of the chosen epochs by name.
        on_dev: in the end, the metric as it started, and of the averaged weights.
    """

    def __init__(
        self,
        model: TunedModel,
        groups: Sequence[Group],
        material: Material,
        recipe: TuningRecipe,
        layer_decay: float,
        first_epoch: int,
        engine: Engine,
        machine: TuneMachine,
        reader: Reader,
        folder: Path,
        say: Callable[[str], None],
    ) -> None:
        self.model = model
        self.groups = list(groups)
        self.material = material
        self.recipe = recipe
        self.learning = recipe.learning
        self.engine = engine
        self.machine = machine
        self.reader = reader
        self.folder = folder
        self.say = say
        self.progress = Progress(epoch=first_epoch)
        self.best = BestEpochs(folder, self.learning)
        self.backbone = {
            name: parameter for group in self.groups for name, parameter in group.parameters.items()
        }
        self.targets = {
            part.name: material.learned(part.target) for part in (material.train, material.dev)
        }
        self.weights = {
            name: class_weights(target, self.learning) for name, target in self.targets.items()
        }
        self.optimizer = Optimizer(model.head, self.groups, recipe, layer_decay)
        self.averaged: dict[str, Tensor] = {}
        self.on_dev: dict[str, Any] = {}

    def run(self) -> list[int]:
        """Train to the end; gives the epochs whose weights were averaged."""
        self._go_on()
        self._saved = time.monotonic()
        began, before = time.monotonic(), self.progress.seconds
        left = (self.learning.epochs - self.progress.epoch) * self.n_steps - self.progress.step
        with progress_line("Tuning", max(left, 1), "steps") as line:
            self._clock = lambda: before + time.monotonic() - began
            if not self.progress.rows:
                self._add_row(None, *self.measure(self.material.dev)[1:])
            while self.progress.epoch < self.learning.epochs and not self.progress.stopped:
                self._begin_epoch()
                self._train_epoch(line)
                self._end_epoch()
        return self._take_average()

    @property
    def n_steps(self) -> int:
        """Steps of an epoch."""
        n = len(self.material.train)
        if self.learning.drop_last and n > self.learning.batch:
            n -= n % self.learning.batch
        return -(-n // self.learning.batch)

    @property
    def part_size(self) -> int:
        """Most clips that go through the backbone together."""
        return max(
            1,
            math.ceil(math.ceil(self.learning.batch / self.engine.world) / self.machine.accumulate),
        )

    def _begin_epoch(self) -> None:
        """Let the backbone join, and forget the moments, where the recipe says so."""
        progress = self.progress
        if progress.step:
            return
        if (
            progress.epoch >= self.recipe.frozen_epochs
            and self.groups
            and not self.optimizer.joined
        ):
            self.optimizer.join()
        if progress.epoch == self.learning.fresh_moments_at:
            self.optimizer.forget()

    def _train_epoch(self, line: ProgressLine) -> None:
        progress, size = self.progress, self.learning.batch
        order = np.random.default_rng([self.learning.seed, progress.epoch]).permutation(
            len(self.material.train)
        )
        steps = [order[size * i : size * (i + 1)].tolist() for i in range(self.n_steps)]
        shares = [[rows[i] for i in self.engine.share(rows)] for rows in steps]
        read = self.reader.batches(self.material.train, shares[progress.step :], progress.epoch)
        self.model.head.train()
        self.model.backbone.train(self.optimizer.joined)
        for waveforms in read:
            with self._drawn():
                value = self._step(steps[progress.step], shares[progress.step], waveforms)
            progress.step += 1
            progress.loss += value
            line.advance(1, self._note())
            if (
                time.monotonic() - self._saved > 60 * self.machine.checkpoint_minutes
                and progress.step < self.n_steps
            ):
                self._save()
        self.model.eval()

    @contextmanager
    def _drawn(self) -> Iterator[None]:
        """Make what is left out at random depend on the number of the step alone.

        Nothing else depends on what is drawn there.
        """
        if not self.model.backbone.regularization:
            yield
            return
        key = [self.learning.seed, self.progress.epoch, self.progress.step, self.engine.rank]
        with drawn_anew(self.engine.device):
            torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
            yield

    def _note(self) -> str:
        progress = self.progress
        metric = self.material.task.metric
        dev = metric.text(progress.rows[-1]["dev"])
        loss = progress.loss / max(1, progress.step)
        return (
            f"epoch {progress.epoch + 1} of {self.learning.epochs}, "
            f"loss {loss:.4f}, dev {metric.called} {dev}"
        )

    def _step(
        self, rows: list[int], share: list[int], waveforms: list[NDArray[np.float32]]
    ) -> float:
        """Learn from a batch of which this process has a share; gives the loss of the whole."""
        weights, target = self.weights["train"], self.targets["train"]
        total = float(weights[rows].sum())
        loss = torch.zeros((), device=self.engine.device)
        n_before = (self.progress.epoch * self.n_steps + self.progress.step) * self.learning.batch
        with out_of_memory(self.machine, self.learning.batch):
            for part in in_parts(
                [len(waveform) for waveform in waveforms], self.part_size, self.model.padding
            ):
                mine = [share[i] for i in part]
                self.model.head.merge.learn(n_before)
                n_before += len(mine)
                clips = [waveforms[i] for i in part]
                logits = self.model(clips, self.engine.autocast(), frozen=not self.optimizer.joined)
                of_part = (
                    loss_of(
                        logits[None], target[mine], weights[mine], self.model.head.outputs
                    ).sum()
                    / total
                )
                of_part.backward()
                loss += of_part.detach()
        value = float(self.engine.total(loss))
        self._check_finite(value, "loss")
        norm = self.optimizer.norm(self.engine)
        self._check_finite(norm, "gradient")
        self.optimizer.step(self.progress.epoch + (self.progress.step + 0.5) / self.n_steps, norm)
        return value

    def _check_finite(self, value: float, what: str) -> None:
        check_finite(value, what, self.progress, self.folder, self.engine.bf16)

    @torch.no_grad()
    def measure(self, utterances: Utterances) -> tuple[NDArray[np.float64], float, float]:
        """Scores (N,) or (N, M) of a part as the head learned it, their metric, and their loss."""
        head = self.model.head
        self.model.eval()
        n = len(utterances)
        shape = (n,) if head.outputs is None or head.outputs == 1 else (n, head.outputs)
        scores = torch.zeros(shape, dtype=torch.float64, device=self.engine.device)
        loss = torch.zeros((), dtype=torch.float64, device=self.engine.device)
        mine = self.engine.share(range(n))
        size = WINDOW * self.part_size
        windows = [mine[first : first + size] for first in range(0, len(mine), size)]
        target, weights = self.targets[utterances.name], self.weights[utterances.name]
        with out_of_memory(self.machine, self.learning.batch):
            for rows, waveforms in zip(
                windows, self.reader.batches(utterances, windows), strict=True
            ):
                for part in in_parts(
                    [len(waveform) for waveform in waveforms], self.part_size, self.model.padding
                ):
                    chosen = [rows[i] for i in part]
                    logits = self.model([waveforms[i] for i in part], self.engine.autocast())
                    scores[chosen] = head.read(logits).double()
                    loss += (
                        loss_of(logits[None], target[chosen], weights[chosen], head.outputs)
                        .sum()
                        .double()
                    )
        found = self.engine.total(scores).cpu().numpy()
        mean = float(self.engine.total(loss)) / float(weights.sum())
        return found, self.material.measured(utterances.target, found), mean

    def _end_epoch(self) -> None:
        progress = self.progress
        mean = progress.loss / self.n_steps
        progress.epoch += 1
        progress.step, progress.loss = 0, 0.0
        _, value, loss = self.measure(self.material.dev)
        self._check_finite(loss, "dev loss")
        self.best.offer(self.weights_by_name(), loss, progress.epoch, write=self.engine.is_main)
        self._add_row(mean, value, loss)
        progress.stopped = bool(
            self.learning.stops(progress.epoch, progress.epoch - self.best.lowest)
        )
        self._save()

    def _add_row(self, train_loss: float | None, value: float, loss: float) -> None:
        progress = self.progress
        progress.seconds = self._clock()
        rates = self.optimizer.rates
        row = {
            "epoch": float(progress.epoch),
            "train_loss": math.nan if train_loss is None else train_loss,
            "dev_loss": loss,
            "dev": value,
            "rate_head": rates[HEAD] if train_loss is not None else 0.0,
            "rate_backbone": max(
                (rate for name, rate in rates.items() if name != HEAD), default=0.0
            ),
            "seconds": round(progress.seconds, 3),
        }
        progress.rows.append(row)
        self.engine.tell(row, progress.epoch)
        metric = self.material.task.metric
        learned = "" if train_loss is None else f"loss {train_loss:.4f}, "
        name = "As it starts" if train_loss is None else f"Epoch {progress.epoch}"
        self.say(f"{name}: {learned}dev loss {loss:.4f}, dev {metric.called} {metric.text(value)}")
        if self.engine.is_main:
            path = self.folder / LOG
            write_log(path, progress, self.best.averaged(), self.material.task.metric.name)

    def weights_by_name(self) -> dict[str, Tensor]:
        """What an epoch leaves: parameters of the backbone that learn, and the head."""
        of_backbone = {f"backbone.{name}": value.detach() for name, value in self.backbone.items()}
        return {
            **of_backbone,
            **{f"head.{name}": value for name, value in self.model.head.learned().items()},
        }

    @torch.no_grad()
    def _take_average(self) -> list[int]:
        """Take the mean weights of the chosen epochs, adapters merged; gives these epochs.

        All are named as without adapters.
        """
        chosen = self.best.averaged()
        values = self.weights_by_name()
        total: dict[str, Tensor] = {}
        for epoch in chosen or (-1,):
            if chosen:
                for name, value in self.best.weights(epoch, self.engine.device).items():
                    values[name].copy_(value)
            whole = {name: value for name, value in values.items() if ".lora_" not in name}
            whole |= {
                f"backbone.{name}": value
                for name, value in merged_weights(self.model.backbone).items()
            }
            for name, value in whole.items():
                total[name] = total.get(name, 0) + value.double()
        self.averaged = {
            name: (value / max(1, len(chosen))).float() for name, value in total.items()
        }
        return chosen

    def _save(self) -> None:
        """Write a checkpoint, and then remove what only the one before asked for."""
        if self.engine.is_main:
            self.progress.seconds = self._clock()
            state = {
                "progress": vars(self.progress),
                "head": self.model.head.state_dict(),
                "optimizer": self.optimizer.state(),
                "best": self.best.state(),
            }
            save_checkpoint(self.folder, state)
            self.best.prune()
        self.engine.wait()
        self._saved = time.monotonic()

    @torch.no_grad()
    def _go_on(self) -> None:
        """Take up what a killed training left."""
        state = load_checkpoint(self.folder, self.engine.device)
        if state is None:
            return
        self.progress = Progress(**state["progress"])
        self.model.head.load_state_dict(state["head"])
        self.optimizer.load(state["optimizer"])
        self.best.load(state["best"])
        where = self.progress.begins(self.n_steps, self.learning.epochs)
        self.say(f"Goes on {where}, as an earlier start of this tuning ended there.")

"""What a killed training goes on from, and the weights of its best epochs.

Each file is written whole or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cache.atomic import replaced
from probing.heads.averaging import Best, Successors
from probing.heads.recipes import Recipe
from probing.tensors import errors_of_the_disk

CHECKPOINT = "checkpoint.pt"
ADVICE = "name another folder; the same command goes on where it stopped"


def save_checkpoint(folder: Path, state: Mapping[str, Any]) -> None:
    """Write the state of a training in the place of the one before.

    Raises:
        ProbeError: the disk takes no more; the one before is still there.
    """
    with replaced(folder / CHECKPOINT, ADVICE) as partial, errors_of_the_disk(partial):
        torch.save(dict(state), partial)


def load_checkpoint(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The state of a training, or None where there is none."""
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    found: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return found


class _Number:
    """Stands for the weights of an epoch in `heads.averaging`, by its number."""

    def __init__(self) -> None:
        self.models = [None]
        self.mean = torch.zeros(1)
        self.value = torch.zeros(1, dtype=torch.float64)

    def learned(self) -> dict[str, Tensor]:
        return {"epoch": self.value}


class BestEpochs:
    """Which epochs' weights a recipe averages, and their files: `epoch-007.safetensors`.

    Only epochs that are still among them have a file. The choice is that of `heads.averaging`, by
    dev loss: the lowest, or the epochs behind the lowest.
    """

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self._folder, self._number = folder, _Number()
        stands_for: Any = self._number
        self._best = (Successors if recipe.successors else Best)(stands_for, recipe.keep)

    def offer(
        self, weights: Mapping[str, Tensor], loss: float, epoch: int, *, write: bool = True
    ) -> None:
        """Take the weights of an epoch if its dev loss says so.

        `write` is for one process of several.
        """
        self._number.value.fill_(epoch)
        before = self.in_use()
        stands_for: Any = self._number
        self._best.offer(stands_for, torch.tensor([loss]), epoch, torch.tensor([True]))
        if write and epoch in self.in_use() - before:
            path = self._file(epoch)
            with replaced(path, ADVICE) as partial, errors_of_the_disk(partial):
                save_file(
                    {name: value.detach().cpu().contiguous() for name, value in weights.items()},
                    partial,
                )

    @property
    def lowest(self) -> int:
        """Number of the epoch with the lowest dev loss."""
        return int(self._best.epochs[0])

    def in_use(self) -> set[int]:
        """Epochs whose weights are kept, or may still be."""
        values = self._best.values["epoch"][:, 0]
        return {
            int(value)
            for value, loss in zip(values, self._best.losses[:, 0], strict=True)
            if loss.isfinite()
        }

    def averaged(self) -> list[int]:
        """The epochs that are averaged in the end."""
        chosen = self._best.values["epoch"][:, 0][self._best.kept()[:, 0]]
        return sorted(int(value) for value in chosen)

    def weights(self, epoch: int, device: torch.device) -> dict[str, Tensor]:
        """The weights of an epoch."""
        found: dict[str, Tensor] = load_file(self._file(epoch), device=str(device))
        return found

    def prune(self) -> None:
        """Remove the files that no checkpoint asks for any more; called behind a checkpoint."""
        kept = {self._file(epoch).name for epoch in self.in_use()}
        for path in self._folder.glob("epoch-*.safetensors*"):
            if path.name not in kept:
                path.unlink()

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint holds of it."""
        best = self._best
        more = {"pending": best.pending} if isinstance(best, Successors) else {}
        return {
            "losses": best.losses,
            "epochs": best.epochs,
            "values": best.values["epoch"],
            **more,
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take the state of a checkpoint."""
        best = self._best
        best.losses, best.epochs = state["losses"].cpu(), state["epochs"].cpu()
        best.values["epoch"] = state["values"].cpu()
        if isinstance(best, Successors):
            best.pending = state["pending"].cpu()

    def _file(self, epoch: int) -> Path:
        return self._folder / f"epoch-{epoch:03d}.safetensors"

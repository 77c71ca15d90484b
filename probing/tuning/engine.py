"""The processes that share a training, their device and products, and what trackers are given.

One process needs nothing beside PyTorch. Several (`accelerate launch` or `torchrun` starts them),
and trackers, are those of Hugging Face accelerate.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cache.errors import OptionError, ProbeError, argument
from probing.devices import find_device
from probing.tuning.options import TuneMachine


class Engine:
    """One process among those that share a training.

    Args:
        machine: device and trackers.
        precision: `float32` or `bf16`.
        folder: where trackers write.

    Attributes:
        device, rank, world. is_main: whether it is the one that writes and prints. bf16: whether
            products are so.

    Raises:
        ProbeError: accelerate or a tracker is not installed; or bf16 on a device without it.
    """

    def __init__(self, machine: TuneMachine, precision: str, folder: Path) -> None:
        self.device = find_device(machine.device)
        self.rank = 0
        self.world = 1
        self._accelerator = None
        self.bf16 = precision == "bf16"
        if int(os.environ.get("WORLD_SIZE", "1")) > 1 or machine.track != "none":
            self._accelerator = _accelerator(machine, self.device, folder)
            self.device = (
                torch.device("cpu") if self.device.type == "cpu" else self._accelerator.device
            )
            self.rank, self.world = self._accelerator.process_index, self._accelerator.num_processes
        if self.bf16 and self.device.type == "mps":
            raise OptionError(
                "precision", precision, f"is for a CPU or a GPU with CUDA, not for {self.device}"
            )
        self.is_main = self.rank == 0

    def autocast(self) -> torch.autocast:
        """What the backbone computes under."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def share(self, rows: Sequence[int]) -> list[int]:
        """Positions of the rows of a batch, or of a split, that are this process's."""
        return list(range(self.rank, len(rows), self.world))

    def total(self, value: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.world == 1:
            return value
        assert self._accelerator is not None
        found: Tensor = self._accelerator.reduce(value, reduction="sum")
        return found

    def add_up_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every process the sum of all gradients.

        One that had nothing to compute adds zeros.
        """
        if self.world == 1:
            return
        learning = list(parameters)
        gradients = [
            torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            for parameter in learning
        ]
        total = self.total(torch.cat([gradient.flatten() for gradient in gradients]))
        for parameter, part in zip(
            learning, total.split([parameter.numel() for parameter in learning]), strict=True
        ):
            parameter.grad = part.view_as(parameter)

    def wait(self) -> None:
        """Wait for the other processes."""
        if self._accelerator is not None:
            self._accelerator.wait_for_everyone()

    def begin(self, name: str, configuration: Mapping[str, Any]) -> None:
        """Tell the tracker that a training begins."""
        if self._accelerator is not None and self._accelerator.log_with:
            plain = {
                key: value
                for key, value in configuration.items()
                if isinstance(value, (int, float, str, bool))
            }
            self._accelerator.init_trackers(name, config=plain)

    def tell(self, values: Mapping[str, float], step: int) -> None:
        """Tell the tracker how it goes."""
        if self._accelerator is not None and self._accelerator.log_with:
            self._accelerator.log(
                {key: value for key, value in values.items() if math.isfinite(value)}, step=step
            )

    def end(self) -> None:
        """Let go of the other processes and the tracker."""
        if self._accelerator is not None:
            self._accelerator.end_training()


def _accelerator(machine: TuneMachine, device: torch.device, folder: Path) -> Any:
    try:
        from accelerate import Accelerator
        from accelerate.utils import is_tensorboard_available, is_wandb_available
    except ImportError:
        raise ProbeError(
            "several processes and trackers need accelerate, which is not installed. Type: pip "
            "install -c constraints.txt -e '.[accelerate]'"
        ) from None
    there = {"none": True, "tensorboard": is_tensorboard_available(), "wandb": is_wandb_available()}
    if not there[machine.track]:
        raise OptionError(
            "track", machine.track, f"is not installed. Type: pip install {machine.track}"
        )
    if device.type == "cuda" and device.index is not None:
        raise OptionError(
            "device",
            device,
            f"several processes have a GPU each. Type {argument('device', 'cuda')}",
        )
    tracker = None if machine.track == "none" else machine.track
    return Accelerator(cpu=device.type == "cpu", log_with=tracker, project_dir=str(folder))

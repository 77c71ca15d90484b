"""Where an extraction runs: this machine, or a Ray cluster. Numbers change by rounding only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from probing.devices import HELP as DEVICE_HELP
from probing.devices import check_device_name
from probing.options import check, option

if TYPE_CHECKING:  # at run time it costs torch
    from probing.backbones import Backbone

MOST_PASSES = 8  # in parallel; more would wait for the interpreter
BATCHES_SORTED = 50  # a shard of so many batches, sorted by length, is padded by 1 to 5 per cent


@dataclass(frozen=True)
class Machine:
    """How an extraction uses the machine; changes no number beyond rounding.

    Attributes:
        memory_gb: most memory, in GB of 1e9 bytes, for decoded audio and hidden states on their way
            to the disk, beside the model, its passes and one batch; what has no room is decoded
            twice, or waits.
        batch_size: default 1 on a CPU, where batching gains nothing, 16 elsewhere.
        shard_size: utterances a shard, sorted by length and batched; default 256, or 50 batches
            where they are padded: fewer would hold clips of too different length.

    >>> Machine(batch_size=0)
    Traceback (most recent call last):
    cache.errors.OptionError: batch_size=0: expected 1 or more
    """

    device: str = option("auto", DEVICE_HELP)
    batch_size: int | None = option(
        None,
        "Utterances a forward pass [default: 1 on a CPU, else 16]. Changes no result.",
        minimum=1,
    )
    workers: int | None = option(
        None, "Decoding threads [default: 2 on a CPU, else up to 8].", minimum=1
    )
    shard_size: int | None = option(
        None,
        "Utterances a file; a killed run repeats at most one. "
        "[default: 256, or 50 batches on a GPU]",
        minimum=1,
    )
    attention: str = option(
        "auto",
        "auto: the fastest that gives the same numbers; stock: as transformers has it.",
        choices=("auto", "stock"),
    )
    memory_gb: float = option(
        2.0,
        "Most memory for audio and hidden states on their way, "
        "beside the model. Changes no result.",
        above=0,
    )
    wait: float = option(
        0.0,
        "Wait so long for another process that writes to this cache.",
        metavar="SECONDS",
        minimum=0,
    )
    on_nonfinite: str = option(
        "auto",
        "An utterance with NaN or infinite hidden states, or with values beyond float16: mark "
        "(listed in failures.csv, left out), stop, or auto: the first is marked, the second, "
        "which float32 mends, stops.",
        metavar="POLICY",
        choices=("auto", "mark", "stop"),
    )

    def __post_init__(self) -> None:
        check_device_name(self.device)
        check(self)

    def batch_size_on(self, backbone: Backbone) -> int:
        """Utterances a forward pass."""
        return self.batch_size or (1 if backbone.device.type == "cpu" else 16)

    def shard_size_on(self, backbone: Backbone) -> int:
        """Utterances a shard."""
        batch_size = self.batch_size_on(backbone)
        return self.shard_size or (256 if batch_size == 1 else BATCHES_SORTED * batch_size)

    def threads_on(self, backbone: Backbone) -> tuple[int, int]:
        """Forward passes in parallel, and threads of each.

        Together they use all cores of a CPU; on a GPU one copies while another computes.
        """
        import torch

        from probing.accelerators import copies_beside

        if backbone.device.type != "cpu":
            return 2 if copies_beside(backbone.device) else 1, torch.get_num_threads()
        passes = min(MOST_PASSES, torch.get_num_threads())
        return passes, torch.get_num_threads() // passes

    def workers_on(self, backbone: Backbone) -> int:
        """Decoding threads."""
        return self.workers or (2 if backbone.device.type == "cpu" else min(8, os.cpu_count() or 1))


@dataclass(frozen=True)
class Cluster:
    """Where Ray runs, and how many workers.

    >>> Cluster(actors=4).address is None
    True
    """

    address: str | None = option(
        None, "Of a running Ray cluster, or auto [default: Ray on this machine alone]."
    )
    actors: int | None = option(
        None, "Workers of the Ray cluster [default: one a GPU, or else one a machine].", minimum=1
    )

    def __post_init__(self) -> None:
        check(self)

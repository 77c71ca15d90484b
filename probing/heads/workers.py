"""Threads that work on stacks of heads in parallel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from probing.threads import Threads

from .stack import STACKS_AT_ONCE

T = TypeVar("T")
R = TypeVar("R")


class Workers:
    """Works on a few stacks in parallel if they are on a CPU, the cores shared out evenly.

    Many products of a head are too small to be split between cores; what is done between two steps
    is smaller still, so that the thread that hands out the work splits nothing either.

    >>> with Workers(2, "cpu") as workers:
    ...     workers.map(abs, [-1, 2])
    [1, 2]
    """

    def __init__(self, n_stacks: int, device: str) -> None:
        self.threads = threads = torch.get_num_threads()
        n = min(n_stacks, threads, STACKS_AT_ONCE) if torch.device(device).type == "cpu" else 1
        self.pool = None
        if n > 1:
            self.pool = Threads(n, initializer=torch.set_num_threads, initargs=(threads // n,))
            torch.set_num_threads(threads // n)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)
            torch.set_num_threads(self.threads)

    def map(self, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Results in order."""
        return list(map(work, items) if self.pool is None else self.pool.map(work, items))

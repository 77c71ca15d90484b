"""Threads that work on a list in parallel."""

from concurrent.futures import ThreadPoolExecutor


class Threads(ThreadPoolExecutor):
    """A pool of threads that drops what it has not begun if its block ends by an error.

    Python's own finishes everything that was handed in first: a bootstrap of 200,000 resamples went
    on for 40 s after Ctrl-C.

    >>> with Threads(2) as pool:
    ...     list(pool.map(abs, [-1, 2, -3]))
    [1, 2, 3]
    """

    def __exit__(self, *error: object) -> None:
        self.shutdown(cancel_futures=True)

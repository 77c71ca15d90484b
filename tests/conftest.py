"""One thread a process, as the tests run in one process a core; and the files that take longest first."""

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch; processes started by a test have it too

SLOWEST = (
    "extraction/test_cluster.py",
    "analysis/test_notebooks.py",
    "faults/test_hostile_files.py",
    "faults/test_interrupted.py",
    "faults/test_no_network.py",
    "commands/test_command_line.py",
    "reproduction/test_reproduce_attm.py",
    "faults/test_kills.py",
    "cache/test_lock.py",
    "extraction/test_kills.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slowest files, so that no process is left with one of them at the end."""

    def turn(item: pytest.Item) -> int:
        return next((i for i, file in enumerate(SLOWEST) if item.path.as_posix().endswith(file)), len(SLOWEST))

    items.sort(key=turn)

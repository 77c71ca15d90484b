"""One thread a process, as the tests run in one process a core; which files share a process, and
which come first.
"""

import gc
import os
import re
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# before anything imports torch; processes started by a test have it too
os.environ.setdefault("OMP_NUM_THREADS", "1")
# what is imported is a million objects that every collection of cycles would look at
gc.set_threshold(20_000)
# on every machine, whatever else runs there
settings.register_profile("alike", deadline=None, derandomize=True)
settings.load_profile("alike")
# started in the background of a shell: Ctrl-C is tested all the same
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _written_without_waiting() -> Iterator[None]:
    """What is written need not be on the disk before a test goes on: nothing cuts the power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


COPIED = "files whose processes are copied of one that has imported everything"
SLOWEST = (
    "reproduction/test_reproduce_attm.py",
    "analysis/test_notebooks.py",
    "heads/test_larger_heads.py",
    "readme/test_readme_commands.py",
    "faults/test_edited_runs.py",
    "contributing/test_pages.py",
    "analysis/test_report.py",
    "faults/test_hard_disks.py",
    "faults/test_sealed_folders.py",
    "sweep/test_erasure.py",
    "sweep/test_cross_corpus.py",
    "sweep/test_depths.py",
    "serving/test_scoring.py",
)


@cache
def copies(file: Path) -> bool:
    """Whether tests of a file start processes by support/processes.py."""
    return bool(
        re.search(
            r"^(from|import) (processes|faults\.long)\b",
            file.read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    )


class ByFile(LoadScopeScheduling):
    """A file runs in one process, so that it makes its fixtures once; those of copied processes run
    all in one.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return COPIED if copies(self.config.rootpath / file) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    return ByFile(config, log)  # type: ignore[arg-type]


def pytest_collection_finish() -> None:
    """Take what is imported by now as there for good."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slowest files, so that no process is left with one of them at the end."""

    def turn(item: pytest.Item) -> int:
        if copies(item.path):
            return -1
        return next(
            (i for i, file in enumerate(SLOWEST) if item.path.as_posix().endswith(file)),
            len(SLOWEST),
        )

    items.sort(key=turn)

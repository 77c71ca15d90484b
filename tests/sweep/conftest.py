"""The hand-made cache, and one of frames that tell which phone they are of."""

from pathlib import Path

import pytest
from frames_that_tell import PHONES, intervals, write_frames
from hand_made import write_cache


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("sweep") / "hand.cache")


@pytest.fixture(scope="session")
def phones(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A cache, and the table of its phones."""
    folder = tmp_path_factory.mktemp("phones")
    sound = intervals(PHONES, 0)
    sound.to_csv(folder / "phones.csv", index=False)
    return write_frames(folder / "p.cache", sound, PHONES), folder / "phones.csv"

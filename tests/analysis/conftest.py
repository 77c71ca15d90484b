"""The hand-made cache."""

from pathlib import Path

import pytest
from hand_made import write_cache


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("sweep") / "hand.cache")

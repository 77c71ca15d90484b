from collections.abc import Callable
from pathlib import Path

import pytest
from random_store import Recipe, names


@pytest.fixture
def store(tmp_path: Path) -> Callable[..., Path]:
    """Writes a small store: 10 utterances in shards of 4, unless said otherwise."""

    def write(n: int = 10, name: str = "c", recipe: Recipe | None = None, **how: object) -> Path:
        (recipe or Recipe()).write(tmp_path / name, names(n), **how)  # type: ignore[arg-type]
        return tmp_path / name

    return write

"""The hand-made cache, and runs over it."""

from pathlib import Path

import pytest
from hand_made import write_cache

from probing.runs import Run
from probing.sweep import DepthOptions, SweepOptions, sweep

HEADS = DepthOptions(seeds=(0, 1), epochs=3)
OPTIONS = SweepOptions(resamples=100, strengths=(0.1,), control_seeds=(0,), depths=HEADS)


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("sweep") / "hand.cache")


@pytest.fixture(scope="session")
def made(cache_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """The same sweep of two backbones over the same utterances."""
    folder = tmp_path_factory.mktemp("runs")
    other = write_cache(folder / "other.cache", seed=1, name="another <b>", made="otherwise")
    return tuple(  # type: ignore[return-value]
        sweep(cache, folder / name, OPTIONS, say=lambda text: None)
        for cache, name in ((cache_folder, "hand.run"), (other, "other.run"))
    )


@pytest.fixture
def run(made: tuple[Run, Run]) -> Run:
    return made[0]

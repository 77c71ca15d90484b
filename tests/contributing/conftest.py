"""A folder outside the package in which modules of one's own are written, and registries that end
as they began.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hand_made import write_cache

from analysis.plots.kinds import PLOTS
from probing.backbones.families import FAMILIES
from probing.corpora import KNOWN
from probing.heads.kinds import BACKENDS, MERGES
from probing.metrics.figures import METRICS

REGISTRIES = (MERGES, BACKENDS, FAMILIES, KNOWN, METRICS, PLOTS)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder to write modules in, which is the working directory; they are forgotten
    afterwards.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before, modules = [dict(registry) for registry in REGISTRIES], set(sys.modules)
    yield tmp_path
    for registry, entries in zip(REGISTRIES, before, strict=True):
        registry.clear()
        registry.update(entries)
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("contributing") / "my.cache")

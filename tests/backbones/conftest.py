from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import transformers
from tiny_models import ROOT, build

from probing.backbones import Backbone, load_backbone

SOURCES = (ROOT / "probing/corpora/demo/audio", ROOT.parent / "shared/data/speech-dev/flac")


@pytest.fixture(autouse=True, scope="session")
def _one_quiet_thread() -> None:
    torch.set_num_threads(1)
    transformers.logging.disable_progress_bar()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of the small model of a family; shared by the session, not to be written to."""
    folders: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in folders:
            folders[name] = build(name, tmp_path_factory.mktemp(name))
        return folders[name]

    return folder


@pytest.fixture(scope="session")
def loaded_tiny(tiny: Callable[[str], Path]) -> Callable[..., Backbone]:
    """The small model of a family, loaded once; not to be changed."""

    @cache
    def load(name: str, device: str = "auto") -> Backbone:
        return load_backbone(str(tiny(name)), device=device)

    return load


@pytest.fixture
def build_tiny(tmp_path: Path) -> Callable[..., Path]:
    """Build a small model of a family, with changes to its config, that the test may alter."""

    def folder(name: str, **overrides: Any) -> Path:
        return build(name, tmp_path / name, **overrides)

    return folder


@pytest.fixture(scope="session")
def speech() -> list[np.ndarray]:
    """Four clips of real speech, 0.6 to 2 s, of lengths that are no multiple of anything."""
    lengths = (9_613, 16_000, 22_851, 31_999)
    for source in SOURCES:
        clips = []
        for path in sorted(
            path for path in source.glob("*") if path.suffix in (".flac", ".opus", ".wav")
        ):
            samples, rate = soundfile.read(path, dtype="float32")
            if (
                samples.ndim == 1
                and rate == 16000
                and len(samples) >= lengths[len(clips)]
                and samples.std() > 1e-3
            ):
                clips.append(samples[: lengths[len(clips)]])
            if len(clips) == len(lengths):
                return clips
    pytest.skip("no real speech found: neither the demo corpus nor ../shared/data")

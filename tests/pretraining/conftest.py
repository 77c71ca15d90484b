from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pretraining.small_pretraining import ARCHITECTURE, RECIPE

from probing.provenance.pretraining.run import DEMO_TABLE, Run, open_run


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small folder of unlabelled speech, laid out as the real one: human clips of the demo
    corpus.
    """
    folder = tmp_path_factory.mktemp("shared")
    demo = pd.read_csv(DEMO_TABLE)
    human = demo[(demo["label"] == "bonafide") & ~demo["speaker"].str.startswith("LibriSpeech-")]
    chosen = human.groupby("speaker").head(6).copy()
    # The unlabelled set spells some names otherwise; two speakers of train stand in for
    # LibriSpeech.
    renamed = {
        "asterisk-CarloFlora_it": "asterisk-CarloFlora",
        "asterisk-Maxim_ru": "LibriSpeech-1",
    }
    chosen["speaker"] = chosen["speaker"].replace(renamed | {"librivox-austen": "LibriSpeech-2"})
    chosen["dur_s"] = chosen["duration_s"]
    unlabelled = folder / "data" / "unlabelled"
    (unlabelled / "audio").mkdir(parents=True)
    for path in chosen["path"]:
        (unlabelled / path).symlink_to(DEMO_TABLE.parent / path)
    chosen[["path", "speaker", "source", "lang", "dur_s", "licence"]].to_csv(
        unlabelled / "meta.csv", index=False
    )
    dev = folder / "data" / "speech-dev"
    dev.mkdir()
    (dev / "meta.csv").write_text("speaker,split\nAMI-MEE009+vc,eval\nAMI-MEE012,train\n")
    return folder


@pytest.fixture(scope="session")
def work(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder in which the recordings are decoded and clustered."""
    folder = tmp_path_factory.mktemp("work")
    open_run(RECIPE, shared, folder, "cpu", ARCHITECTURE)
    return folder


@pytest.fixture
def fresh(shared: Path, work: Path, tmp_path: Path) -> Run:
    """A run at step 0, in a work folder of its own."""
    folder = tmp_path / "run"
    folder.mkdir()
    for path in work.iterdir():
        (folder / path.name).symlink_to(path)
    return open_run(RECIPE, shared, folder, "cpu", ARCHITECTURE)


@pytest.fixture
def speech(fresh: Run) -> torch.Tensor:
    """Two crops of real speech, of a length that is no multiple of anything."""
    longest = np.argsort(fresh.recordings.table["length"])[-2:]
    return torch.from_numpy(np.stack([fresh.recordings.clip(int(row))[:31_337] for row in longest]))

from pathlib import Path

import pytest
import torch
import transformers
from small_extraction import corpus_in, machine, quiet, with_frames, write_clips
from tiny_models import build

from cache import Cache
from probing.corpora import Corpus
from probing.extraction import extract


@pytest.fixture(autouse=True, scope="session")
def _one_quiet_thread() -> None:
    torch.set_num_threads(1)
    transformers.logging.disable_progress_bar()


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small WavLM with random weights."""
    return build("wavlm", tmp_path_factory.mktemp("model") / "wavlm")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """16 clips of real speech; not to be changed."""
    folder = tmp_path_factory.mktemp("corpus") / "audio"
    write_clips(folder)
    return corpus_in(folder)


@pytest.fixture(scope="session")
def undisturbed(backbone: Path, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """The corpus extracted in one go, frames and all; not to be changed."""
    folder = tmp_path_factory.mktemp("undisturbed") / "c"
    return extract(folder, corpus, with_frames(backbone), machine(), say=quiet)

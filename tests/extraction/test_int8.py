"""Extraction of frames as int8: as those of float32 to within half a step, also without a cache and
after a repair.
"""

from pathlib import Path

import numpy as np
import pytest
from small_extraction import corpus_in, machine, quiet, with_frames, write_clips

from cache import Cache, verify
from cache.quantization import encode, stored
from probing.corpora import Corpus
from probing.extraction import extract, layers_of, repair


@pytest.fixture(scope="module")
def quantized(backbone: Path, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return extract(
        tmp_path_factory.mktemp("int8") / "c",
        corpus,
        with_frames(backbone, frames_dtype="int8"),
        machine(),
        say=quiet,
    )


def test_int8_frames_are_those_of_float32_rounded(quantized: Cache, undisturbed: Cache) -> None:
    ids = list(undisturbed.utterances["utterance_id"])
    for ours, exact in zip(quantized.frames(ids), undisturbed.frames(ids), strict=True):
        step = np.abs(exact).max(axis=-1, keepdims=True) / 127
        assert (np.abs(ours - exact) <= 0.501 * step).all()
    # statistics are taken before
    np.testing.assert_array_equal(quantized.pooled(), undisturbed.pooled())
    assert quantized.id != undisturbed.id
    exact_bytes, ours_bytes = undisturbed.n_bytes, quantized.n_bytes
    assert ours_bytes < 0.5 * exact_bytes


def test_files_without_a_cache_give_what_the_cache_holds(
    quantized: Cache, backbone: Path, corpus: Corpus
) -> None:
    options = with_frames(backbone, frames_dtype="int8")
    encoder = options.load_backbone("cpu")
    rows = quantized.utterances.head(3)
    files = {
        name: corpus.root / path
        for name, path in zip(rows["utterance_id"], rows["path"], strict=True)
    }
    for name, frames in layers_of(files, encoder, options, batch_size=4):
        cached = quantized.frames([name])[0]
        assert frames.dtype == np.float32
        step = np.abs(cached).max(axis=-1, keepdims=True) / 127
        # rounding of a batch may move a value to the next step
        assert (np.abs(frames - cached) <= 1.01 * step).all()


def test_a_damaged_int8_utterance_is_mended(backbone: Path, tmp_path: Path) -> None:
    write_clips(tmp_path / "audio")
    options = with_frames(backbone, frames_dtype="int8")
    cache = extract(tmp_path / "c", corpus_in(tmp_path / "audio"), options, machine(), say=quiet)
    name = cache.utterances["utterance_id"][5]
    before = cache.frames([name])[0]
    first_frame = encode(before[2, :1], stored("int8", before[2].shape)[1])
    shard = cache.folder / f"shard-{cache.utterances['shard'][5]:05d}.h5"
    content = bytearray(shard.read_bytes())
    content[content.index(first_frame["values"].tobytes())] ^= 4
    shard.write_bytes(bytes(content))
    assert [fault.utterance_ids for fault in verify(cache.folder)] == [(name,)]
    mended = repair(cache.folder, machine=machine(), say=quiet)
    assert verify(cache.folder) == []
    np.testing.assert_allclose(mended.frames([name])[0], before, atol=np.abs(before).max() / 60)

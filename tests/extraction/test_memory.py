"""What waits in an extraction is bounded, whatever the lengths of the clips and the speed of the
disk.
"""

import sys
import time
from pathlib import Path
from threading import Lock

import numpy as np
import pytest
from processes import CONTEXT
from small_extraction import (
    assert_same,
    corpus_in,
    machine,
    quiet,
    run_cli,
    with_frames,
    write_clips,
)

from cache import ProbeError, verify
from cache.shard_writer import ShardWriter
from cache.writer import CacheWriter
from probing.extraction import Machine, extract
from probing.extraction.extracting import new_manifest, session

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.parametrize("memory_gb", [1e-9, 1e-4, 3e-4])
def test_memory_changes_no_number(memory_gb, backbone, corpus, undisturbed, tmp_path) -> None:
    cache = extract(
        tmp_path / "c", corpus, with_frames(backbone), machine(memory_gb=memory_gb), say=quiet
    )
    assert_same(cache, undisturbed)
    assert verify(tmp_path / "c") == []


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
def test_a_shard_of_long_clips_is_extracted_in_less_memory_than_its_audio(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from extraction_memory import corpus_of, peaks

    corpus = corpus_of(tmp_path, 28, 30.0)  # 54 MB of audio, 27 MB of frames
    with CONTEXT.Pool(1) as alone:
        (little, _), (much, _) = alone.apply(peaks, (corpus, "log-mel", [0.02, 2.0]))
    assert little < 0.16, "beside what decoding a clip and one pass take"
    assert much > little + 0.03


class SlowShard(ShardWriter):
    """A shard on a slow disk, which knows the bytes of frames that were written to it."""

    written = 0

    def write(self, row: int, tier: str, layer: int, block: np.ndarray, n_rows: int) -> None:
        time.sleep(0.01)
        super().write(row, tier, layer, block, n_rows)
        type(self).written += block.nbytes


class SlowWriter(CacheWriter):
    """A cache on a slow disk."""

    def start_shard(self, index, utterance_ids, n_samples, n_frames, measures):
        return SlowShard(
            self.folder, index, self.manifest, utterance_ids, n_samples, n_frames, measures
        )


@pytest.mark.parametrize(("memory_gb", "bounded"), [(1e-4, True), (1.0, False)])
def test_what_waits_for_a_slow_disk_is_bounded(
    memory_gb, bounded, backbone, tmp_path, monkeypatch
) -> None:
    write_clips(tmp_path / "audio")
    corpus, options = corpus_in(tmp_path / "audio"), with_frames(backbone)
    how = Machine("cpu", batch_size=1, shard_size=16, memory_gb=memory_gb)
    model = options.load_backbone("cpu")
    computed, most, largest, lock = 0, 0, 0, Lock()
    plain = model.hidden_states

    def counted(clips):
        nonlocal computed, most, largest
        states = plain(clips)
        with lock:
            n_bytes = sum(layer.nbytes for layer in states.layers)
            computed, largest = computed + n_bytes, max(largest, n_bytes)
            most = max(most, computed - SlowShard.written)
        return states

    monkeypatch.setattr(model, "hidden_states", counted)
    SlowShard.written = 0
    with (
        SlowWriter(
            tmp_path / "c", new_manifest(model, corpus, options), corpus.utterances, 16
        ) as writer,
        session(writer, corpus.root, model, options, how, 16, True, quiet) as pipeline,
    ):
        pipeline.run()
    assert (most <= 0.5e5 + largest) == bounded
    assert verify(tmp_path / "c") == []


def test_no_memory_at_all_is_refused(monkeypatch, capsys) -> None:
    with pytest.raises(ProbeError, match="memory_gb=0: expected more than 0"):
        Machine(memory_gb=0)
    assert run_cli(["extract", "--memory-gb", "0"], monkeypatch) == 2

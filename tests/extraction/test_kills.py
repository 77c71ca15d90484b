"""A real `probe extract` that is killed, again and again, and still ends with the same cache."""

import random
import signal
import time
from pathlib import Path

from processes import probe, wait_for
from small_extraction import assert_same, machine, manifest_of, quiet, with_frames, write_clips

from cache import Cache, verify
from probing.corpora import load_corpus
from probing.extraction import extract


def kill_after(folder: Path, n_shards: int, seconds: float, arguments: list[str]) -> bool:
    """Kill `probe extract` when `n_shards` are there and `seconds` have passed; whether it was
    still at work.
    """
    process = probe("extract", folder, *arguments, folder=folder.parent)
    wait_for(process, lambda: len(list(folder.glob("*.h5"))) >= n_shards)
    time.sleep(seconds)
    process.send(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def test_an_extraction_killed_three_times_ends_with_the_undisturbed_cache(
    backbone: Path, tmp_path: Path
) -> None:
    write_clips(tmp_path / "audio")
    (tmp_path / "audio" / "broken.wav").write_bytes(b"")
    manifest, folder = manifest_of(tmp_path / "audio"), tmp_path / "c"
    arguments = [
        "--corpus",
        str(manifest),
        "--backbone",
        str(backbone),
        "--frames",
        "--frames-dtype",
        "float32",
    ]
    arguments += ["--shard-size", "1", "--device", "cpu"]
    options = with_frames(backbone)
    corpus = load_corpus(str(manifest))
    how = machine(shard_size=1, batch_size=1)
    undisturbed = extract(tmp_path / "undisturbed", corpus, options, how, say=quiet)
    moments = random.Random(1)
    found, at_work = [], []
    for n_shards in (1, 4, 8):
        at_work.append(kill_after(folder, n_shards, moments.uniform(0, 0.05), arguments))
        assert verify(folder) == []
        found.append(len(Cache(folder)))
    assert at_work[0]
    assert found == sorted(found)
    cache = extract(folder, corpus, options, how, say=quiet)
    assert_same(cache, undisturbed)
    assert verify(folder) == []
    assert not list(folder.glob("*.partial"))

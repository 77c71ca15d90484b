"""`probe extract --part` and `probe cache merge`: jobs of an array make the cache of a
single job.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_extraction import (
    corpus_in,
    machine,
    manifest_of,
    quiet,
    run_cli,
    with_frames,
    write_clips,
)

from cache import Cache, ProbeError, verify
from cache.parts import Part
from probing.corpora import Corpus
from probing.extraction import extract, repair


def assert_same_bytes(left: Cache, right: Cache) -> None:
    pd.testing.assert_frame_equal(left.utterances, right.utterances)
    pd.testing.assert_frame_equal(left.failures, right.failures)
    assert (left.fingerprint, left.about) == (right.fingerprint, right.about)
    assert left.finished
    for k in right.layers:
        for tier in right.tiers:
            np.testing.assert_array_equal(left.layer(k, tier)[0], right.layer(k, tier)[0])


def test_two_jobs_and_a_merge_are_one_job_bit_for_bit(
    backbone: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    write_clips(tmp_path / "audio")
    (tmp_path / "audio" / "broken.wav").write_bytes(b"")
    folder = tmp_path / "c"
    arguments = [
        "extract",
        str(folder),
        "--corpus",
        str(manifest_of(tmp_path / "audio")),
        "--backbone",
        str(backbone),
    ]
    arguments += ["--frames", "--shard-size", "5", "--batch-size", "4", "--device", "cpu"]
    for number in (2, 1):
        assert run_cli([*arguments, "--part", f"{number}/2"], monkeypatch) == 0
        assert f"When all parts are done: probe cache merge {folder}" in capsys.readouterr().err
    assert {len(Cache(Part(number, 2).folder(folder))) for number in (1, 2)} == {9, 7}
    assert run_cli(["cache", "merge", str(folder)], monkeypatch) == 0
    assert f"Next: probe sweep {folder}" in capsys.readouterr().err
    assert run_cli([*arguments[:1], str(tmp_path / "single"), *arguments[2:]], monkeypatch) == 0
    assert_same_bytes(Cache(folder), Cache(tmp_path / "single"))
    assert len(Cache(folder).failures) == 1
    assert verify(folder) == []
    assert run_cli([*arguments, "--part", "1/2"], monkeypatch) == 2
    assert "is a cache already" in capsys.readouterr().err


def test_a_part_goes_on_where_it_stopped_and_only_as_it_was_begun(
    backbone: Path, corpus: Corpus, tmp_path
) -> None:
    options, part = with_frames(backbone), Part(1, 2)
    first = extract(tmp_path / "c", corpus, options, machine(), part=part, say=quiet)
    assert (len(first), first.finished) == (8, True)
    said: list[str] = []
    extract(tmp_path / "c", corpus, options, machine(), part=part, say=said.append)
    assert "Nothing to do: every utterance is in the cache." in said
    with pytest.raises(ProbeError, match="begun with other utterances or shards"):
        extract(tmp_path / "c", corpus, options, machine(shard_size=3), part=part, say=quiet)
    with pytest.raises(ProbeError, match=r"is part 1/2 of a cache. Go on with it .*/c --part 1/2"):
        extract(part.folder(tmp_path / "c"), corpus, options, machine(), say=quiet)


def test_a_part_can_be_repaired_unless_its_table_is_damaged(backbone: Path, tmp_path: Path) -> None:
    write_clips(tmp_path / "audio")
    corpus, part = corpus_in(tmp_path / "audio"), Part(2, 2)
    folder = part.folder(tmp_path / "c")
    cache = extract(tmp_path / "c", corpus, with_frames(backbone), machine(), part=part, say=quiet)
    before = cache.pooled()
    next(folder.glob("*.h5")).unlink()
    assert verify(folder) != []
    np.testing.assert_array_equal(repair(folder, machine=machine(), say=quiet).pooled(), before)
    (folder / "utterances.parquet").write_bytes(b"nothing")
    with pytest.raises(ProbeError, match=r"only the plan of the whole .*--part 2/2"):
        repair(folder, machine=machine(), say=quiet)
    again = extract(tmp_path / "c", corpus, with_frames(backbone), machine(), part=part, say=quiet)
    np.testing.assert_array_equal(again.pooled(), before)


def test_more_parts_than_shards_leave_some_with_nothing_to_do(
    backbone: Path, corpus: Corpus, tmp_path: Path
) -> None:
    cache = extract(
        tmp_path / "c", corpus, with_frames(backbone), machine(), part=Part(9, 9), say=quiet
    )
    assert (len(cache), cache.finished) == (0, True)

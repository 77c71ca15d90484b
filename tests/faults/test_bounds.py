"""Files that are no files, or unpack to more than can be held, are refused at once and before they
are read.
"""

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cache.bounds
from cache import Cache, CacheCorrupt, ProbeError
from cache.bounds import TooLarge, check_text, open_regular, read_parquet
from cache.manifest import load_manifest, read_json
from probing.audio import Cropping, UnusableAudio, load_audio, stamp
from probing.corpora import read_corpus
from probing.evaluation import read_keys
from probing.runs import Run
from probing.scores.files import read_scores
from probing.serving.heads import read_head

WITHIN_S = 20  # a reader of a pipe that waits would wait for ever


def small(monkeypatch: pytest.MonkeyPatch, **limits: int) -> None:
    """Lower the limits, so that harmless files are above them."""
    for name, value in limits.items():
        monkeypatch.setattr(cache.bounds, name, value)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_list_that_unpacks_to_too_many_bytes_or_values_is_refused(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"scores.txt{suffix}"
    text = "".join(f"u{i} {i}\n" for i in range(3000)).encode()
    path.write_bytes(gzip.compress(text) if suffix else text)
    assert len(read_scores(path)) == 3000
    for limits in (
        {"MOST_TEXT_BYTES": 20_000},
        {"MOST_VALUES": 5_000},
        {"MOST_LINE_BYTES": 1, "BLOCK": 7},
    ):
        with monkeypatch.context() as lowered:
            small(lowered, **limits)
            for read in (read_scores, read_keys):
                with pytest.raises(ProbeError, match=rf"{path.name}: .*more than the [\d,]+ "):
                    read(path)


def test_a_manifest_or_protocol_is_read_within_the_same_bounds(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "m.csv"
    pd.DataFrame({"path": [f"{i}.wav" for i in range(2000)], "label": "spoof"}).to_csv(
        path, index=False
    )
    assert len(read_corpus(str(path))) == 2000
    small(monkeypatch, MOST_TEXT_BYTES=9_000)
    with pytest.raises(TooLarge, match=r"m\.csv: has more than the 9,000 bytes"):
        read_corpus(str(path))


@pytest.mark.parametrize(
    ("table", "limit", "message"),
    [
        (pd.DataFrame({"x": np.zeros(60_000)}), {"MOST_VALUES": 50_000}, "60,000 values"),
        (pd.DataFrame({"x": np.zeros(60_000)}), {"MOST_TABLE_BYTES": 400_000}, "480,000 bytes"),
        # one long text, stored once: the metadata says a few hundred bytes
        (
            pd.DataFrame({"x": ["a" * 500] * 4000}),
            {"MOST_TABLE_BYTES": 1_000_000},
            "2,000,000 bytes",
        ),
        (pd.DataFrame({"x": [[0] * 500] * 400}), {"MOST_VALUES": 100_000}, "200,000 values"),
    ],
)
def test_a_table_that_unpacks_to_too_much_is_refused_before(
    table, limit, message, tmp_path: Path, monkeypatch
) -> None:
    path = tmp_path / "t.parquet"
    table.to_parquet(path)
    pd.testing.assert_frame_equal(read_parquet(path), pd.read_parquet(path))
    assert path.stat().st_size < 20_000
    small(monkeypatch, **limit)
    with pytest.raises(TooLarge, match=f"unpacks to {message}"):
        read_parquet(path)


def test_a_record_that_is_too_large_is_refused(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "cache.json").write_text("[" + "0," * 1000 + "0]")
    monkeypatch.setattr("cache.manifest.MOST_JSON_BYTES", 1000)
    with pytest.raises(TooLarge, match="has 2,003 bytes, more than the 1,000"):
        read_json(tmp_path / "cache.json")
    with pytest.raises(CacheCorrupt, match="more than the 1,000"):
        load_manifest(tmp_path)


READERS: dict[str, Callable[[Path], object]] = {
    "run.json": lambda path: Run(path.parent),
    "results.parquet": lambda path: read_parquet(path),
    "cache.json": lambda path: Cache(path.parent),
    "m.csv": lambda path: read_corpus(str(path)),
    "m.parquet": lambda path: read_corpus(str(path)),
    "scores.txt": read_scores,
    "keys.txt.gz": read_keys,
    "a.wav": lambda path: load_audio(path, Cropping()),
    "b.wav": stamp,
    "head.json": lambda path: read_head(path.with_suffix(".safetensors")),
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
@pytest.mark.parametrize("name", READERS)
def test_a_pipe_a_device_or_a_folder_in_the_place_of_a_file_is_refused_at_once(
    name: str, tmp_path: Path
) -> None:
    for kind, make in (
        ("a pipe", lambda path: os.mkfifo(path)),
        ("a device", lambda path: path.symlink_to("/dev/null")),
        ("a folder", lambda path: path.mkdir()),
    ):
        place = tmp_path / kind.replace(" ", "-")
        place.mkdir()
        make(place / name)
        with pytest.raises((ProbeError, OSError, UnusableAudio)) as refused:
            READERS[name](place / name)
        assert kind in str(refused.value) or "a link" in str(refused.value)


def test_a_pipe_that_nobody_writes_to_does_not_keep_a_command_waiting(tmp_path: Path) -> None:
    (tmp_path / "x.run").mkdir()
    os.mkfifo(tmp_path / "x.run" / "run.json")
    command = [
        sys.executable,
        "-m",
        "analysis.commands.app",
        "plot",
        "x.run",
        "layers",
        "--out",
        "x.png",
    ]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert (done.returncode, "a pipe" in done.stderr, "Traceback" in done.stderr) == (
        2,
        True,
        False,
    ), done.stderr


def test_what_is_allowed_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x y\n\n")
    check_text(tmp_path / "a.txt")
    with open_regular(tmp_path / "a.txt") as file:
        assert file.read() == b"x y\n\n"

"""The cache of a run is known by its recipe and by the audio of its utterances, wherever asked."""

from pathlib import Path

import pandas as pd
import pytest
from frames_that_tell import PHONES, intervals, write_frames
from hand_made import write_cache
from small_extraction import run_cli

from analysis.transferability import predicts, transfer_scores
from cache import Cache, CacheMissing, ProbeError
from probing.runs import Run, check_cache, find_cache, mismatch
from probing.sweep import DepthOptions, SweepOptions, TargetOptions, finished_run, sweep
from probing.tuning.utterances import parts_of

OPTIONS = SweepOptions(
    strengths=(0.1,), control_seeds=(), resamples=100, depths=DepthOptions(heads=())
)


def stamped(folder: Path, crc: int) -> Cache:
    """A cache of a recipe and ids that are always the same, of other audio by its checksums."""
    change = lambda table: table.assign(file_crc32=range(crc, crc + len(table)))  # noqa: E731
    return Cache(write_cache(folder, change=change))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return sweep(
        stamped(tmp_path / "c.cache", 1), tmp_path / "c.run", OPTIONS, say=lambda text: None
    )


@pytest.fixture
def other(run: Run, tmp_path: Path) -> Cache:
    """A cache of other audio, in the place of that of the run."""
    (tmp_path / "c.cache").rename(tmp_path / "moved.cache")
    found = stamped(tmp_path / "c.cache", 1000)
    assert found.id == run.record.cache
    return found


def test_the_cache_of_a_run_is_found_where_it_was(run: Run, tmp_path: Path) -> None:
    assert mismatch(run, Cache(tmp_path / "c.cache")) == ""
    for part in ("", "train", "dev", "eval"):
        assert find_cache(run, part).folder == tmp_path / "c.cache"


def test_other_audio_in_the_place_of_the_cache_is_refused(run: Run, other: Cache) -> None:
    for part in ("", "train", "dev", "eval"):
        with pytest.raises(CacheMissing, match="other audio files"):
            find_cache(run, part)
    with pytest.raises(ProbeError, match="other audio files"):
        check_cache(run, other)
    assert finished_run(other, run.folder, OPTIONS) is None


def test_a_tuning_refuses_other_audio(run: Run, other: Cache) -> None:
    with pytest.raises(ProbeError, match="other audio files"):
        parts_of(run)


def test_transferability_refuses_other_audio_before_it_scores(
    run: Run, other: Cache, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["transfer", str(other.folder), "--run", str(run.folder), "--scores", "logme"]
    assert run_cli(words, monkeypatch) == 2
    output = capsys.readouterr()
    assert "other audio files" in output.err
    assert output.out == ""
    with pytest.raises(ProbeError, match="other audio files"):
        predicts(run, transfer_scores(other, scores=["logme"]))


def test_more_utterances_of_the_same_audio_are_the_same_cache(run: Run, tmp_path: Path) -> None:
    def more(table):
        found = table.assign(file_crc32=range(1, 1 + len(table)))
        new = found.iloc[:1].assign(utterance_id="new", split="more", file_crc32=999)
        return pd.concat([found, new], ignore_index=True)

    assert mismatch(run, Cache(write_cache(tmp_path / "more.cache", change=more))) == ""

    def fewer(table):
        return table.assign(file_crc32=range(1, 1 + len(table))).iloc[:-1]

    few = Cache(write_cache(tmp_path / "few.cache", change=fewer))
    assert "other audio files" in mismatch(run, few)


def test_a_cache_without_checksums_is_known_by_its_recipe(tmp_path: Path) -> None:
    cache = Cache(write_cache(tmp_path / "c.cache"))
    found = sweep(cache, tmp_path / "c.run", OPTIONS, say=lambda text: None)
    assert find_cache(found).id == cache.id


def test_units_are_compared_by_their_utterances(tmp_path: Path) -> None:
    sound = intervals(PHONES, 0)
    sound.to_csv(tmp_path / "phones.csv", index=False)
    cache, other = (
        Cache(write_frames(tmp_path / f"{crc}.cache", sound, PHONES, crc=crc)) for crc in (1, 2)
    )
    options = SweepOptions(
        strengths=(0.1,),
        control_seeds=(),
        resamples=100,
        target=TargetOptions(unit="segment", target="label", labels=str(tmp_path / "phones.csv")),
    )
    found = sweep(cache, tmp_path / "p.run", options, say=lambda text: None)
    assert mismatch(found, cache) == ""
    assert "other audio files" in mismatch(found, other)

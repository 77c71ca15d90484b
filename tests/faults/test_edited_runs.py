"""A run that was edited, or that an older version wrote, is read or refused with the file and key:
nothing else.
"""

import shutil
from pathlib import Path

import pytest
from faults.edited_runs import changes, edit_record, edit_table, readers, try_all
from hand_made import write_cache

from cache import Cache, ProbeError
from probing.runs import Run
from probing.sweep import DepthOptions, SweepOptions, sweep

ONE_IN = 400  # of the changes; `python tests/faults/long.py edits` tries all
OPTIONS = SweepOptions(
    resamples=100,
    strengths=(0.1,),
    control_seeds=(0,),
    depths=DepthOptions(
        heads=("attentive-compact+linear", "weighted-sum+linear"), seeds=(0,), epochs=1
    ),
    by=("attack",),
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return Cache(write_cache(tmp_path_factory.mktemp("edited") / "c.cache"))


@pytest.fixture(scope="module")
def run(cache: Cache) -> Path:
    folder = cache.folder.parent / "c.run"
    sweep(cache, folder, OPTIONS, say=lambda text: None)
    return folder


def test_every_reader_reads_the_run_as_it_is(run: Path, cache: Cache, tmp_path: Path) -> None:
    for read in readers(run, run, tmp_path, cache).values():
        read()


def test_whatever_is_edited_readers_read_or_refuse(run: Path, cache: Cache, tmp_path: Path) -> None:
    slow = ("report", "transfer", "compare heads", "both depths")
    counts, wrong = try_all(
        run,
        run,
        tmp_path,
        cache,
        lambda number: number % ONE_IN == 7,
        lambda reader: reader not in slow,
    )
    assert wrong == []
    assert counts["edits"] >= 5
    assert min(counts["read"], counts["refused"]) > 0


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (edit_record(("counts",), {}), r"run\.json: no key 'counts\.train'"),
        (edit_record(("corpora",), ["other"]), r"results\.parquet|run\.json"),
        (edit_record(("about",), []), r"run\.json: 'about' is '\[\]', expected an object"),
        (edit_record(("finding", "layer"), 99), r"run\.json: 'finding\.layer' is 99"),
        (edit_record(("options", "seed")), r"run\.json: no key 'options\.seed'"),
        (
            edit_table("results.parquet", lambda t: t.drop(columns="layer")),
            r"results\.parquet: no column 'layer'",
        ),
        (
            edit_table("results.parquet", lambda t: t.assign(value="x")),
            r"column 'value' holds something else than num",
        ),
        (
            edit_table("results.parquet", lambda t: t.assign(value=7.0)),
            r"column 'value' holds 7 for layer, expected 0 to",
        ),
    ],
)
def test_the_file_and_the_key_are_named(edit, message: str, run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.run"
    shutil.copytree(run, copy)
    edit(copy)
    with pytest.raises(ProbeError, match=message):
        Run(copy)


def test_every_key_has_its_turn(run: Path) -> None:
    names = [name for name, _ in changes(run)]
    assert len(names) == len(set(names)) > 1000

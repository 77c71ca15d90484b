"""What parts of a sweep share is counted, said, kept and, if asked, refused."""

from pathlib import Path

import numpy as np
import pandas as pd
from hand_made import write_cache
from small_extraction import run_cli

from analysis.reports.report import save_report
from cache import Cache
from probing.runs import Run
from probing.sweep import DepthOptions, SweepOptions, sweep
from probing.sweep.leaks import find_leaks
from probing.sweep.split import Split
from probing.sweep.splits import read_splits

QUICK = SweepOptions(
    strengths=(0.1,), control_seeds=(), resamples=100, depths=DepthOptions(heads=())
)


def leaks_of(folder: Path, **options) -> list[tuple]:
    found = find_leaks(read_splits(Cache(folder), **options))
    return [(leak.kind, leak.parts, leak.shared, leak.utterances) for leak in found]


def same_speakers(table: pd.DataFrame) -> pd.DataFrame:
    """Two speakers of train in eval, as three utterances; and nobody in all three."""
    speakers = table["speaker"].mask(table.index % 60 < 30, "Unknown")
    eval_rows = table.index[table["split"] == "eval"]
    speakers[eval_rows[-3:]] = ["train-1", "train-2", "train-2"]
    return table.assign(speaker=speakers)


def test_parts_without_common_speakers_or_files_share_nothing(cache_folder: Path) -> None:
    assert leaks_of(cache_folder) == []


def test_speakers_of_two_parts_are_counted_and_unknown_ones_are_nobody(tmp_path: Path) -> None:
    folder = write_cache(tmp_path / "c.cache", change=same_speakers)
    assert leaks_of(folder) == [("speaker", ("train", "eval"), 2, (6, 3))]


def test_one_file_in_two_parts_is_counted_across_caches_and_links(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    (tmp_path / "link").symlink_to("audio")
    one = write_cache(tmp_path / "one.cache", audio_root=str(tmp_path / "audio"))

    def rename(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(
            utterance_id="x" + table["utterance_id"], speaker="x" + table["speaker"]
        )

    other = write_cache(
        tmp_path / "b.cache", change=rename, corpus_name="b", audio_root=str(tmp_path / "link")
    )
    shared = [("file", (part, "eval"), 60, (60, 60)) for part in ("train", "dev")]
    assert leaks_of(one, evaluations=[f"{other}:train"]) == shared[:1]
    assert leaks_of(one, dev=f"{other}:dev", evaluations=["dev"])[0] == (
        "file",
        ("dev", "eval"),
        60,
        (60, 60),
    )
    # reports may share what they like
    assert leaks_of(one, evaluations=["eval", f"{other}:eval"]) == []


def test_the_same_bytes_under_other_names_are_counted_once(cache_folder: Path) -> None:
    splits = read_splits(Cache(cache_folder))

    def stamped(split: Split, crc: np.ndarray) -> Split:
        return Split(
            split.name,
            split.cache,
            split.split,
            split.corpus,
            split.table.assign(file_crc32=crc, file_bytes=9.0),
            split.bonafide,
        )

    given = {
        part: stamped(split, np.arange(60) + 1000.0 * i)
        for i, (part, split) in enumerate(splits.items())
    }
    assert find_leaks(given) == []
    given["dev"] = stamped(splits["dev"], np.r_[np.zeros(2), np.full(57, np.nan), 5.0])
    found = [(leak.kind, leak.parts, leak.shared, leak.utterances) for leak in find_leaks(given)]
    assert found == [("audio", ("train", "dev"), 2, (2, 3))]


def test_names_of_speakers_of_two_corpora_are_said_but_never_refused(tmp_path: Path) -> None:
    one = write_cache(tmp_path / "one.cache")
    paths = lambda table: table.assign(path="x" + table["path"])  # noqa: E731
    other = write_cache(tmp_path / "b.cache", change=paths, corpus_name="b")
    found = find_leaks(read_splits(Cache(one), evaluations=[f"{other}:train"]))
    assert [(leak.kind, leak.certain) for leak in found] == [("speaker name", False)]
    messages: list[str] = []
    sweep(
        one,
        tmp_path / "r.run",
        SweepOptions(**{**QUICK.__dict__, "eval": f"{other}:train"}),
        strict=True,
        say=messages.append,
    )
    assert any("10 names of speakers" in line for line in messages)


def test_a_leak_is_said_kept_and_on_the_page_and_strict_refuses_it(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    folder = write_cache(tmp_path / "c.cache", change=same_speakers)
    expected = "train and eval share 2 speakers as train-1: 6 utterances of train, 3 of eval"
    quick = ["--strengths", "0.1", "--heads", "none", "--control-seeds", "0", "--resamples", "100"]
    assert run_cli(["sweep", str(folder), *quick, "--strict"], monkeypatch) == 2
    assert expected in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["c.cache"]
    messages: list[str] = []
    run = sweep(folder, tmp_path / "c.run", QUICK, say=messages.append)
    assert f"Warning: {expected}." in messages
    assert run.record["leaks"] == [
        {
            "kind": "speaker",
            "parts": ["train", "eval"],
            "shared": 2,
            "utterances": [6, 3],
            "example": "train-1",
            "sentence": expected,
        }
    ]
    assert expected in Path(save_report(Run(tmp_path / "c.run"), tmp_path / "r.html")).read_text()


def test_few_utterances_of_a_class_are_said_before_training(tmp_path: Path) -> None:
    def few(table: pd.DataFrame) -> pd.DataFrame:
        is_kept = (table["split"] != "dev") | (table["label"] == "spoof") | (table.index % 60 < 10)
        return table[is_kept]

    messages: list[str] = []
    sweep(
        write_cache(tmp_path / "c.cache", change=few),
        tmp_path / "c.run",
        QUICK,
        say=messages.append,
    )
    expected = (
        "Warning: dev has only 5 bona fide utterances, of which each is 20 % of an error rate."
    )
    assert messages.index(expected) < next(
        i for i, line in enumerate(messages) if line.startswith("Sweep:")
    )


def test_columns_that_a_run_adds_keep_their_values_under_another_name(tmp_path: Path) -> None:
    ours = lambda table: table.assign(score="7", part="p", own_part="q")  # noqa: E731
    messages: list[str] = []
    run = sweep(
        write_cache(tmp_path / "c.cache", change=ours),
        tmp_path / "c.run",
        QUICK,
        say=messages.append,
    )
    trials = run.trials("linear-layer-02")
    assert trials["score"].dtype == np.float64
    assert set(trials["own_score"]) == {"7"}
    assert set(trials["own_own_part"]) == {"p"}
    assert set(trials["own_part"]) == {"q"}
    assert any("the column score of" in line and "is called own_score" in line for line in messages)

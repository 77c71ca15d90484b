"""Segment labels of PartialSpoof become intervals, and a pickle that holds more than arrays is
refused.
"""

import os
import pickle
from pathlib import Path

import corpus_trees as trees
import numpy as np
import pytest

from probing.alignments import AlignmentError, read_alignments
from probing.corpora import load_corpus


def test_equal_labels_that_follow_each_other_are_one_interval(tmp_path: Path) -> None:
    root = trees.partialspoof(tmp_path)
    corpus = load_corpus(f"partialspoof:{root}")
    found = read_alignments(root / "segment_labels/dev_seglab_0.02.npy", corpus.utterances)
    assert list(found.table.itertuples(index=False, name=None)) == [
        ("CON_D_0000001", 0.0, 0.02, "bonafide"),
        ("CON_D_0000001", 0.02, 0.06, "spoof"),
        ("CON_D_0000001", 0.06, 0.1, "bonafide"),
        ("LA_D_1047731", 0.0, 0.1, "bonafide"),
    ]
    assert found.notes == ("4 of 6 utterances have no alignment",)


def test_one_resolution_of_a_folder_is_chosen(tmp_path: Path) -> None:
    folder = trees.partialspoof(tmp_path) / "segment_labels"
    with pytest.raises(AlignmentError, match=r"segments of 0\.02, 0\.04 s\. Name one: tier=0\.02"):
        read_alignments(folder)
    coarse = read_alignments(folder, tier="0.04").table
    assert list(coarse["end"]) == [0.08, 0.12, 0.12]
    with pytest.raises(AlignmentError, match=r"no segments of 0\.16 s"):
        read_alignments(folder, tier="0.16")


class Program:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("made-by-a-pickle",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.array({"u": Program()}, object), r"it names posix\.mkdir"),
        (np.array({"u": np.array(["1", "2"])}, object), "not one row of 0 and 1"),
        (np.array({"u": np.ones((2, 2))}, object), "not one row of 0 and 1"),
        (np.array(["1", "0"]), "no segment labels of PartialSpoof"),
        (np.array([1, 2], object), "no segment labels of PartialSpoof"),
    ],
)
def test_what_holds_no_labels_is_refused(
    content: np.ndarray, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("dev_seglab_0.02.npy", content, allow_pickle=True)
    with pytest.raises(AlignmentError, match=message):
        read_alignments("dev_seglab_0.02.npy")
    assert not Path("made-by-a-pickle").exists()


def test_a_file_that_is_cut_or_badly_named_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dev_seglab_0.02.npy"
    np.save(path, np.array({"u": np.array(["1"] * 99)}, object), allow_pickle=True)
    whole = path.read_bytes()
    for end in range(0, len(whole), 9):
        path.write_bytes(whole[:end])
        with pytest.raises(AlignmentError, match="dev_seglab"):
            read_alignments(path)
    path.write_bytes(pickle.dumps({"u": "1"}))
    with pytest.raises(AlignmentError, match="no segment labels"):
        read_alignments(path)
    other = tmp_path / "labels.npy"
    other.write_bytes(whole)
    with pytest.raises(AlignmentError, match="how long its segments are"):
        read_alignments(other, form="seglab")

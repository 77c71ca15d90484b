"""Data sets of Hugging Face: nothing is decoded, written twice or lost on the way to a corpus."""

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hub import hub
from small_extraction import DEMO, run_cli

from cache import ProbeError
from cache.errors import OptionError
from probing.audio import Cropping, load_audio
from probing.corpora import load_corpus
from probing.corpora.hugging_face import DataSet

datasets = pytest.importorskip("datasets")
FILES = sorted(DEMO.glob("*.opus"))[:6]
FEATURES = datasets.Features(
    {
        "audio": {"bytes": datasets.Value("binary"), "path": datasets.Value("string")},
        "emotion": datasets.ClassLabel(names=["happy", "angry"]),
        "age": datasets.Value("int64"),
        "speaker_id": datasets.Value("string"),
        "words": datasets.List(datasets.Value("string")),
        "row": datasets.Value("int32"),
        "embedding": datasets.Value("binary"),
    }
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()


def rows(
    files: list[Path], names: list[str | None] | None = None, **columns: list[object]
) -> "datasets.Dataset":
    n = len(files)
    audio = [
        {"bytes": file.read_bytes(), "path": name}
        for file, name in zip(files, names or [file.name for file in files], strict=True)
    ]
    table = {
        "audio": audio,
        "emotion": [i % 2 for i in range(n)],
        "age": [20, None, 40][:n],
        "speaker_id": [f"s{i}" for i in range(n)],
        "words": [["a", "é"]] * n,
        "row": list(range(n)),
        "embedding": [b"x"] * n,
    }
    features = datasets.Features(
        {**FEATURES, **{name: datasets.Value("string") for name in columns}}
    )
    made = datasets.Dataset.from_dict({**table, **columns}, features=features)
    return made.cast_column("audio", datasets.Audio())


def splits() -> "datasets.DatasetDict":
    named = {"train": FILES[:3], "validation": FILES[3:5], "test": FILES[5:]}
    return datasets.DatasetDict({name: rows(files) for name, files in named.items()})


def saved(folder: Path, made: "datasets.DatasetDict | datasets.Dataset") -> str:
    made.save_to_disk(str(folder))
    return f"hf:{folder}"


def parquet(folder: Path, made: "datasets.DatasetDict") -> str:
    (folder / "data").mkdir(parents=True)
    for name, split in made.items():
        split.to_parquet(folder / f"data/{name}-00000-of-00001.parquet")
    return f"hf:{folder}"


@pytest.mark.parametrize("form", [saved, parquet])
def test_a_data_set_on_disk_is_a_corpus_whose_audio_is_byte_for_byte_its_own(
    tmp_path: Path, form
) -> None:
    corpus = load_corpus(form(tmp_path / "mine", splits()))
    table = corpus.utterances.set_index("utterance_id")
    assert list(table.index) == [
        f"{split}/{file.stem}"
        for split, file in zip(["train"] * 3 + ["validation"] * 2 + ["test"], FILES, strict=True)
    ]
    assert list(table["split"]) == ["train"] * 3 + ["dev"] * 2 + ["eval"]
    first = {
        "speaker": "s0",
        "age": "20",
        "words": '["a", "é"]',
        "own_row": "0",
        "label": "happy",
        "emotion": "happy",
    }
    assert table.iloc[0][list(first)].to_dict() == first
    assert list(table["age"]) == ["20", "", "40", "20", "", "20"]
    assert corpus.notes[0] == "columns without text or numbers were left out: embedding"
    for file, path in zip(FILES, table["path"], strict=True):
        assert (corpus.root / path).read_bytes() == file.read_bytes()
        assert np.array_equal(
            load_audio(corpus.root / path, Cropping()), load_audio(file, Cropping())
        )
    again = load_corpus(corpus.spec)
    assert again.root == corpus.root
    assert again.utterances.equals(corpus.utterances)


def test_audio_is_written_once_and_again_only_where_it_was_cut(tmp_path: Path) -> None:
    spec = saved(tmp_path / "mine", splits())
    corpus = load_corpus(spec)
    written = sorted(path for path in corpus.root.rglob("*") if path.is_file())
    written[0].write_bytes(b"cut")
    kept = {path: path.stat().st_mtime_ns for path in written[1:]}
    load_corpus(spec)
    assert (
        written[0].read_bytes()
        == next(file for file in FILES if file.name == written[0].name).read_bytes()
    )
    assert {path: path.stat().st_mtime_ns for path in written[1:]} == kept
    own = load_corpus(spec, audio_root=tmp_path / "own")
    assert own.root == tmp_path / "own"
    assert len(list((tmp_path / "own").rglob("*.opus"))) == len(FILES)


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["a/1.opus", "b/1.opus", "c/2.opus"], ["all/0000000", "all/0000001", "all/0000002"]),
        ([None, None, None], ["all/0000000", "all/0000001", "all/0000002"]),
        (["../../x.opus", "C:\\d\\y z.opus", "/e/f.OPUS"], ["all/x", "all/y_z", "all/f"]),
        (["..", ".opus", "a\x00b.opus"], ["all/0000000", "all/0000001", "all/0000002"]),
    ],
)
def test_whatever_its_files_are_called_they_stay_below_the_root(tmp_path: Path, names, ids) -> None:
    corpus = load_corpus(saved(tmp_path / "mine", rows(FILES[:3], names)))
    assert list(corpus.utterances["utterance_id"]) == ids
    for path, file in zip(corpus.utterances["path"], FILES, strict=False):
        assert (corpus.root / path).read_bytes() == file.read_bytes()


def test_a_label_is_named_or_called_label_or_the_only_column_of_classes(tmp_path: Path) -> None:
    of_spoofing = rows(FILES[:3], label=["fake", "REAL", "spoof"])
    spec = saved(tmp_path / "mine", of_spoofing)
    assert list(load_corpus(spec).utterances["label"]) == ["spoof", "bonafide", "spoof"]
    assert list(load_corpus(f"{spec},label=speaker_id").utterances["label"]) == ["s0", "s1", "s2"]
    assert list(load_corpus(f"{spec},label=emotion").utterances["label"]) == [
        "happy",
        "angry",
        "happy",
    ]
    two = of_spoofing.add_column("other", [0, 1, 0]).remove_columns("label")
    two = two.cast_column("other", datasets.ClassLabel(names=["x", "y"]))
    assert list(load_corpus(saved(tmp_path / "two", two)).utterances["label"]) == ["", "", ""]


def test_a_missing_sound_is_said_before_anything_is_extracted(tmp_path: Path) -> None:
    audio = [{"bytes": None, "path": str(FILES[0])}, {"bytes": None, "path": "/no/where.opus"}]
    dataset = datasets.Dataset.from_dict(
        {"audio": audio}, features=datasets.Features({"audio": FEATURES["audio"]})
    )
    with pytest.raises(
        ProbeError, match=r"1 of 2 audio files are not below .*\n  row 2 \(all/where\)"
    ):
        load_corpus(saved(tmp_path / "mine", dataset))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (",label=x", "no column 'x'. Expected one of audio, emotion, age"),
        (",audio=age", "no column 'age' with audio; those are audio"),
        (",label=", "expected hf:NAME, then any of config, audio, label, revision"),
        (",label=age,label=age", "expected hf:NAME"),
    ],
)
def test_a_column_that_is_not_there_is_named(tmp_path: Path, setting: str, message: str) -> None:
    with pytest.raises(ProbeError, match=message):
        load_corpus(saved(tmp_path / "mine", splits()) + setting)


def test_what_cannot_be_loaded_is_said_in_a_line(tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "empty").mkdir()
    datasets.Dataset.from_dict({"text": ["a"]}).save_to_disk(str(tmp_path / "text"))
    two = rows(FILES[:1]).add_column("more", [None]).cast_column("more", datasets.Audio())
    two.save_to_disk(str(tmp_path / "two"))
    for spec, message in (
        (f"hf:{tmp_path}/empty", "cannot be loaded (EmptyDatasetError"),
        ("hf:nobody/nothing", "Expected the name of a data set on the hub"),
        (f"hf:{tmp_path}/text", "0 columns have audio (none of text)"),
        (
            f"hf:{tmp_path}/two",
            "2 columns have audio (audio, more); expected one, or its name: ,audio=COLUMN",
        ),
        ("hf:", "expected hf:NAME"),
    ):
        assert run_cli(["corpus", "check", spec], monkeypatch) == 2
        assert message in " ".join(capsys.readouterr().err.split())


def test_a_spec_is_read_as_it_is_written() -> None:
    for spec in ("hf:a/b", "hf:a,b/c,config=d e,audio=f,label=g=h,revision=i"):
        assert DataSet.parse(spec).spec == spec
    with pytest.raises(OptionError, match="expected hf:NAME"):
        DataSet.parse("hf:,label=a")


def test_one_parquet_file_and_one_named_without_the_prefix(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    rows(FILES[:2]).to_parquet(path)
    assert list(load_corpus(f"hf:{path}").utterances["split"]) == ["all", "all"]
    with pytest.raises(
        ProbeError, match=r"holds the audio itself, not paths of files. Say that it does: hf:"
    ):
        load_corpus(str(path))
    saved(tmp_path / "mine", rows(FILES[:2]))
    assert len(load_corpus(str(tmp_path / "mine"))) == 2


def test_without_the_library_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch, capsys) -> None:
    spec = saved(tmp_path / "mine", rows(FILES[:1]))
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert run_cli(["corpus", "check", spec], monkeypatch) == 2
    assert "pip install -c constraints.txt -e '.[datasets]'" in " ".join(
        capsys.readouterr().err.split()
    )


def test_a_data_set_is_downloaded_by_its_name(tmp_path: Path) -> None:
    files = {"README.md": b"---\nlicense: mit\n---\n# Voices\n"}
    for name, split in splits().items():
        split.to_parquet(tmp_path / "split.parquet")
        files[f"data/{name}-00000-of-00001.parquet"] = (tmp_path / "split.parquet").read_bytes()
    read = (
        "import sys; from probing.corpora import load_corpus; "
        "print(load_corpus(sys.argv[1]).utterances.to_json())"
    )
    with hub("tester/voices", files) as (address, asked):
        environment = {
            **{name: value for name, value in os.environ.items() if not name.endswith("_OFFLINE")},
            "HF_ENDPOINT": address,
            "HF_HOME": str(tmp_path / "home"),
        }

        def load(spec: str) -> "subprocess.CompletedProcess[str]":
            # anew, as the library reads its settings when it is imported
            typed = [sys.executable, "-c", read, spec]
            return subprocess.run(
                typed, env=environment, capture_output=True, text=True, check=False
            )

        found = load("hf:tester/voices,label=emotion,revision=v2")
        lacking = load("hf:tester/nobody")
    assert found.returncode == 0, found.stderr
    table = pd.read_json(StringIO(found.stdout))
    assert table["split"].value_counts().to_dict() == {"train": 3, "dev": 2, "eval": 1}
    assert table["label"].tolist() == ["happy", "angry", "happy", "happy", "angry", "happy"]
    assert "/datasets/tester/voices/resolve/v2/README.md" in asked
    audio = sorted((tmp_path / "home").rglob("speech-layer-probe/*/train/*"))
    assert [path.read_bytes() for path in audio] == [path.read_bytes() for path in FILES[:3]]
    assert "hf:tester/nobody: cannot be loaded" in lacking.stderr

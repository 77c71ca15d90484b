"""Inspection from a run and an utterance to a picture, and the commands that measure."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_extraction import machine, quiet, run_cli, write_clips
from tiny_models import build

from analysis.inspection import activation_picture, inspect
from cache import ProbeError
from probing.corpora import load_corpus
from probing.extraction import Options, extract
from probing.runs import Run
from probing.scores.files import read_scores
from probing.serving import export
from probing.sweep import SweepOptions, sweep
from probing.sweep.options import DepthOptions

HEADS = ("linear-layer-02", "weighted-sum+linear-depth-02")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model, caches of 16 clips with and without frames, and a run."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("inspection")
    write_clips(folder / "audio")
    rows = [
        {
            "path": f"audio/{path.name}",
            "utterance_id": path.stem.replace(" ", "_"),
            "label": ("real", "fake")[i % 2],
        }
        for i, path in enumerate(sorted((folder / "audio").iterdir()))
    ]
    splits = ["train"] * 8 + ["dev"] * 4 + ["eval"] * 4
    pd.DataFrame(rows).assign(split=splits).to_csv(folder / "c.csv", index=False)
    model = str(build("wavlm", folder / "model"))
    corpus = load_corpus(str(folder / "c.csv"))
    for name, frames in (("c", False), ("f", True)):
        options = Options(model, max_seconds=0.8, frames=frames, frames_dtype="float32")
        extract(folder / f"{name}.cache", corpus, options, machine(), say=quiet)
    depths = DepthOptions(
        heads=("weighted-sum+linear",), seeds=(0,), epochs=2, weight_decays=(0.1,)
    )
    what = SweepOptions(strengths=(0.1,), control_seeds=(0,), resamples=100, depths=depths)
    sweep(folder / "c.cache", folder / "c.run", what, say=quiet)
    return folder


@pytest.mark.parametrize("head", HEADS)
def test_file_id_frames_and_export_agree_and_their_mean_is_the_score(
    head: str, place: Path, tmp_path: Path
) -> None:
    scores = read_scores(place / f"c.run/scores/{head}.eval.txt").set_index("utterance_id")["score"]
    name = scores.index[0]
    path = (
        place
        / "audio"
        / Path(
            load_corpus(str(place / "c.csv")).utterances.set_index("utterance_id").path[name]
        ).name
    )
    exported = export(Run(place / "c.run"), tmp_path / "small", 2, head).folder
    found = [
        inspect(place / "c.run", name, head=head),
        inspect(Run(place / "c.run"), path, head=head),
        inspect(place / "c.run", name, head=head, cache=place / "f.cache"),
        inspect(exported, path),
    ]
    for opened in found:
        assert opened.activation["activation"].mean() == pytest.approx(scores[name], abs=1e-4)
        assert np.allclose(
            opened.activation["activation"], found[0].activation["activation"], atol=1e-3
        )
        assert opened.how.startswith("exact")
    seconds = len(found[0].waveform) / 16_000
    assert seconds <= 0.8
    assert found[0].activation["time"].between(0, seconds).all()


def test_the_picture_shows_waveform_spectrogram_and_activation(place: Path) -> None:
    name = read_scores(place / f"c.run/scores/{HEADS[0]}.eval.txt")["utterance_id"][0]
    found = inspect(place / "c.run", name, head=HEADS[0])
    axes = activation_picture(found)
    axes[0].figure.canvas.draw()
    assert len(axes) == 3
    assert np.allclose(axes[2].get_lines()[0].get_ydata(), found.activation["activation"])
    assert axes[0].get_xlim() == axes[2].get_xlim()
    assert name in axes[0].get_title(loc="left")


def test_known_stretches_are_drawn_beside_the_activation(place: Path, tmp_path: Path) -> None:
    name = read_scores(place / "c.run/scores/linear-layer-02.eval.txt")["utterance_id"][0]
    labels = tmp_path / "l.csv"
    labels.write_text(
        f"utterance_id,start,end,label\n{name},0,0.3,bonafide\n{name},0.3,0.6,spoof\nother,0,1,spoof\n"
    )
    found = inspect(place / "c.run", name, head="linear-layer-02", labels=labels)
    assert found.intervals is not None
    assert found.intervals[["start", "end", "label"]].values.tolist() == [
        [0, 0.3, "bonafide"],
        [0.3, 0.6, "spoof"],
    ]
    strip = activation_picture(found)[2]
    assert {"bonafide", "spoof"} <= {text.get_text() for text in strip.texts}
    assert inspect(place / "c.run", name, head="linear-layer-02").intervals is None
    with pytest.raises(ProbeError, match="no such file"):
        inspect(place / "c.run", name, head="linear-layer-02", labels=tmp_path / "nothing.csv")


def test_what_cannot_be_inspected_is_refused(place: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("no audio")
    other = extract(
        tmp_path / "o.cache",
        load_corpus(str(place / "c.csv")),
        Options(str(build("hubert", tmp_path / "other"))),
        machine(),
        say=quiet,
    )
    otherwise = extract(
        tmp_path / "n.cache",
        load_corpus(str(place / "c.csv")),
        Options(str(place / "model"), normalize="off"),
        machine(),
        say=quiet,
    )
    name = other.utterances["utterance_id"][0]
    exported = export(Run(place / "c.run"), tmp_path / "small", 2).folder
    for message, what in {
        "no such file, and no utterance": lambda: inspect(place / "c.run", "nobody"),
        "not decodable": lambda: inspect(place / "c.run", tmp_path / "bad.wav"),
        "of another backbone": lambda: inspect(place / "c.run", name, cache=other),
        "normalisation of the waveform": lambda: inspect(place / "c.run", name, cache=otherwise),
        "needs its cache: cache=DIR": lambda: inspect(exported, name),
        "Say cache=DIR": lambda: inspect(place / "c.run", name, cache=tmp_path),
        "no such head": lambda: inspect(place / "c.run", name, head="none"),
        "audio_root=DIR": lambda: inspect(place / "c.run", name, audio_root=tmp_path / "gone"),
    }.items():
        with pytest.raises(ProbeError, match=message):
            what()


def test_the_commands_write_what_they_say(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    clip = str(next((place / "audio").iterdir()))

    def probe(*arguments: str) -> str:
        assert run_cli(list(arguments), monkeypatch) == 0, arguments
        return capsys.readouterr().out

    for out in ("a.png", "a.csv"):
        assert "log odds" in probe("inspect", "c.run", clip, "--out", str(tmp_path / out))
    assert list(pd.read_csv(tmp_path / "a.csv")) == ["time", "activation"]
    probe("similarity", "c.cache", "--out", str(tmp_path / "cka.svg"))
    probe(
        "similarity",
        "c.cache",
        "f.cache",
        "--layers",
        "0,2",
        "--out",
        str(tmp_path / "two.parquet"),
    )
    assert np.allclose(pd.read_parquet(tmp_path / "two.parquet").loc[1, "2"], 1, atol=1e-4)
    probe(
        "similarity",
        "c.cache",
        "--measure",
        "pwcca",
        "--variance",
        "0.5",
        "--out",
        str(tmp_path / "p.csv"),
    )
    text = probe("transfer", "c.cache", "--run", "c.run", "--out", str(tmp_path / "t.csv"))
    assert "kendall" in text
    assert list(pd.read_csv(tmp_path / "t.csv")) == [
        "layer",
        "logme",
        "h_score",
        "transrate",
        "transrate_shuffled",
        "gbc",
    ]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [
        ".csv",
        ".csv",
        ".csv",
        ".parquet",
        ".png",
        ".svg",
    ]


def test_bad_input_of_the_commands_is_told(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    picture = ["--out", str(tmp_path / "a.png")]
    for message, arguments in {
        "ends in .png": ["inspect", "c.run", "nobody", "--out", str(tmp_path / "a.txt")],
        "a folder that is there": [
            "similarity",
            "c.cache",
            "--out",
            str(tmp_path / "gone" / "a.png"),
        ],
        "expected cka, pwcca or cca": ["similarity", "c.cache", "--measure", "cosine", *picture],
        "takes one cache or two": ["similarity", "c.cache", "c.cache", "c.cache", *picture],
        "takes one cache": ["similarity", "c.cache", "c.cache", "--measure", "cca", *picture],
        "--layers a": ["transfer", "c.cache", "--layers", "a"],
        "no two portions": ["describe", "c.cache"],
        "others with --split, or another": ["describe", "c.cache", "--target", "utterance_id"],
        "--target foo: no such column. Expected one of utterance_id": [
            "transfer",
            "c.cache",
            "--target",
            "foo",
        ],
        "a table that has it: --labels FILE": ["transfer", "c.cache", "--target", "foo"],
        "c.cache: no utterances for --split foo. Its splits: ": [
            "transfer",
            "c.cache",
            "--split",
            "foo",
        ],
        "--scores leep: expected some of": ["transfer", "c.cache", "--scores", "leep"],
        "have 10 or more": [
            "similarity",
            "c.cache",
            "--measure",
            "cca",
            "--target",
            "label",
            *picture,
        ],
    }.items():
        assert run_cli(arguments, monkeypatch) == 2, message
        assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())

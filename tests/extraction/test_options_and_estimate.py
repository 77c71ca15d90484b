"""What is refused before the work starts, and what the work is said to need."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import transformers
from small_extraction import corpus_in, machine, quiet, run_cli, speech, with_frames
from tiny_models import FRAMES_OF_30_S, build

from cache import Cache, ProbeError
from probing.extraction import Options, extract
from probing.extraction.estimate import Estimate, estimate
from probing.extraction.states import UnusableStates, _cast

WRONG = [
    ({"max_seconds": 0.0}, "max_seconds=0: expected 0.05 to 3600"),
    ({"max_seconds": 1e9}, "max_seconds=1e.09: expected 0.05 to 3600"),
    ({"max_seconds": float("nan")}, "max_seconds=nan: expected"),
    ({"seconds": -1.0}, "seconds=-1: expected 0.05 to 3600"),
    ({"pooled_dtype": "float64"}, "pooled_dtype=float64: expected float16 or float32"),
    ({"frames_dtype": "object"}, "frames_dtype=object: expected float16, float32 or int8"),
    ({"pooled_dtype": "int8"}, "pooled_dtype=int8: expected float16 or float32"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=str)
def test_an_option_that_means_nothing_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ProbeError, match=message):
        Options(**options)


def test_clips_longer_than_the_model_takes_are_refused_before_the_work(tmp_path: Path) -> None:
    backbone = build("whisper", tmp_path / "whisper", **FRAMES_OF_30_S)
    with pytest.raises(ProbeError, match=r"takes 30 s at most\. Use max_seconds=30"):
        Options(str(backbone), max_seconds=31).load_backbone("cpu")


def test_the_estimate_of_the_pooled_tier_is_exact(
    backbone, corpus, undisturbed: Cache, tmp_path: Path
) -> None:
    options = with_frames(backbone)
    encoder = options.load_backbone("cpu")
    plan = estimate(
        tmp_path, corpus.root, corpus.utterances, encoder, options.cropping, undisturbed.manifest
    )
    assert plan.n_utterances == 16
    assert plan.tier_bytes["pooled"] == undisturbed.pooled().nbytes
    frames = sum(undisturbed.layer(k, "frames")[0].nbytes for k in undisturbed.layers)
    assert plan.tier_bytes["frames"] == pytest.approx(frames, rel=0.01)
    assert plan.audio_seconds == pytest.approx(
        undisturbed.utterances["audio_seconds"].sum(), rel=0.01
    )
    assert plan.free_bytes > 0


def test_what_does_not_fit_on_the_disk_is_refused_with_both_sizes(tmp_path: Path) -> None:
    Estimate(3, 9.0, {"pooled": 10, "frames": 90}, 100).check(tmp_path)
    with pytest.raises(
        ProbeError, match=r"frames 1\.24 TB; 80 GB free\. That does not fit"
    ) as caught:
        Estimate(
            121461, 1e5, {"pooled": 12_000, "frames": 1_240_000_000_000}, 80_000_000_000
        ).check(tmp_path)
    assert "leave frames out" in str(caught.value)


def test_a_value_that_float16_cannot_hold_stops_with_what_to_use(backbone, tmp_path: Path) -> None:
    model = transformers.AutoModel.from_pretrained(backbone)
    model.encoder.layers[-1].feed_forward.output_dense.bias.data[3] = 70_000.0
    loud = tmp_path / "loud"
    model.save_pretrained(loud)
    (loud / "preprocessor_config.json").write_text(
        (backbone / "preprocessor_config.json").read_text()
    )
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio/a.wav", speech(0, 6000), 16000)
    corpus = corpus_in(tmp_path / "audio")
    with pytest.raises(
        ProbeError,
        match=r"a\.wav: float16 overflow: values up to 7e.04 in 1 of 4 layers \(frames\)",
    ) as caught:
        extract(
            tmp_path / "c", corpus, with_frames(loud, frames_dtype="float16"), machine(), say=quiet
        )
    assert "frames_dtype=float32" in str(caught.value)
    assert (
        np.abs(
            extract(tmp_path / "d", corpus, with_frames(loud), machine(), say=quiet).pooled()
        ).max()
        > 65_504
    )
    for tier, how in (
        ("frames", {"frames_dtype": "float16"}),
        ("pooled", {"pooled_dtype": "float16"}),
    ):
        marking = machine(on_nonfinite="mark")
        marked = extract(tmp_path / tier, corpus, with_frames(loud, **how), marking, say=quiet)
        assert (len(marked), marked.finished) == (0, True)
        assert (
            marked.failures["reason"]
            .str.fullmatch(rf"float16 overflow: values up to 7e.04 .*\({tier}\)")
            .all()
        )


def test_only_the_utterances_that_overflow_are_named() -> None:
    values = torch.ones(7, 2)  # frames of three utterances
    values[3, 1], values[6, 0] = 1e5, -7e4
    with pytest.raises(UnusableStates) as caught:
        _cast([torch.zeros(7, 2), values], "float16", "frames", ["a", "b", "c"], [2, 3, 2])
    assert caught.value.reasons == {
        "b": "float16 overflow: values up to 1e+05 in 1 of 2 layers (frames)",
        "c": "float16 overflow: values up to 7e+04 in 1 of 2 layers (frames)",
    }


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ProbeError, match="on_nonfinite=drop: expected auto, mark or stop"):
        machine(on_nonfinite="drop")


BAD_INPUT = {
    "no such corpus": "extract new --corpus nope",
    "no such manifest": "extract new --corpus nope.csv",
    "no such audio": "extract new --corpus wrong.csv",
    "no such split": "extract new --split nope",
    "no such type": "extract new --pooled-dtype float8",
    "no such length": "extract new --seconds 0",
    "folder of strangers": "extract strange",
    "no such option": "extract new --nope",
    "no cache to verify": "cache verify .",
    "no cache to repair": "cache repair .",
    "no cache to show": "cache info .",
}


@pytest.mark.parametrize("kind", BAD_INPUT)
def test_bad_input_ends_with_exit_code_2_and_a_message(
    kind: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "thesis.txt").write_text("mine")
    (tmp_path / "wrong.csv").write_text("path,label\nnowhere.wav,spoof\n")
    assert run_cli(BAD_INPUT[kind].split(), monkeypatch) == 2
    message = "".join(capsys.readouterr())
    assert message.strip()
    assert "Traceback" not in message
    assert not list(tmp_path.glob("new/*.h5"))


def test_an_empty_view_is_refused() -> None:
    with pytest.raises(ProbeError, match="view='': expected transforms, as noise:white@10"):
        Options(view="").check_used()


@pytest.mark.parametrize("name", ["seconds", "max_seconds"])
def test_clips_too_short_for_a_model_say_the_option_and_how_long(name: str) -> None:
    options = Options("moonshine", **{name: 0.05})
    with pytest.raises(ProbeError, match=rf"0\.05 s, but .* needs 0\.056 s .* Use {name}=0\.056"):
        options.load_backbone("cpu")
    replace(options, **{name: 0.056}).load_backbone("cpu")

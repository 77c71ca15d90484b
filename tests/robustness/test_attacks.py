"""Attacks: the closed form of a linear score, bounds, slopes through a whole model, and what the
command says.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_extraction import machine, quiet, run_cli, speech, write_clips
from tiny_models import build

from analysis.robustness import attack_run, attacked_clips, chosen_layers
from analysis.robustness.attack_source import drawn_trials
from analysis.runs.loading import load
from cache import ProbeError
from cache.errors import OptionError
from probing.audio import Cropping
from probing.augmentation.smoothing import Smoothing
from probing.backbones import load_backbone
from probing.backbones.acoustic import AcousticBackbone
from probing.backbones.inputs import Samples
from probing.corpora import load_corpus
from probing.extraction import Machine, Options, extract
from probing.heads.head import Head
from probing.heads.stack import HeadStack, Model
from probing.robustness.attacks import (
    Attack,
    AttackOptions,
    as_pcm,
    as_waveform,
    over_copies,
    perturb,
    snr_db,
)
from probing.robustness.judge import Judge
from probing.robustness.white_box import WhiteBox
from probing.serving import choose_head
from probing.serving.layer_probe import LayerProbe
from probing.sweep import DepthOptions, SweepOptions, sweep

FGSM, PGD = Attack("fgsm", 8), Attack("pgd", 8)
FULL = 2**15


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 clips, and runs of two small models on them."""
    folder = tmp_path_factory.mktemp("attacks")
    write_clips(folder / "audio")
    paths = sorted((folder / "audio").iterdir())
    table = pd.DataFrame({"path": [f"audio/{path.name}" for path in paths]})
    table["utterance_id"] = [f"a/{i}" for i in range(16)]
    table["label"] = ["bonafide", "spoof"] * 8
    table["split"] = ["train"] * 6 + ["dev"] * 4 + ["eval"] * 6
    table.to_csv(folder / "c.csv", index=False)
    heads = DepthOptions(
        ("weighted-sum+linear",), depths=(2,), seeds=(0,), epochs=2, weight_decays=(0.1,)
    )
    what = SweepOptions(strengths=(0.1,), control_seeds=(), resamples=100, depths=heads)
    for name in ("wavlm", "moonshine"):
        options = Options(str(build(name, folder / f"{name}-model")), max_seconds=0.8)
        corpus = load_corpus(str(folder / "c.csv"))
        sweep(
            extract(folder / f"{name}.cache", corpus, options, machine(), say=quiet),
            folder / f"{name}.run",
            what,
            say=quiet,
        )
    return folder


def probe(place: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.chdir(place)
    return run_cli(list(arguments), monkeypatch)


def random_clips(
    n: int = 3, length: int = 50, seed: int = 0, loud: int = FULL
) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {str(i): generator.integers(-loud, loud, length + i).astype(np.int16) for i in range(n)}


def test_of_a_linear_score_both_methods_reach_the_corner_that_the_closed_form_gives() -> None:
    clips = random_clips(loud=FULL // 2)
    weight = np.random.default_rng(1).normal(size=60)
    bonafide = {"0": True, "1": False, "2": True}
    for attack in (FGSM, PGD, replace(PGD, eps=16, steps=20)):
        found = perturb(
            clips, bonafide, attack, lambda given: [weight[: len(waveform)] for waveform in given]
        )
        for name, x in clips.items():
            side = -1 if bonafide[name] else 1
            np.testing.assert_array_equal(
                found[name] - x, side * attack.eps * np.sign(weight[: len(x)])
            )
            before, after = (
                float(as_waveform(waveform) @ weight[: len(x)]) for waveform in (x, found[name])
            )
            closed = side * attack.eps / FULL * np.abs(weight[: len(x)]).sum()
            assert after - before == pytest.approx(closed, rel=1e-4)


def test_pgd_follows_a_slope_that_turns_where_fgsm_goes_past() -> None:
    """The score of a spoof is highest 2 steps away: FGSM takes all 8, PGD stays near."""
    best = {name: x + 2.0 for name, x in random_clips(1, loud=FULL // 2).items()}["0"] / FULL

    def slopes(given: list[np.ndarray]) -> list[np.ndarray]:
        return [best - waveform for waveform in given]

    clips = random_clips(1, loud=FULL // 2)
    change = {
        attack.method: perturb(clips, {"0": False}, attack, slopes)["0"] - clips["0"]
        for attack in (FGSM, replace(PGD, step_size=1.0))
    }
    assert (change["fgsm"] == 8).all()
    assert (np.abs(change["pgd"] - 2) <= 1).all()


def test_of_a_smoothed_score_the_slope_is_the_mean_over_copies() -> None:
    [clip] = [as_waveform(x) for x in random_clips(1).values()]
    smoothing = Smoothing(3, 10.0)
    curved = over_copies(lambda given: [waveform**3 for waveform in given], smoothing)
    expected = np.mean([smoothing.noised(clip, number) ** 3 for number in range(3)], axis=0)
    np.testing.assert_allclose(curved([clip])[0], expected, rtol=1e-6)


@given(
    st.integers(0, 100), st.integers(1, 40), st.sampled_from(["fgsm", "pgd"]), st.floats(0.1, 30)
)
def test_no_sample_goes_farther_than_eps_or_beyond_full_scale(
    seed: int, eps: int, method: str, step: float
) -> None:
    clips = random_clips(seed=seed)
    generator = np.random.default_rng(seed)
    attack = Attack(method, eps, 4, step)
    found = perturb(
        clips,
        dict.fromkeys(clips, True),
        attack,
        lambda given: [generator.normal(size=len(x)) for x in given],
    )
    for name, x in clips.items():
        assert found[name].dtype == np.int16
        assert np.abs(found[name].astype(int) - x).max() <= eps
        assert np.abs(as_waveform(found[name])).max() <= 1


def test_the_snr_is_that_of_the_change() -> None:
    clean = np.full(100, 1000, np.int16)
    assert snr_db(clean, clean + np.int16(10)) == pytest.approx(40)
    assert snr_db(clean, clean) == np.inf
    assert as_pcm(np.array([2.0, -2.0])).tolist() == [32767, -32768]


def probe_of(backbone: object, layer: int) -> LayerProbe:
    return LayerProbe(layer, np.random.default_rng(0).normal(size=2 * backbone.dim), 0.3)  # type: ignore[attr-defined]


def attentive_head(dim: int, depth: int, frames: bool) -> Head:
    stack = HeadStack(
        [Model("attentive-compact", "lstm" if frames else "linear", depth)],
        depth,
        dim if frames else 2 * dim,
        frames,
    )
    stack.start()
    return Head(stack)


@pytest.mark.parametrize(
    ("model", "what"), [("embedded", "probe"), ("moonshine", "head"), ("wavlm", "frames")]
)
def test_slopes_of_a_score_are_those_of_finite_differences(
    model: str, what: str, tmp_path: Path
) -> None:
    backbone = load_backbone(
        model if model == "embedded" else str(build(model, tmp_path)), device="cpu"
    ).truncate(2)
    head = (
        probe_of(backbone, 2)
        if what == "probe"
        else attentive_head(backbone.dim, 2, what == "frames")
    )
    # the clip is repeated: its slopes add up
    white_box = WhiteBox(backbone, head, Cropping(seconds=0.5)).double()
    clip = speech(0, 5000)
    [slope] = white_box.slopes([clip])
    x, along = (
        torch.from_numpy(array).double()
        for array in (clip, np.random.default_rng(1).normal(size=5000))
    )
    step = 1e-8
    up, down = (white_box.scores([x + sign * step * along]).item() for sign in (1, -1))
    assert abs(float(slope @ along.numpy())) > 1e-3
    assert (up - down) / (2 * step) == pytest.approx(float(slope @ along.numpy()), rel=1e-4)


class Closed(AcousticBackbone):
    """Features that no gradient gets through."""

    def _forward(self, clips: Sequence[Samples]) -> list[torch.Tensor]:
        return [frames.detach() for frames in super()._forward(clips)]


def test_a_front_end_that_stops_gradients_is_refused_and_may_judge() -> None:
    backbone = load_backbone("lfcc", device="cpu")
    clip = speech(0, 5000)
    assert np.abs(WhiteBox(backbone, probe_of(backbone, 0), Cropping()).slopes([clip])[0]).max() > 0
    backbone.__class__ = Closed
    with pytest.raises(
        ProbeError, match=r"no gradient gets through it to the waveform.*against=RUN"
    ):
        WhiteBox(backbone, probe_of(backbone, 0), Cropping()).slopes([clip])


def test_a_white_box_has_the_scores_of_the_judge_and_any_batch_the_same_attacks(
    place: Path,
) -> None:
    run = load(place / "wavlm.run")
    names = ("linear-layer-02", "weighted-sum+linear-depth-02")
    judge = Judge(run, [choose_head(run, name=name).head for name in names], Machine("cpu"))
    clips = {str(n): as_pcm(speech(n, 5000 + 1000 * n)) for n in range(3)}
    scores = judge.scores(clips, Smoothing())
    for k in range(2):
        white_box = judge.white_box(k)
        own = (
            white_box.scores([torch.from_numpy(as_waveform(x)) for x in clips.values()])
            .detach()
            .numpy()
        )
        np.testing.assert_allclose(own, [scores[name][k] for name in clips], atol=1e-4)
    bonafide = dict.fromkeys(clips, True)
    short = replace(PGD, steps=3)
    together = perturb(clips, bonafide, short, white_box.slopes)
    for name, x in clips.items():
        alone = perturb({name: x}, bonafide, short, white_box.slopes)[name]
        # a slope of about 0 may round to either side
        assert (together[name] != alone).mean() < 0.02
    assert (
        perturb({name: x}, bonafide, short, white_box.slopes, seed=1)[name] != alone
    ).mean() > 0.05
    after = judge.scores(together, Smoothing())
    assert all(after[name][1] < scores[name][1] for name in clips)


@pytest.mark.long
def test_the_command_attacks_judges_and_keeps(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [
        "--against",
        "moonshine.run",
        "--layers",
        "1",
        "--head",
        "weighted-sum+linear",
        "--eps",
        "8",
        "--steps",
        "3",
    ]
    more = [
        "--method",
        "pgd",
        "--clips",
        "4",
        "--smooth",
        "2",
        "--noise-snr",
        "30",
        "--keep",
        "kept",
        "--device",
        "cpu",
    ]
    assert probe(place, monkeypatch, "attack", "wavlm.run", *given, *more) == 0
    text = capsys.readouterr().out
    assert "On 2 bona fide and 2 spoofed eval clips" in text
    table = pd.read_csv("wavlm.attack/attack.csv", keep_default_na=False)
    clean = table["attack"] == "clean"
    # judges, attacked heads, ways of scoring
    assert (clean.sum(), (~clean).sum()) == (2 * 4, 2 * 4 * 2)
    white = table[(table["access"] == "white box") & (table["smooth"] == 0)]
    assert (white["judge_head"] == white["source_head"]).all()
    assert (white["loss_rise"] > 0).all()
    assert set(table.loc[table["judge"] == table["judge"].iloc[-1], "access"]) == {
        "",
        "other backbone",
    }
    for name in ("attack.png", "attack.svg", "attack-smoothed.png", "clips.csv", "finding.txt"):
        assert (place / "wavlm.attack" / name).stat().st_size
    kept = pd.read_csv("kept/manifest.csv", keep_default_na=False).set_index("utterance_id")
    assert len(kept) == 4 * (1 + 2)
    pcm = {
        name: soundfile.read(f"kept/{path}", dtype="int16")[0].astype(int)
        for name, path in kept["path"].items()
    }
    for name, x in pcm.items():
        change = np.abs(x - pcm[f"clean/{name.partition('a/')[1]}{name.partition('a/')[2]}"])
        assert change.max() == (0 if name.startswith("clean") else 8)
    head = "linear-layer-01"
    scored = ["wavlm.run", "--corpus", "kept/manifest.csv", "--head", head, "--out", "s.txt"]
    assert probe(place, monkeypatch, "score", *scored, "--smooth", "2", "--noise-snr", "30") == 0
    assert "the mean over 2 copies of the clip with white noise at 30 dB" in capsys.readouterr().err
    found = pd.read_csv("s.txt", sep=r"\s+", header=None).set_index(0)[3]
    loss = np.logaddexp(0, np.where(kept["label"] == "bonafide", -1, 1) * found[kept.index])
    by_attack = loss.groupby([kept["attacked"], kept["method"]]).mean()
    smoothed = table[
        (table["smooth"] == 2)
        & (table["judge"] == table["judge"].iloc[0])
        & (table["judge_head"] == head)
    ]
    for row in smoothed.to_dict("records"):
        assert row["loss"] == pytest.approx(by_attack[row["source_head"], row["attack"]], abs=1e-5)
    again = ["attack", "wavlm.run", "--layers", "99", "--keep", "kept"]
    assert probe(place, monkeypatch, *again) == 2
    assert "--layers 99" in capsys.readouterr().err  # clips of before may be replaced
    (place / "kept" / "mine.wav").touch()
    assert probe(place, monkeypatch, *again) == 2
    assert "--keep kept: holds mine.wav. Name a new" in capsys.readouterr().err


WRONG = {
    "--eps 0": "expected whole steps of 16-bit samples, 1 to 32767",
    "--eps 0.5": "expected whole numbers",
    "--method bim": "expected fgsm or pgd",
    "--layers 1,9": "wavlm.run: '9' is none of the layers 0:3. "
    "Expected numbers, or first, middle, last",
    "--method fgsm --step-size 1": "is of pgd, which is not among the methods",
    "--step-size 0": "expected more than 0",
    "--layers ,": "names no layer",
    "--head nothing": "has no such head",
    "--clips 1": "expected 2 or more",
    "--noise-snr 10": "Say how many, --smooth N",
    "--adaptive": "is of noised copies. Say how many: --smooth N",
    "--against wavlm.run": "is there twice",
    "--keep bad.attack": "is the folder of the tables",
    "--out wavlm.cache": "a cache",
    "--against c.csv": "c.csv: no run here",
    "--audio-root nowhere": "nowhere: the audio of",
    "--audio-root wavlm.run": "no such file, nor any other eval clip. Say where the audio is now: "
    "--audio-root DIR",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_said_and_nothing_written(
    wrong: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(place.iterdir())
    assert (
        probe(place, monkeypatch, "attack", "wavlm.run", "--out", "bad.attack", *wrong.split()) == 2
    )
    assert WRONG[wrong] in " ".join(capsys.readouterr().err.split())
    assert sorted(place.iterdir()) == before


def test_a_clip_that_eps_would_drown_is_left_out_and_said(place: Path) -> None:
    run = load(place / "wavlm.run")
    table = pd.read_csv(place / "c.csv").set_index("utterance_id").query("split == 'eval'")
    clips = {
        name: as_pcm(Cropping(0.8).apply(soundfile.read(place / path)[0]))
        for name, path in table["path"].items()
    }
    peaks = {name: int(np.abs(x.astype(int)).max()) for name, x in clips.items()}
    softest = min(peaks, key=lambda name: peaks[name])
    options = AttackOptions(("fgsm",), (peaks[softest],), clips=6, layers="0")
    found = attack_run(run, options=options, machine=Machine("cpu"))
    assert list(found.left_out) == [softest]
    assert f"its peak is {peaks[softest]} steps" in found.left_out[softest]
    assert set(found.trials["utterance_id"]) == set(peaks) - {softest}
    with pytest.raises(ProbeError, match="of the clips drawn, not both classes can be used"):
        attack_run(run, options=replace(options, eps=(32767,)), machine=Machine("cpu"))


def test_clips_are_written_into_no_corpus_of_somebody_else(place: Path, tmp_path: Path) -> None:
    options = AttackOptions(("fgsm",), (8,), clips=2, layers="0")
    found = attack_run(
        load(place / "wavlm.run"), options=options, machine=Machine("cpu"), keep=True
    )
    (tmp_path / "manifest.csv").write_text("path,label\nmine.wav,spoof\n")
    (tmp_path / "mine.wav").write_text("mine")
    with pytest.raises(ProbeError, match=r"holds manifest\.csv\. Name a new or an empty folder"):
        attacked_clips.write_clips(found, tmp_path)
    assert (tmp_path / "mine.wav").read_text() == "mine"
    for _ in range(2):
        assert attacked_clips.write_clips(found, tmp_path / "clips").is_file()


def test_as_many_clips_of_each_class_are_drawn_by_the_seed(place: Path) -> None:
    run = load(place / "wavlm.run")
    drawn = [drawn_trials([run], n, seed) for n, seed in ((4, 0), (4, 0), (64, 0), (5, 0))]
    assert [trials["label"].value_counts().to_dict() for trials in drawn] == [
        {"bonafide": n, "spoof": n} for n in (2, 2, 3, 2)
    ]
    assert (
        list(drawn[0]["utterance_id"])
        == list(drawn[1]["utterance_id"])
        == list(drawn[3]["utterance_id"])
    )
    others = {tuple(drawn_trials([run], 2, seed)["utterance_id"]) for seed in range(8)}
    assert len(others) > 1


def test_layers_are_named_by_numbers_and_words() -> None:
    assert chosen_layers("last,1,middle,1", range(6)) == [1, 3, 5]
    assert chosen_layers("first,middle,last", [0]) == [0]
    assert chosen_layers("first,middle,last", [0, 4, 8, 12]) == [4, 8, 12]
    with pytest.raises(OptionError, match="'1' is none of the layers 0,4,8"):
        chosen_layers("1", [0, 4, 8])


def test_a_smoothed_score_is_the_mean_of_those_of_noised_copies(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    paths = sorted((place / "audio").iterdir())[:3]
    smoothing = Smoothing(3, 20.0)
    expected = []
    for path in paths:
        waveform = Cropping(0.8).apply(soundfile.read(path, dtype="float32")[0])
        singles = [smoothing.noised(waveform, number) for number in range(3)]
        for number, single in enumerate(singles):
            noise = single.astype(np.float64) - waveform
            assert 10 * np.log10(
                (waveform.astype(np.float64) ** 2).sum() / (noise**2).sum()
            ) == pytest.approx(20, abs=0.01)
            soundfile.write(tmp_path / f"{number}.wav", single, 16000, subtype="FLOAT")
        files = [str(tmp_path / f"{number}.wav") for number in range(3)]
        assert (
            probe(
                place,
                monkeypatch,
                "score",
                "wavlm.run",
                *files,
                "--head",
                "linear-layer-02",
                "--json",
            )
            == 0
        )
        expected.append(
            np.mean([clip["score"] for clip in json.loads(capsys.readouterr().out)["clips"]])
        )
    for order in (paths, paths[::-1]):
        given = ["--head", "linear-layer-02", "--smooth", "3", "--noise-snr", "20", "--json"]
        assert probe(place, monkeypatch, "score", "wavlm.run", *map(str, order), *given) == 0
        said = json.loads(capsys.readouterr().out)
        scores = {clip["file"]: clip["score"] for clip in said["clips"]}
        np.testing.assert_allclose([scores[str(path)] for path in paths], expected, atol=1e-4)
        assert said["smoothing"] == {"copies": 3, "noise": "white", "snr_db": 20.0, "seed": 0}
        assert any("the mean over 3 copies" in note for note in said["notes"])


def test_a_cache_has_no_audio_to_put_noise_on(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert probe(place, monkeypatch, "score", "wavlm.run", "wavlm.cache", "--smooth", "2") == 2
    assert "--smooth 2: noise is added to audio, and wavlm.cache is a cache" in " ".join(
        capsys.readouterr().err.split()
    )
    assert probe(place, monkeypatch, "score", "wavlm.run", "audio", "--noise-snr", "2") == 2
    assert "is of noised copies. Say how many, --smooth N" in " ".join(
        capsys.readouterr().err.split()
    )

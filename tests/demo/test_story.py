"""`probe demo`: three backbones over a part of the demo, one report, and what it says if something
is there or not.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hand_made import write_cache
from planted import plant
from small_extraction import quiet, run_cli

import analysis
from analysis.commands.demo import tell
from analysis.demo import BACKBONES, Story, early_layers, learning, part, run, sentences
from analysis.runs.loading import Runs, load_many
from cache import Cache, ProbeError
from probing.corpora import load_corpus
from probing.extraction import Options
from probing.runs import Run
from probing.runs.simultaneous import layer_gains
from probing.sweep import DepthOptions, SweepOptions, sweep

SMALL = SweepOptions(
    strengths=(0.1,), control_seeds=(), resamples=100, depths=DepthOptions(heads=())
)
HEADS = replace(
    SMALL,
    margin="10pt",
    depths=DepthOptions(heads=("mean+linear",), seeds=(0,), epochs=10, weight_decays=(0.1,)),
)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("story") / "results"
    return Story(folder, clips=4, extraction=Options(seconds=0.25, layers="0:1"), sweep=SMALL)


@pytest.fixture(scope="module")
def first(story: Story) -> tuple[str, str]:
    """What goes to standard output and to standard error."""
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        tell(story, "cpu")
    return out.getvalue(), err.getvalue()


def test_three_backbones_are_swept_on_the_same_part_and_told_in_three_sentences(
    story: Story, first: tuple[str, str]
) -> None:
    out, err = first
    runs = load_many([story.folder / f"{name}-4.run" for name in BACKBONES])
    assert [run.record["about"]["random_weights"] for run in runs] == [False, True, False]
    assert [
        Cache(story.folder / f"{name}-4.cache").about["options"]["backbone"] for name in BACKBONES
    ] == [
        "embedded",
        "random:embedded",
        "moonshine",
    ]
    assert all(run.record.counts["eval"] == {"bonafide": 4, "spoof": 4} for run in runs)
    assert "A part of the demo: 24 clips, at most 4 of each split and class." in err
    told = sentences(analysis.compare(runs))
    assert len(told) == 3
    for number, sentence in enumerate(told, 1):
        assert f"{number}. {sentence}" in out
        assert re.match(r"(Found|Not shown): .*\(.*paired.*\)\.$", sentence)
    assert Path(re.search(r"Picture: (\S+)", out).group(1)).read_bytes().startswith(b"\x89PNG")  # type: ignore[union-attr]


def test_one_report_has_all_three(story: Story, first: tuple[str, str]) -> None:
    page = (story.folder / "demo-4.html").read_text(encoding="utf-8")
    for name in (
        "embedded WavLM 12x192",
        "random weights: embedded WavLM 12x192",
        "Moonshine tiny encoder 6x288",
    ):
        assert re.search(rf"<h[12][^>]*>{name}", page)


def test_the_second_time_nothing_is_run_again(story: Story, first: tuple[str, str]) -> None:
    records = {path: path.read_bytes() for path in story.folder.glob("*/*.json")}
    said: list[str] = []
    runs = run(story, device="cpu", say=said.append)
    assert said.count("Nothing to do: every utterance is in the cache.") == 3
    assert [text for text in said if "is that sweep" in text] == [
        f"Nothing to do: {run.folder} is that sweep." for run in runs
    ]
    assert {path: path.read_bytes() for path in story.folder.glob("*/*.json")} == records


def test_a_run_made_another_way_is_not_replaced_unless_asked_for(
    story: Story, first: tuple[str, str]
) -> None:
    other = replace(story, sweep=replace(SMALL, resamples=101))
    with pytest.raises(ProbeError, match="made with other options"):
        run(other, device="cpu", say=quiet)
    assert Run(story.folder / "demo-4.run").record.options.resamples == 100


def test_a_folder_that_is_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_cache(tmp_path / "hand.cache")
    assert run_cli(["demo", "--out", str(tmp_path / "hand.cache")], monkeypatch) == 2
    assert f"--out {tmp_path / 'hand.cache'}: is a cache" in capsys.readouterr().err


def test_a_part_of_the_demo_takes_speakers_in_turn_whatever_the_order_of_its_rows() -> None:
    demo = load_corpus("demo")
    some = part(demo, 12)
    assert set(some.utterances.groupby(["split", "label"]).size()) == {12}
    for name, rows in some.utterances.groupby(["split", "label"]):
        there = demo.utterances.set_index(["split", "label"]).loc[[name], "speaker"].nunique()
        assert rows["speaker"].nunique() == min(12, there), name
    backwards = replace(demo, utterances=demo.utterances[::-1])
    assert set(part(backwards, 12).utterances["utterance_id"]) == set(
        some.utterances["utterance_id"]
    )
    assert len(part(demo, 10_000)) == len(demo)


def swept(
    folder: Path, name: str, options: SweepOptions, separation: tuple[float, ...], **how: object
) -> Run:
    cache = write_cache(folder / f"{name}.cache", separation=separation, name=name, **how)  # type: ignore[arg-type]
    return sweep(cache, folder / f"{name}.run", options, say=quiet)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Runs, Runs]:
    """Runs of caches whose layers are known: early ones carry the classes, and none does; each with
    its random twin.
    """
    folder = tmp_path_factory.mktemp("planted")
    learned = swept(folder, "learned", HEADS, (0.0, 3.0, 3.0, 0.0))
    later = swept(folder, "later", HEADS, (0.0, 0.0, 0.0, 3.0), seed=3, made="later")
    nothing = swept(folder, "nothing", HEADS, (0.0, 0.0, 0.0, 0.0), seed=2, made="nothing")
    random = swept(
        folder, "random", SMALL, (0.0,) * 4, seed=1, made="at random", random_weights=True
    )
    return load_many([learned, random, later]), load_many([nothing, random])


def test_what_was_learned_is_found_with_its_paired_interval(planted: tuple[Runs, Runs]) -> None:
    learned, random, later = planted[0]
    gains = 100 * layer_gains(learned, random)
    most = gains["gain"].idxmax()
    value, low, high = gains.loc[most]
    said = learning([learned], random)
    assert said == (
        "Found: layers 1..2 of 3 of learned tell spoofs better than chance; layers 1..2 of 3 of "
        f"learned gain by learning, by up to {value:.1f} points of EER over random weights "
        f"[{low:.1f}, {high:.1f}], at layer {most}; not shown: that any layer of random tells "
        "them better than chance (95 % for all layers of a run at once, gains paired)."
    )
    told = sentences(analysis.compare([learned, random, later]))
    assert "layer 3 of 3 of later tells spoofs better than chance" in told[0]
    assert told[2].startswith("Found: ")


def test_early_layers_that_are_better_and_enough_are_found_with_their_paired_intervals(
    tmp_path: Path,
) -> None:
    cache = plant(tmp_path / "early.cache", {1: 4.0}, n_layers=2, correlation=0.0)
    run = analysis.load(sweep(cache, tmp_path / "early.run", HEADS, say=quiet))
    said = early_layers([run])
    difference, depth = run.record.finding.difference, run.record.depth_finding
    value, low, high = (100 * end for end in (difference.value, difference.low, difference.high))
    assert (
        "layer 1 of 2 of planted, chosen on dev, is better than the last, which has "
        f"{value:.1f} points more [{low:.1f}, {high:.1f}]"
    ) in said
    assert depth is not None
    assert depth.excess is not None
    assert depth.bound is not None
    assert depth.excess.value <= 0
    value, low, high = (
        -100 * end for end in (depth.excess.value, depth.excess.high, depth.excess.low)
    )
    assert (
        "Found: the first 1 of 2 layers of planted are not worse than all of them within 10 "
        f"points of EER (mean+linear: {value:.1f} points less [{low:.1f}, {high:.1f}]; at most "
        f"{100 * depth.bound:+.1f} points, one-sided)"
    ) in said
    assert "not shown" not in said


def test_what_is_not_there_is_not_found(planted: tuple[Runs, Runs]) -> None:
    nothing, random = planted[1]
    told = sentences(analysis.compare([nothing, random]))
    assert [sentence.partition(":")[0] for sentence in told] == ["Not shown"] * 3
    assert "that any layer of nothing tells them better than chance" in told[0]
    assert re.search(
        r"that nothing gains by learning, by up to \d+\.\d points of EER over random weights \[-\d",
        told[0],
    )


def test_a_loss_by_learning_is_said_without_a_negative_gain(
    planted: tuple[Runs, Runs], tmp_path: Path
) -> None:
    nothing = planted[1][0]
    better = swept(tmp_path, "better", SMALL, (3.0, 3.0, 3.0, 3.0), seed=1, random_weights=True)
    gains = 100 * layer_gains(nothing, analysis.load(better))
    most = gains["gain"].idxmax()
    value, low, high = -gains.loc[most]
    assert value > 0
    assert (
        "that nothing gains by learning, as random weights are better at every layer, by "
        f"{value:.1f} points of EER or more [{high:.1f}, {low:.1f}, at layer {most}]"
    ) in learning([nothing], analysis.load(better))


def test_a_last_layer_that_is_best_is_no_finding_on_early_ones(planted: tuple[Runs, Runs]) -> None:
    later = planted[0][2]
    assert later.record.finding.layer == 3
    said = early_layers([later])
    assert (
        "that a layer of later before the last, which is the one chosen on dev, is better" in said
    )
    assert "that fewer than 3 layers of later are enough" in said
    assert "Found" not in said


@pytest.mark.long
def test_the_command_itself_goes_on_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "demo",
        "--clips",
        "4",
        "--seeds",
        "1",
        "--resamples",
        "100",
        "--out",
        str(tmp_path / "new"),
    ]
    assert run_cli(arguments, monkeypatch) == 0
    out = capsys.readouterr().out
    assert Run(tmp_path / "new" / "moonshine-4.run").record.options.head_seeds == (0,)
    assert run_cli([*arguments, "--json"], monkeypatch) == 0
    found = json.loads(capsys.readouterr().out)
    assert {*found} == {"sentences", "runs", "report", "picture"}
    assert all(sentence in out for sentence in found["sentences"])

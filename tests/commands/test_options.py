"""Options are declared once: flags, checks and the commands of a report follow the fields of the
dataclasses.
"""

import pickle
import subprocess
import sys
from dataclasses import asdict, fields, replace
from inspect import signature

import pytest
import typer
from changed_options import CHANGED
from typer.testing import CliRunner

from analysis.commands.calibrate import Systems
from analysis.commands.compare import Compared
from analysis.commands.exits import ExitOptions
from analysis.commands.features import Classes, Features
from analysis.commands.interruption import InterruptibleGroup
from analysis.commands.parameters import with_options
from analysis.commands.plot import Drawn, Paper
from analysis.commands.similarity import Measure
from analysis.commands.transfer import ScoreKinds
from analysis.controls import description_length
from analysis.runs.comparison import compare
from analysis.runs.rerun import flags_of
from analysis.similarity import cka, pwcca
from analysis.transferability import transfer_scores
from cache import ProbeError
from cache.errors import OptionError, argument
from probing.exits import find_exits
from probing.extraction import Cluster, Machine, Options
from probing.options import Option, options_of, whole_numbers, write_whole
from probing.sweep import DepthOptions, SweepOptions
from probing.tuning import TuneMachine, TuneOptions


def read_back(kind: type, words: list[str]) -> object:
    """What a command is given that has the options of `kind` and was typed so."""
    found: list[object] = []

    def command(options: object) -> None:
        found.append(options)

    command.__annotations__ = {"options": kind, "return": None}
    app = typer.Typer(cls=InterruptibleGroup)
    app.command("one")(with_options(command))
    app.command("other")(lambda: None)
    result = CliRunner().invoke(app, ["one", *words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return found[0]


@pytest.mark.parametrize(
    "kind", [Options, Machine, Cluster, SweepOptions, TuneOptions, TuneMachine]
)
def test_what_is_not_typed_has_the_default_of_python(kind: type) -> None:
    assert read_back(kind, []) == kind()


@pytest.mark.parametrize("options", CHANGED, ids=lambda options: type(options).__name__)
def test_the_flags_of_a_record_are_read_back_as_the_same_options(options: object) -> None:
    values = {field.name: getattr(options, field.name) for field in fields(options)}
    words = [word for pair in flags_of(type(options), values) for word in pair]
    if isinstance(options, SweepOptions):
        inner = {
            field.name: getattr(options.depths, field.name) for field in fields(options.depths)
        }
        words += [word for pair in flags_of(DepthOptions, inner) for word in pair]
    assert read_back(type(options), words) == options


def test_an_option_at_fault_is_named_as_it_was_given() -> None:
    with pytest.raises(OptionError) as in_python:
        Options(max_seconds=0.01)
    assert (in_python.value.field, in_python.value.value) == ("max_seconds", 0.01)
    assert str(in_python.value) == "max_seconds=0.01: expected 0.05 to 3600"
    with pytest.raises(OptionError) as typed:
        read_back(Options, ["--max-seconds", "0.01"])
    assert str(typed.value) == "--max-seconds 0.01: expected 0.05 to 3600"


@pytest.mark.parametrize(
    ("kind", "words", "message"),
    [
        (
            SweepOptions,
            ["--eval", "a", "--strengths", "0.1,x"],
            "--strengths 0.1,x: expected numbers with commas",
        ),
        (
            SweepOptions,
            ["--depths", "6:3"],
            "--depths 6:3: expected whole numbers or ranges, as 1,2,4 or 0:12",
        ),
        (SweepOptions, ["--seeds", "0"], "--seeds 0: expected one or more"),
        (
            SweepOptions,
            ["--seeds", "-1"],
            "--seeds -1: expected how many, as 3, or which, as 0:4 or 0,3,6",
        ),
        (
            SweepOptions,
            ["--heads", "mean+lstm"],
            "--heads mean+lstm: lstm needs every frame. Type --tier frames, or",
        ),
        (SweepOptions, ["--tier", "words"], "--tier words: expected pooled or frames"),
        (Machine, ["--batch-size", "0"], "--batch-size 0: expected 1 or more"),
        (Machine, ["--memory-gb", "0"], "--memory-gb 0: expected more than 0"),
        (Options, ["--layers", "1:x"], "--layers 1:x: expected ranges or numbers, as 0:12 or 0,12"),
        (Options, ["--normalize", "maybe"], "--normalize maybe: expected auto, on or off"),
        (Cluster, ["--actors", "0"], "--actors 0: expected 1 or more"),
        (Measure, ["--variance", "3"], "--variance 3: expected a share above 0 and up to 1"),
        (Measure, ["--target", "mel,x"], "--target mel,x: x: expected mel, speaker, attack, label"),
        (Measure, ["--target", "nope"], "--target nope: expected mel, speaker, attack, label"),
        (Measure, ["--target", ","], "--target ,: expected mel, speaker, attack, label"),
        (Measure, ["--target", "mel"], "--target mel: is for --measure cca. Leave it out"),
        (Measure, ["--variance", "0.5"], "--variance 0.5: is for --measure pwcca. Leave it out"),
        (Measure, ["--measure", "cosine"], "--measure cosine: expected cka, pwcca or cca"),
        (ScoreKinds, ["--scores", "x"], "--scores x: expected some of logme, h_score, transrate"),
        (Systems, ["--prior", "2"], "--prior 2: expected the probability of bona fide, between 0"),
        (Paper, ["--style", "poster"], "--style poster: expected screen or paper"),
        (Drawn, ["--split", "train"], "--split train: expected dev or eval"),
        (ExitOptions, ["--confidence", "x"], "--confidence x: expected probability, entropy or"),
    ],
)
def test_a_wrong_option_is_refused_with_its_flag(
    kind: type, words: list[str], message: str
) -> None:
    with pytest.raises(OptionError) as refused:
        read_back(kind, words)
    assert str(refused.value).startswith(message)


def test_an_error_is_the_same_after_a_journey_to_another_process() -> None:
    for error in (
        OptionError("seconds", 0.01, "expected 0.05 to 3600"),
        ProbeError(f"Use {argument('split', 'dev')}"),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.field) == (type(error), str(error), error.field)


def test_every_option_of_a_command_has_a_help_line() -> None:
    for kind in (Options, Machine, Cluster, DepthOptions, SweepOptions, TuneOptions, TuneMachine):
        told: dict[str, Option] = options_of(kind)
        assert all(option.help for option in told.values() if option.on_command_line)
        assert set(told) | {"depths", "target"} >= {field.name for field in fields(kind)}


def test_options_are_read_and_checked_without_pytorch() -> None:
    code = (
        "import sys, analysis.commands.app, probing.extraction, probing.sweep, probing.runs, "
        "probing.tuning\nprobing.sweep.SweepOptions(); probing.extraction.Options(); "
        "probing.tuning.TuneOptions()\nprint([name for name in ('torch', 'transformers', "
        "'sklearn', 'scipy.stats', 'ray') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("0:3", (0, 1, 2, 3)), ("3,6", (3, 6)), ("5", (5,)), ("7,1:3", (7, 1, 2, 3))],
)
def test_ranges_are_read_with_both_ends_and_written_the_shorter_way(
    text: str, numbers: tuple[int, ...]
) -> None:
    assert whole_numbers(text) == numbers
    assert whole_numbers(write_whole(numbers)) == numbers


def test_options_stay_frozen_and_are_checked_when_changed() -> None:
    with pytest.raises(OptionError, match="resamples=5: expected 100 or more"):
        replace(SweepOptions(), resamples=5)


def test_a_command_has_the_defaults_of_its_function() -> None:
    for options, function, others in (
        (ExitOptions(), find_exits, {"margin"}),  # typed as text
        (Compared(), compare, set()),
        (Classes(), description_length, {"split"}),
        (Features(), cka, set()),
        (Features(), description_length, {"where", "tier"}),
        (Features(), transfer_scores, {"where"}),
        (Measure(), pwcca, {"measure", "target"}),
    ):
        parameters = signature(function).parameters
        for name, value in asdict(options).items():
            if name not in others:
                assert value == parameters[name].default, f"{function.__name__}: {name}"
    scores = signature(transfer_scores).parameters["scores"].default
    assert ScoreKinds().scores == tuple(scores)

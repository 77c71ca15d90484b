"""Names that others wrote are shown as they are: on the terminal, in figures, in the report."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hand_made import write_cache
from matplotlib.text import Text
from rich.table import Table
from small_extraction import run_cli

from analysis.plots.axes import new_axes
from analysis.plots.conditions import condition_map
from analysis.plots.det import det_curves
from analysis.plots.saving import figure_of, save_figure
from analysis.reports.report import condition_table, save_report
from analysis.runs.loading import load
from cache import Cache
from probing.console import PlainConsole, visible
from probing.progress import ProgressLine, progress_line, status_line
from probing.runs import Run
from probing.runs.condition_names import condition_name, condition_values
from probing.sweep import DepthOptions, SweepOptions, sweep

NAMES = [
    "[/red]",
    "[x]",
    "\x1b[31mred\x1b[0m",
    "a, b",
    'c="d", e',
    "$a_1$ $b$",
    "_low",
    "<b>&",
    ":cat:",
    "\u202eab",
    "[/]",
]


def test_a_console_shows_markup_and_control_characters() -> None:
    stream = io.StringIO()
    console = PlainConsole(file=stream, width=200)
    table = Table(title="[b]t[/b]", box=None)
    table.add_column("[x]")
    for name in NAMES:
        console.print(name, style="red")
        table.add_row(name)
    console.print(table)
    shown = stream.getvalue()
    assert all(shown.count(visible(name)) >= 2 for name in NAMES)
    assert "[b]t[/b]" in shown
    assert not set(shown) & {"\x1b", "\u202e"}


def test_a_console_shows_what_its_stream_cannot_carry() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    PlainConsole(file=stream).print("é\udcff")
    stream.flush()
    assert stream.buffer.getvalue() == b"\\xe9\\udcff\n"


def test_progress_shows_names_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    console = PlainConsole(file=stream, force_terminal=True, width=100, color_system=None)
    monkeypatch.setattr("probing.progress.console", console)
    line = ProgressLine("EER by [/red]\x1b[2J", 2, "layers")
    line.advance(1, "[/x]\x07")
    line._bar.refresh()
    line.close()
    assert "EER by [/red]\\x1b[2J" in stream.getvalue()
    assert "[/x]\\x07" in stream.getvalue()
    assert "\x07" not in stream.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_evaluate_prints_attacks_as_they_are(
    tmp_path: Path, monkeypatch, capsys, name: str
) -> None:
    scores = np.random.default_rng(0).normal(size=40)
    table = pd.DataFrame({"utterance_id": [f"u{i}" for i in range(40)], "score": scores})
    table["label"], table["attack"] = ["bonafide", "spoof"] * 20, ["-", name, "-", "A07"] * 10
    table["speaker"] = name
    table.to_csv(tmp_path / "s.csv", index=False)
    words = [
        "evaluate",
        str(tmp_path / "s.csv"),
        "--by",
        "attack",
        "--resamples",
        "100",
        "--interval-by",
        "utterance",
    ]
    assert run_cli([*words, "--out", str(tmp_path / "out")], monkeypatch) == 0
    shown = capsys.readouterr().out
    assert visible(name) in shown
    assert not set(shown) & {"\x1b", "\u202e"}
    assert pd.read_csv(tmp_path / "out" / "evaluation.csv")["attack"].tolist().count(name) == 1
    assert run_cli(["evaluate", str(tmp_path / "s.csv"), "--by", name], monkeypatch) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES)
def test_figures_show_names_as_they_are(tmp_path: Path, name: str) -> None:
    rows = pd.DataFrame({"label": ["bonafide", "spoof"] * 5, "score": np.arange(10.0)})
    ax = det_curves({name: rows}, new_axes(), name)
    save_figure(ax, tmp_path / "d.svg")
    legend = ax.get_legend().get_texts()[0]
    assert legend.get_text().replace(r"\$", "$").lstrip().startswith(visible(name))
    assert not any(
        text._preprocess_math(text.get_text())[1]
        for text in figure_of(ax).findobj(Text)
        if name in NAMES[5:6]
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    def foreign(table: pd.DataFrame) -> pd.DataFrame:
        numbers = np.arange(len(table)) // 2 % 3
        attack = np.array(NAMES[3:6])[numbers]
        return table.assign(
            attack=np.where(table["label"] == "spoof", attack, "-"),
            codec=np.array(["a, b", "c", "d=e"])[numbers],
        )

    folder = tmp_path_factory.mktemp("foreign")
    cache = write_cache(folder / "c.cache", change=foreign, name="[x] <i>$a_1$</i>")
    options = SweepOptions(
        strengths=(0.1,),
        control_seeds=(),
        resamples=100,
        depths=DepthOptions(heads=()),
        by=("attack", "codec"),
        unseen_attacks=True,
    )
    return sweep(cache, folder / "c.run", options, say=lambda text: None)


def test_conditions_with_commas_are_in_frames_maps_and_tables(run: Run) -> None:
    found = load(run).by("attack")
    assert sorted(found["condition"].unique()) == sorted(["pooled", *NAMES[3:6]])
    assert sorted(load(run).by("codec")["condition"].unique()) == ["a, b", "c", "d=e", "pooled"]
    assert (found.groupby("condition")["n_spoof"].first().drop("pooled") == 10).all()
    names = [text.get_text().replace(r"\$", "$") for text in condition_map(run).get_yticklabels()]
    assert all(any(text.startswith(name) for text in names) for name in NAMES[3:6])
    table = condition_table(run, "unseen-attack", "eval", run.corpora[0])
    assert sorted(table.index) == sorted(NAMES[3:6])


def test_conditions_of_older_runs_are_read_as_they_were_written(run: Run) -> None:
    def as_written(name: str) -> str:
        return (
            ",".join(
                f"{key}={value}"
                for key, value in condition_values(name, ["attack", "codec"]).items()
            )
            or name
        )

    older = load(run.folder)
    older.results = older.results.assign(condition=older.results["condition"].map(as_written))
    counts = older.record["conditions"][older.corpus]
    older.record["conditions"] = {older.corpus: {as_written(name): n for name, n in counts.items()}}
    assert {"a, b", "c", "d=e"} <= set(older.by("codec")["condition"])
    assert set(NAMES[3:6]) <= set(older.by("attack")["condition"])


@pytest.mark.parametrize("value", NAMES)
def test_names_of_conditions_come_back(value: str) -> None:
    for given in (
        {"attack": value},
        {"attack": value, "codec": value},
        {"codec": "x", "attack": value},
    ):
        assert condition_values(condition_name(given), ["attack", "codec"]) == given
    assert condition_values("all", ["attack"]) == {}
    assert condition_values("attack=A07", ["codec"]) == {}


def test_the_report_holds_names_as_text(run: Run, tmp_path: Path) -> None:
    page = Path(save_report(run, tmp_path / "r.html")).read_text()
    assert "[x] &lt;i&gt;$a_1$&lt;/i&gt;" in page
    assert "<i>" not in page


def test_the_cache_keeps_foreign_names(run: Run) -> None:
    assert set(Cache(run.record["cache_folder"]).utterances["attack"]) == {"-", *NAMES[3:6]}


def test_a_status_is_on_terminals_only_and_makes_room_for_bars(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for terminal in (True, False):
        stream = io.StringIO()
        console = PlainConsole(file=stream, force_terminal=terminal, width=100, color_system=None)
        monkeypatch.setattr("probing.progress.console", console)
        nested = (
            status_line("Writing the report"),
            status_line("Drawing"),
            progress_line("Reading", 2, "layers"),
        )
        with nested[0], nested[1], nested[2] as line:
            line.advance(1)
            console.print("a remark")
        shown = stream.getvalue()
        assert ("Drawing ..." in shown and "Reading" in shown) == terminal
        assert "a remark\n" in shown
        assert terminal or shown == "a remark\n"

"""Tables as LaTeX, Markdown and csv, of figures and of commands."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hand_made import write_cache
from typer.testing import CliRunner

import analysis
from analysis.commands.app import app
from analysis.plots.kinds import PLOTS, Plot
from analysis.tables import as_latex, as_markdown, save_table, with_intervals
from cache import ProbeError
from probing.evaluation import evaluate
from probing.runs import Run
from probing.sweep import DepthOptions, SweepOptions, sweep
from probing.targets.metrics import METRICS

FOREIGN = r"a_b & 50 % #1 $x$ {y} ~^\ <i> |*| [1] `q` " + '"z"\x1b[2J'


def command(*words: object) -> str:
    found = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def unescaped(tex: str) -> str:
    """What LaTeX sets, of the commands that a table is written with."""
    for command_of, letter in (
        (r"\textbackslash{}", "\0"),
        (r"\textasciitilde{}", "~"),
        (r"\textasciicircum{}", "^"),
        (r"\textasciigrave{}", "`"),
        (r"\textless{}", "<"),
        (r"\textgreater{}", ">"),
        (r"\textbar{}", "|"),
        ("{*}", "*"),
        ("{[}", "["),
        ("''", '"'),
    ):
        tex = tex.replace(command_of, letter)
    return re.sub(r"\\([{}&%$#_])", r"\1", tex).replace("\0", "\\")


def test_every_letter_of_a_name_is_escaped_in_latex_and_in_markdown() -> None:
    table = pd.DataFrame({FOREIGN: [FOREIGN], "n": [1]})
    row = next(
        line
        for line in as_latex(table).splitlines()
        if line.startswith("a") and not line.startswith("% ")
    )
    bare = re.sub(r"\\(?:text\w+\{\}|[{}&%$#_])|\{[*[]\}", "", row.removesuffix(r" \\"))
    assert not re.search(r"[\\&%$#_~^{}]", bare.replace(" & ", "", 1))
    assert unescaped(row.removesuffix(r" & n \\")) == FOREIGN.replace("\x1b", r"\x1b")
    lines = as_markdown(table).splitlines()
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 3 for line in lines)
    assert "<i>" not in "".join(lines)


def test_a_row_that_begins_with_a_bracket_or_a_star_is_no_option_of_the_line_before() -> None:
    tex = as_latex(pd.DataFrame({"layer": ["* 6", "[7"], "x": ["a", "b"]}))
    assert not re.search(r"\\\\\s*[*\[]", tex)
    assert [line.split(" & ")[0] for line in tex.splitlines() if line.endswith(r"\\")] == [
        "layer",
        "{*} 6",
        "{[}7",
    ]


def test_a_minus_is_set_as_one_in_numbers_and_stays_a_hyphen_in_names() -> None:
    tex = as_latex(pd.DataFrame({"head": ["mean-2"], "by": ["-0.3 [-1.0, 0.2]"]}))
    assert r"mean-2 & $-$0.3 {[}$-$1.0, 0.2] \\" in tex
    assert r"\begin{tabular}{lr}" in tex


def test_letters_that_pdflatex_does_not_know_are_said_in_a_comment() -> None:
    assert "XeLaTeX" in as_latex(pd.DataFrame({"attack": ["音声"]}))
    assert "XeLaTeX" not in as_latex(pd.DataFrame({"attack": ["é R² – …"]}))


def test_a_wide_table_has_its_heads_in_lines_smaller_letters_and_no_empty_columns() -> None:
    names = [f"voiceless_fricative {i} & more" for i in range(9)]
    narrow = pd.DataFrame({name: [1.5, 20.25] for name in names[:2]})
    wide = pd.DataFrame(
        {"backbone": ["a" * 30, "b"], **{name: [1.5, 20.25] for name in names}, "no_one": ["", ""]}
    )
    assert r"voiceless\_fricative 0 \& more & voiceless" in as_latex(narrow)
    tex = as_latex(wide)
    assert "% Columns without any value are left out: no_one" in tex
    assert r"\begin{tabular}{lrrrrrrrrr}" in tex
    assert r"\begin{tabular}[b]{@{}r@{}}voiceless\_fricative \\ 0 \& more\end{tabular}" in tex
    assert re.search(r"\\begingroup\\\w+\\setlength\{\\tabcolsep\}\{4pt\}\n\\begin\{tabular\}", tex)
    assert tex.endswith("\\end{tabular}\n\\endgroup\n")
    assert "inches wide" in as_latex(pd.concat([wide, wide.add_suffix("x")], axis=1))
    assert "60 rows, more than a page holds" in as_latex(pd.concat([narrow] * 30))


def test_numbers_of_a_column_have_as_many_digits_and_small_ones_keep_theirs() -> None:
    table = pd.DataFrame(
        {"computed": [24.87, 31.7, 100.0], "C": [1e-5, 0.1, 1.0], "layer": [1, 2, 3]}
    )
    table["cost"] = ["1.2", "not measured", ""]
    assert with_intervals(table).iloc[:, :2].to_numpy().tolist() == [
        ["24.9", "1e-05"],
        ["31.7", "0.1"],
        ["100.0", "1"],
    ]
    tex = as_latex(table)
    assert r"\begin{tabular}{rrrr}" in tex
    assert r"24.9 & $10^{-5}$ & 1 & 1.2 \\" in tex
    assert r"$3 \times 10^{-5}$" in as_latex(pd.DataFrame({"C": [3e-5]}))
    assert "| 24.9 | 1e-05 | 1 | 1.2 |" in as_markdown(table)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs LaTeX")
def test_latex_sets_every_letter_with_booktabs_alone(tmp_path: Path) -> None:
    figures = {f"n_{i} {FOREIGN[:12]}": [1e-5, 2.0] for i in range(12)}
    foreign = pd.DataFrame({FOREIGN: [FOREIGN, "[1] * é ²"], **figures})
    (tmp_path / "t.tex").write_text(
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
        + as_latex(foreign, FOREIGN)
        + as_latex(pd.DataFrame({"head": ["a_b"], "EER (%)": ["-0.3 [-1.0, 0.2]"]}))
        + "\\end{document}\n",
        encoding="utf-8",
    )
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    found = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False
    )
    assert found.returncode == 0, found.stdout[-2000:]
    assert "Missing character" not in found.stdout


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs LaTeX")
def test_a_table_of_evaluate_is_no_wider_than_a_line_of_an_article(tmp_path: Path) -> None:
    rows = [
        f"u{i} {'-' if i % 3 == 0 else f'A{7 + i % 4:02d}'} {'spoof' if i % 3 else 'bonafide'} "
        f"{np.sin(i) + (i % 3 == 0):.4f}"
        for i in range(300)
    ]
    (tmp_path / "s.txt").write_text("\n".join(rows) + "\n")
    table = tmp_path / "table.tex"
    command("evaluate", tmp_path / "s.txt", "--by", "attack", "--resamples", 100, "--tex", table)
    (tmp_path / "t.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
        "\\newsavebox{\\whole}\\sbox{\\whole}{\\input{table.tex}}\n"
        "\\ifdim\\wd\\whole>\\textwidth\\errmessage{too wide}\\fi\n"
        "\\ifdim\\wd\\whole<10pt\\errmessage{nothing}\\fi\\end{document}\n"
    )
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-1000:]


def test_columns_without_a_value_are_left_out_and_dollars_are_no_formula() -> None:
    table = pd.DataFrame({"attack": ["$A$", "A2"], "t-DCF": ["", ""], "EER": [1.5, np.nan]})
    assert as_markdown(table) == ("| attack | EER |\n|---|---:|\n| \\$A\\$ | 1.5 |\n| A2 |  |\n")
    assert as_markdown(table[["t-DCF"]]) == "| t-DCF |\n|---|\n|  |\n|  |\n"


def test_figures_stand_with_their_intervals_and_no_zero_is_negative() -> None:
    table = pd.DataFrame(
        {
            "eer %": [35.44, -0.01],
            "eer low %": [1.0, -4.0],
            "eer high %": [50.0, 3.0],
            "a_dcf": [0.1, np.nan],
        }
        | {"a_dcf_low": [0.05, np.nan], "a_dcf_high": [0.2, np.nan], "n": [3, 4]}
    )
    shown = with_intervals(table)
    assert list(shown) == ["eer %", "a_dcf", "n"]
    assert shown.to_numpy().tolist() == [
        ["35.4 [1.0, 50.0]", "0.100 [0.050, 0.200]", "3"],
        ["0.0 [-4.0, 3.0]", "", "4"],
    ]


def test_a_table_is_written_whole_and_every_digit_is_in_the_csv(run: Run, tmp_path: Path) -> None:
    table = analysis.load(run).layers
    again = pd.read_csv(save_table(table, tmp_path / "layers.csv"))
    pd.testing.assert_frame_equal(
        again.astype(float, errors="ignore"),
        table.astype(float, errors="ignore"),
        check_dtype=False,
    )
    assert (
        save_table(table, tmp_path / "layers.md", "of layers")
        .read_text()
        .startswith("of layers\n\n| split |")
    )
    with pytest.raises(ProbeError, match=r"expected a name that ends in \.csv, \.tex, \.md"):
        save_table(table, tmp_path / "layers.xls")


@pytest.mark.parametrize(
    "kind",
    ["layers", "corpora", "depths", "gates", "weights", "ablation", "conditions", "det", "exits"],
)
def test_every_figure_has_a_table_of_what_it_shows(kind: str, run: Run) -> None:
    table = PLOTS[kind].numbers(
        [analysis.load(run)], split="eval", by="attack", relative=None, simultaneous=False
    )
    assert len(table)
    assert not table.columns.duplicated().any()
    assert as_latex(with_intervals(table)).count("\n") == len(table) + 7


def test_tables_of_several_runs_name_them(made: tuple[Run, Run]) -> None:
    for kind in ("layers", "depths"):
        table = PLOTS[kind].numbers(list(made), split="eval")
        assert list(table["run"].unique()) == ["hand made", "another <b>"]
    assert len(PLOTS["ranking"].numbers(list(made))) == 2
    assert PLOTS["pareto"].numbers(list(made))["gmacs"].isna().all()
    assert all(plot.table for name, plot in PLOTS.items() if name in PLOTS.built_in)
    with pytest.raises(ProbeError, match="mine has no table"):
        Plot("mine", "of my own", print).numbers([])


def test_plot_writes_the_figure_for_a_paper_its_numbers_and_its_caption(
    run: Run, tmp_path: Path
) -> None:
    files = [tmp_path / f"depths.{kind}" for kind in ("pdf", "csv", "tex", "md")]
    words = ["plot", run.folder, "depths", "--out", files[0], "--style", "paper", "--width", "3.3"]
    said = " ".join(command(*words, "--csv", files[1], "--tex", files[2], "--md", files[3]).split())
    assert "For the caption: hand made, hand. eval: 30 bona fide + 30 spoof" in said
    assert f"/MediaBox [ 0 0 {3.3 * 72:g}".encode() in files[0].read_bytes()
    assert len(pd.read_csv(files[1])) == 9
    assert r"head & depth & EER (\%) & computed \\" in files[2].read_text()
    assert "| mean+linear | 1 | " in files[3].read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tex", "a.txt"], "--tex a.txt: expected a name that ends in .tex"),
        (["--md", "no/where.md"], "--md no/where.md: expected a file in a folder that is there"),
        (["--style", "poster"], "--style poster: expected screen or paper"),
        (["--width", "0"], "--width 0: expected single, double, or inches"),
        (["--font-size", "200"], "--font-size 200: expected 4 to 40 points"),
    ],
)
def test_what_cannot_be_drawn_or_written_is_refused_with_its_flag(
    words, message, run: Run, tmp_path, monkeypatch
) -> None:
    from cache.errors import as_flag

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ProbeError, "spell", staticmethod(as_flag))
    found = CliRunner().invoke(app, ["plot", str(run.folder), "layers", "--out", "a.pdf", *words])
    assert message in str(found.exception)
    assert not list(tmp_path.iterdir())


def test_compare_and_evaluate_write_their_tables(made: tuple[Run, Run], tmp_path: Path) -> None:
    command(
        "compare",
        made[0].folder,
        made[1].folder,
        "--tex",
        tmp_path / "c.tex",
        "--csv",
        tmp_path / "c.csv",
    )
    assert r"another \textless{}b\textgreater{} & " in (tmp_path / "c.tex").read_text()
    assert set(pd.read_csv(tmp_path / "c.csv")["backbone"]) == {"hand made", "another <b>"}
    scores = made[0].folder / "scores" / "linear-layer-02.eval.txt"
    command(
        "evaluate", scores, "--by", "attack", "--md", tmp_path / "e.md", "--out", tmp_path / "e"
    )
    first, _, pooled, *_ = [
        line for line in (tmp_path / "e.md").read_text().splitlines() if line.startswith("|")
    ]
    assert first.startswith("| attack | ")
    assert re.match(r"\| pooled \|.*\[.*\]", pooled)


def test_sweep_writes_the_table_of_its_layers(cache_folder: Path, tmp_path: Path) -> None:
    words = ("--heads", "none", "--strengths", "0.1", "--resamples", "100", "--out", tmp_path / "r")
    command("sweep", cache_folder, *words, "--tex", tmp_path / "layers.tex")
    tex = (tmp_path / "layers.tex").read_text()
    assert r"layer & dev & eval & 95 \% interval & C & shuffled \\" in tex
    assert "{*} 2 & " in tex


def test_no_tie_is_called_the_lowest_and_no_zero_is_negative(
    cache_folder: Path, made: tuple[Run, Run], tmp_path: Path
) -> None:
    other = write_cache(tmp_path / "twin.cache", seed=1, name="twin", made="again")
    options = SweepOptions(
        resamples=100, strengths=(0.1,), control_seeds=(0,), depths=DepthOptions(heads=())
    )
    twin = sweep(other, tmp_path / "twin.run", options, say=lambda text: None)
    found = analysis.compare([made[1], twin])
    assert found.sentence.startswith("The EER of both backbones on hand is the same, ")
    assert "lowest" not in found.sentence
    assert list(found.differences[""]) == ["the same"]
    assert "-0.0" not in f"{found!r}{found.differences.to_string()}"
    three = analysis.compare([made[0], twin, made[1]]).sentence
    assert "The EER of 2 of 3 on hand is the same" in three
    assert "which is the lowest; hand made follows with" in three
    assert "-0.0" not in command("compare", made[1].folder, twin.folder)
    assert {metric.number(-0.0) for metric in METRICS.values()} == {"0.0", "0"}


def test_det_curves_of_an_evaluation_are_by_every_column_that_was_asked_for(
    run: Run, tmp_path: Path
) -> None:
    trials = run.trials("linear-layer-02").assign(
        codec=lambda table: np.where(np.arange(len(table)) % 4 < 2, "none", "mp3")
    )
    trials[["utterance_id", "label", "score", "attack", "codec"]].to_csv(
        tmp_path / "s.csv", index=False
    )
    said = command(
        "evaluate", tmp_path / "s.csv", "--by", "attack,codec", "--out", tmp_path / "out"
    )
    assert "det.png and" in " ".join(said.split())
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {
        "det.png",
        "det-codec.png",
        "det-codec.svg",
    }
    assert list(evaluate(trials, ["codec"], resamples=100).curves(["codec"])) == [
        "pooled",
        "mp3",
        "none",
    ]

"""What is drawn is what was measured."""

import io
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from hand_made import SEPARATION, write_cache
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import analysis
from analysis.plots.contributions import contribution_curve, save_depth_curve
from analysis.plots.depths import depth_table
from analysis.plots.layers import save_layer_curve
from analysis.plots.saving import figure_of, rendered
from analysis.plots.terminal import shows_lines, text_curve
from cache import ProbeError
from probing.metrics import eer
from probing.runs import Run
from probing.runs.simultaneous import layer_bands
from probing.sweep import DepthOptions, SweepOptions, sweep

HEADS = DepthOptions(seeds=(0, 1), epochs=3)
OPTIONS = SweepOptions(resamples=100, strengths=(0.1,), control_seeds=(0,), depths=HEADS)


def lines_of(ax: Axes) -> dict[str, np.ndarray]:
    return {str(line.get_label()): np.asarray(line.get_ydata(), float) for line in ax.get_lines()}


def eval_eers(run: Run) -> pd.Series:
    rows = run.results[(run.results["experiment"] == "layer") & (run.results["split"] == "eval")]
    return 100 * rows.sort_values("layer")["value"]


def stamp_of(ax: Axes) -> str:
    return ax.get_title(loc="left") + "".join(text.get_text() for text in ax.texts)


def test_importing_analysis_imports_nothing_that_draws_or_computes() -> None:
    heavy = "{'matplotlib', 'torch', 'seaborn', 'scipy'}"
    code = f"import sys, analysis, analysis.commands.app; print({heavy} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
    assert {"load", "load_many", "compare", "layer_curve"} <= set(dir(analysis))


def test_every_name_of_analysis_is_there_whatever_was_imported_before() -> None:
    # as in a new process, but for the libraries: torch cannot be imported twice
    before = _take_out_ours()
    try:
        for part in ("similarity", "transferability", "inspection", "controls"):
            import_module(f"analysis.{part}")
        new = import_module("analysis")
        assert new is not analysis
        assert all(callable(getattr(new, name)) for name in new.__all__)
    finally:
        _take_out_ours()
        sys.modules.update(before)


def _take_out_ours() -> dict[str, ModuleType]:
    packages = ("analysis", "probing", "cache")
    ours = [name for name in sys.modules if name.partition(".")[0] in packages]
    return {name: sys.modules.pop(name) for name in ours}


def test_jupyter_shows_a_plot_as_the_last_line_of_a_cell_and_leaves_axes_of_ones_own_to_pyplot(
    run: Run,
) -> None:
    from IPython.core.formatters import DisplayFormatter

    shown, _ = DisplayFormatter().format(analysis.layer_curve(run))
    picture = matplotlib.image.imread(io.BytesIO(shown["image/png"]))
    assert picture.shape[1] == 768
    assert picture[..., :3].std() > 0.05
    ax = Figure().subplots()
    assert analysis.layer_curve(run, ax=ax) is ax
    assert "image/png" not in DisplayFormatter().format(ax)[0]


def test_frames_hold_the_figures_of_the_run_in_per_cent(run: Run) -> None:
    loaded = analysis.load(run.folder)
    layers = loaded.layers.query("split == 'eval'")
    assert np.allclose(layers["eer"], eval_eers(run))
    assert list(layers["relative_depth"]) == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert (layers["low"] <= layers["eer"]).all()
    assert layers["shuffled"].between(30, 70).all()
    heads = run.results.query("experiment == 'depth' and split == 'eval' and seed.isna()")
    assert len(loaded.depths.query("split == 'eval'")) == len(heads) == 9
    gates = loaded.contributions.query("metric == 'gate' and condition == 'all'")
    assert (gates["low"] <= gates["value"]).all()
    assert loaded.contributions.query("metric == 'eer_without'")["value"].max() > 1
    assert set(loaded.controls["experiment"]) == {"trivial-features", "shuffled-labels"}
    assert loaded.costs.empty
    page = loaded._repr_html_()
    assert run.record["cache"] in page
    assert run.sentence in page


def test_several_runs_are_one_frame(made: tuple[Run, Run]) -> None:
    runs = analysis.load_many(made)
    assert list(runs.layers["run"].unique()) == ["hand made", "another <b>"]
    assert list(analysis.load_many(made[0].folder.parent).summary.index) == [
        "hand.run",
        "other.run",
    ]
    assert "<b>" not in runs._repr_html_().replace("&lt;b&gt;", "")
    assert analysis.load_many([made[0], made[0]]).names == [f"hand made ({made[0].folder})"] * 2


def test_a_cache_is_not_taken_for_a_run(cache_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match=r"a cache, not a run\. Sweep it first: probe sweep"):
        analysis.load(cache_folder)
    with pytest.raises(ProbeError, match="no run here"):
        analysis.load(tmp_path)


def test_a_folder_with_runs_names_them(run: Run) -> None:
    folder = run.folder.parent
    named = rf"{folder}: no run here\. Name one of those in it, as {run.folder}: {run.folder.name}"
    with pytest.raises(ProbeError, match=named):
        analysis.load(folder)


def test_a_split_that_no_run_has_is_refused(run: Run) -> None:
    with pytest.raises(ProbeError, match="split=test: expected dev or eval"):
        analysis.load(run).by("attack", split="test")


def test_the_layer_curve_shows_the_figures_of_the_table(run: Run) -> None:
    ax = analysis.layer_curve(run)
    lines = lines_of(ax)
    assert np.allclose(lines["linear probe"], eval_eers(run))
    assert lines["chosen on dev"] == pytest.approx([100 * run.record["finding"]["best"]["value"]])
    assert {
        "shuffled labels (control; band: range)",
        "trivial features (duration, level, ...), bar: 95 %",
    } <= set(lines)
    assert set(lines["chance"]) == {50}


def test_below_the_layer_curve_stands_what_each_layer_has_more_than_the_chosen_one(
    run: Run,
) -> None:
    figure = figure_of(analysis.layer_curve(run))
    curve, below = figure.axes
    chosen = run.record["finding"]["layer"]
    table = analysis.load(run).layers_at_once.set_index("layer")
    eers = eval_eers(run).to_numpy()
    others = [layer for layer in range(4) if layer != chosen]
    points = below.containers[0].lines[0]
    assert list(points.get_xdata()) == others
    assert np.allclose(points.get_ydata(), (eers - eers[chosen])[others])
    assert (table["excess_low"] <= table["excess"]).all()
    assert (table["excess"] <= table["excess_high"]).all()
    assert below.get_ylabel() == f"points more\nthan layer {chosen}"
    own = Figure().subplots()
    analysis.layer_curve(run, ax=own)
    assert figure_of(own).axes == [own]
    assert curve.get_xlim() == below.get_xlim()


def test_marks_are_empty_where_a_layer_is_not_shown_to_be_better_than_chance(run: Run) -> None:
    table = analysis.load(run).layers_at_once
    bands = 100 * layer_bands(run)
    assert np.allclose(table[["low", "high"]], bands[["low", "high"]])
    empty = table["layer"][~table["better_than_chance"].astype(bool)]
    assert set(empty) == set(bands.index[bands["high"] >= 50])
    assert 0 < len(empty) < 4
    curve = analysis.layer_curve(run)
    (drawn,) = [
        line for line in curve.get_lines() if str(line.get_label()).startswith("empty: not shown")
    ]
    assert list(drawn.get_xdata()) == list(empty)


def test_every_plot_takes_axes_gives_them_back_and_carries_its_stamp(run: Run) -> None:
    plots = (
        analysis.det_curve,
        analysis.corpora_curve,
        analysis.layer_curve,
        analysis.depth_curve,
        analysis.gate_curve,
        analysis.gate_spread_curve,
        analysis.weight_curve,
        analysis.ablation_curve,
        analysis.condition_map,
        contribution_curve,
    )
    for plot in plots:
        ax = Figure(layout="constrained").subplots()
        assert plot(run, ax=ax) is ax
        assert all(
            part in stamp_of(ax)
            for part in ("hand made, hand", "30 bona fide + 30 spoof", run.record["cache"])
        )


def test_runs_side_by_side_have_intervals_and_their_own_figures(
    made: tuple[Run, Run], tmp_path: Path
) -> None:
    ax = analysis.layer_curve(made)
    lines = lines_of(ax)
    assert np.allclose(lines["another <b>"], eval_eers(made[1]))
    # the control, the interval of trivial features, and two of probes
    assert len(ax.collections) == 4
    assert all(run.record["cache"] in stamp_of(ax) for run in made)
    assert set(lines_of(analysis.depth_curve(made, head="mean+linear"))) == {
        "hand made",
        "another <b>",
    }
    fewer = write_cache(
        tmp_path / "f", change=lambda table: table[table["utterance_id"] != "eval-00-é"]
    )
    foreign = sweep(fewer, tmp_path / "foreign", OPTIONS, say=lambda text: None)
    with pytest.raises(ProbeError, match="made on other utterances"):
        analysis.layer_curve([made[0], foreign])


def test_models_of_different_depth_share_a_relative_axis(run: Run, tmp_path: Path) -> None:
    short = sweep(
        write_cache(tmp_path / "c", separation=SEPARATION[:3], name="short"),
        tmp_path / "r",
        OPTIONS,
        say=lambda text: None,
    )
    ax = analysis.layer_curve([run, short])
    x = {line.get_label(): line.get_xdata() for line in ax.get_lines()}
    assert list(x["short"]) == [0, 0.5, 1]
    assert list(x["hand made"]) == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert "relative" in ax.get_xlabel()
    assert "relative" not in analysis.layer_curve([run, short], relative=False).get_xlabel()


def test_the_depth_curve_shows_the_figures_of_the_table(run: Run) -> None:
    panels = figure_of(analysis.depth_curve(run)).axes
    lines = {name: values for panel in panels for name, values in lines_of(panel).items()}
    for name in run.record["options"]["depths"]["heads"]:
        rows = run.results.query(
            "experiment == 'depth' and split == 'eval' and head == @name and seed.isna()"
        )
        assert np.allclose(lines[name], 100 * rows.sort_values("depth")["value"])
        assert np.allclose(depth_table(run)[name], 100 * rows.sort_values("depth")["value"])


def test_weights_are_deviations_from_equal_shares_and_gates_the_change_of_theirs(run: Run) -> None:
    weights = [
        values
        for label, values in lines_of(analysis.weight_curve(run)).items()
        if label.endswith(": weight")
    ]
    assert np.allclose(np.sum(weights, axis=1), 0)  # deviations from equal shares
    assert np.abs(weights).max() > 0
    ax = analysis.gate_curve(run)
    (change,) = [values for label, values in lines_of(ax).items() if ": gate, W " in label]
    rows = run.results[
        (run.results["experiment"] == "contribution") & (run.results["condition"] == "all")
    ]
    gate, start = (
        rows[rows["metric"] == metric]
        .pivot(index="seed", columns="layer", values="value")
        .to_numpy(float)
        for metric in ("gate", "gate_start")
    )
    shares, starts = (100 * values / values.sum(axis=1, keepdims=True) for values in (gate, start))
    assert np.allclose(change, (shares - starts).mean(axis=0))
    assert not np.allclose(change, 0)
    caption = " ".join(stamp_of(ax).split())
    assert (
        "range over 2 seeds; W: agreement of seeds on ranks "
        "(Kendall), 0.50 by chance; gates correlate at" in caption
    )
    assert (
        lines_of(analysis.gate_spread_curve(run))["attentive-compact+linear: gate sd"] >= 0
    ).all()
    with pytest.raises(
        ProbeError, match=r"nothing is known of 'attack=none'. Expected one of all, attack=A00"
    ):
        analysis.gate_curve(run, condition="attack=none")


def test_heat_map_cells_are_the_eer_of_an_attack_against_all_bona_fide_trials(run: Run) -> None:
    table = analysis.load(run).by("attack")
    assert list(dict.fromkeys(table["condition"])) == ["pooled", "A00", "A01", "A02"]
    trials = run.trials("linear-layer-02")
    chosen = trials[(trials["attack"] == "A01") | (trials["label"] == "bonafide")]
    cell = table.query("condition == 'A01' and layer == 2").iloc[0]
    assert cell["eer"] == pytest.approx(100 * eer(chosen["label"] == "bonafide", chosen["score"]))
    assert cell["low"] <= cell["eer"] <= cell["high"]
    assert (cell["n_bonafide"], cell["n_spoof"]) == (30, 10)
    texts = [text.get_text() for text in analysis.condition_map(run).texts]
    assert f"{cell['eer']:.0f}\n{cell['low']:.0f}–{cell['high']:.0f}" in texts
    with pytest.raises(ProbeError, match="no column 'codec'"):
        analysis.condition_map(run, by="codec")


def test_a_sweep_without_heads_or_controls_is_drawn_too(cache_folder: Path, tmp_path: Path) -> None:
    options = SweepOptions(
        resamples=100, strengths=(0.1,), control_seeds=(), depths=DepthOptions(heads=())
    )
    run = sweep(cache_folder, tmp_path / "r", options, say=lambda text: None)
    assert "shuffled labels" not in "".join(lines_of(analysis.layer_curve(run, "dev")))
    assert analysis.load(run).layers["shuffled"].isna().all()
    assert save_depth_curve(run) == []
    with pytest.raises(ProbeError, match="no heads were trained"):
        analysis.depth_curve(run)


def test_figures_are_files_of_the_kind_asked_for_and_the_same_again(
    run: Run, tmp_path: Path
) -> None:
    png, svg = map(Path, save_layer_curve(run))
    assert matplotlib.image.imread(png).std() > 0.05
    assert "<svg" in svg.read_text()
    for kind, start in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        ax = analysis.layer_curve(run)
        first = analysis.save_figure(ax, tmp_path / f"curve.{kind}").read_bytes()
        assert first.startswith(start)
        assert (
            analysis.save_figure(analysis.layer_curve(run), tmp_path / f"curve.{kind}").read_bytes()
            == first
        )
    with pytest.raises(ProbeError, match=r"expected a name that ends in \.png, \.svg, \.pdf"):
        analysis.save_figure(ax, tmp_path / "curve.gif")


@pytest.mark.parametrize(
    "draw", [analysis.layer_curve, analysis.condition_map], ids=["lines", "colours"]
)
def test_a_figure_is_rendered_to_the_bytes_that_savefig_writes(draw, run: Run) -> None:
    for kind, metadata in (("png", None), ("svg", {"Date": None}), ("pdf", {"CreationDate": None})):
        figure, saved = draw(run).figure, io.BytesIO()
        with matplotlib.rc_context({"svg.hashsalt": "same"}):
            found = rendered(draw(run).figure, kind, 150, metadata)
            figure.savefig(saved, format=kind, dpi=150, metadata=metadata)
            assert found == saved.getvalue()


def test_the_terminal_curve_fits_and_says_which_layer_was_chosen(run: Run) -> None:
    text = text_curve(run)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-1].split()[1:] == ["0", "1", "2", "3"]
    chosen = next(line for line in lines[1:] if "◉" in line)
    assert abs(chosen.index("◉") - lines[-1].index("2")) <= 1
    marked = [line.count("●") + line.count("◉") for line in lines[1:]]
    assert sum(marked) == 4
    plain = text_curve(run, width=9, ascii_only=True)
    assert plain.isascii()
    assert max(map(len, plain.splitlines()[1:])) <= 9
    assert shows_lines("utf-8")
    assert not shows_lines("ascii")
    assert not shows_lines("no-such-encoding")


def test_a_curve_in_a_narrow_terminal_breaks_no_line(run: Run) -> None:
    assert max(map(len, text_curve(run, width=40).splitlines())) <= 40


@pytest.mark.parametrize(
    "draw",
    [
        analysis.layer_curve,
        analysis.depth_curve,
        analysis.condition_map,
        analysis.det_curve,
        analysis.class_map,
        analysis.confusion_picture,
        analysis.localisation_curve,
        analysis.erasure_curve,
    ],
)
def test_a_part_that_no_figure_is_of_is_refused(draw, run: Run) -> None:
    with pytest.raises(ProbeError, match="split=train: expected dev or eval"):
        draw(run, split="train")

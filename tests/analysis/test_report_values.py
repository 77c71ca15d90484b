"""What a figure of a report tells is what was drawn, whatever drew it."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

import analysis
from analysis.plots.axes import new_axes
from analysis.plots.saving import figure_of, rendered
from analysis.reports.values import values_of
from analysis.reports.vector import vector_of, written
from probing.runs import Run


def told(ax: Axes) -> dict[str, list[tuple[str, str]]]:
    rendered(figure_of(ax), "svg")
    found: dict[str, list[tuple[str, str]]] = {}
    for series in values_of(figure_of(ax)):
        found.setdefault(series.name, []).extend((value.at, value.text) for value in series.values)
    return found


def test_a_layer_curve_tells_figures_intervals_controls_and_differences(run: Run) -> None:
    loaded = analysis.load(run)
    ax = analysis.layer_curve(run)
    found = told(ax)
    layers = loaded.layers.query("split == 'eval'")
    expected = [
        (f"layer {row.layer}", f"{row.eer:.2f} [{row.low:.2f}, {row.high:.2f}]")
        for row in layers.itertuples()
    ]
    assert found["linear probe"] == expected
    assert found["chance"] == [("", "50.00")]
    below = loaded.layers_at_once.query("layer == 3").iloc[0]
    excess = f"{below['excess']:.2f} [{below['excess_low']:.2f}, {below['excess_high']:.2f}]"
    assert any(("layer 3", excess) in rows for rows in found.values())
    (probe,) = [series for series in values_of(figure_of(ax)) if series.name == "linear probe"]
    assert probe.what == "EER on eval (%)"
    assert "chosen on dev" in probe.values[run.record.finding.layer].also
    width, height = 72 * figure_of(ax).get_size_inches()
    assert all(0 < value.x < width and 0 < value.y < height for value in probe.values)
    assert probe.values[0].y < probe.values[2].y  # lower error rates are lower on the page


def test_a_heat_map_tells_cells_by_the_names_at_its_sides(run: Run) -> None:
    cell = analysis.load(run).by("attack").query("condition == 'A01' and layer == 2").iloc[0]
    found = told(analysis.condition_map(run))
    name = next(name for name in found if name.startswith("A01"))
    assert ("layer 2", f"{cell['eer']:.2f} ({cell['low']:.0f}–{cell['high']:.0f})") in found[name]
    many = pd.DataFrame(np.eye(40), index=range(40), columns=range(40)).rename_axis("layer")
    squares = told(analysis.similarity_map(many, new_axes(4, 4)))
    assert squares["layer 7"][7] == ("layer 7", "1.00")
    assert len(squares) == 40


def test_bars_points_and_log_axes_of_ones_own_plots_are_told_and_deviates_are_not(run: Run) -> None:
    ax = new_axes()
    ax.bar([1, 2], [0.25, 12345.0], label="bars")
    ax.scatter([1.5], [3.0], label="a $point$")
    ax.errorbar([1], [2], [[1], [2]], label="with bar", fmt="o")
    ax.plot([1, 2, np.nan], [1e-5, np.nan, 4], label="line")
    ax.set(yscale="log", ylabel="share (%), band: 95 %", xlabel="epoch")
    assert told(ax) == {
        "bars": [("epoch 1", "0.250"), ("epoch 2", "12,345")],
        "a $point$": [("epoch 1.5", "3.00")],
        "with bar": [("epoch 1", "2.00 [1.00, 4.00]")],
        "line": [("epoch 1", "1e-05")],
    }
    assert told(analysis.det_curve(run)) == {}


def test_a_figure_in_a_page_has_text_no_names_of_others_and_greys_that_follow_the_page(
    run: Run,
) -> None:
    one, other = (
        written(vector_of(plot(run))) for plot in (analysis.layer_curve, analysis.condition_map)
    )
    assert ">EER on eval (%)</text>" in one
    assert "var(--gff)" in one
    assert "#ffffff" not in one
    cells = other[other.index("<image") :] if "<image" in other else other
    assert "#ffffff" in other  # on a dark cell, whatever the page
    assert "font-family" not in cells
    assert "<metadata" not in one
    assert "<style" not in one


def test_a_line_without_points_tells_nothing() -> None:
    ax = new_axes()
    ax.plot([], [], marker="o", label="for the legend only")
    ax.plot([1, 2], [3, 4], label="a curve")
    assert list(told(ax)) == ["a curve"]

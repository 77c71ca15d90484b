"""Plots of runs draw tidy tables as well, and every plot composes with axes of one's own."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import analysis
from analysis.plots.contributions import contribution_curve
from analysis.plots.erasure import erasure_curve
from analysis.plots.kinds import PLOTS
from analysis.runs.gates import gate_changes
from cache import ProbeError
from probing.runs import Run


def lines_of(ax: Axes) -> dict[str, list[float]]:
    return {str(line.get_label()): [float(y) for y in line.get_ydata()] for line in ax.get_lines()}


def test_curves_of_tables_are_those_of_the_tables_rows(made: tuple[Run, Run], run: Run) -> None:
    loaded = analysis.load(run)
    some = loaded.layers.query("layer <= 2")
    ax = Figure().subplots()
    assert analysis.layer_curve(some, ax=ax) is ax
    (drawn,) = lines_of(ax).values()
    assert drawn == list(some.query("split == 'eval'")["eer"])
    assert ax.get_ylabel() == "EER on eval (%)"
    assert len(ax.collections) == 1
    of_dev = lines_of(analysis.layer_curve(loaded.layers, split="dev"))
    assert list(of_dev.values()) == [list(loaded.layers.query("split == 'dev'")["eer"])]
    both = lines_of(analysis.layer_curve(analysis.load_many(made).layers))
    assert set(both) == {"hand made", "another <b>"}
    by = loaded.by("attack", resamples=20)
    assert set(lines_of(analysis.layer_curve(by))) == {"pooled", "A00", "A01", "A02"}
    assert len(lines_of(analysis.depth_curve(loaded.depths))) == 3
    gates = lines_of(analysis.gate_curve(gate_changes(run)))
    assert np.allclose(
        gates["attentive-compact+linear"], lines_with(analysis.gate_curve(run), ": gate")
    )
    assert len(lines_of(analysis.ablation_curve(loaded.contributions))) == 6
    assert len(lines_of(analysis.gate_spread_curve(loaded.contributions))) == 1
    assert len(lines_of(contribution_curve(gate_changes(run)))) > len(
        lines_of(analysis.weight_curve(gate_changes(run)))
    )
    assert len(analysis.condition_map(by).texts) == 16
    assert "A01" in " ".join(lines_of(analysis.det_curve(run.trials("linear-layer-02"))))
    table = pd.DataFrame(
        {"layer": 2, "removed": [0, 1], "erased": [5.0, 40.0], "random": [5.0, 7.0]}
    )
    assert lines_of(erasure_curve(table)) == {
        "without what probes read": [5.0, 40.0],
        "without random directions": [5.0, 7.0],
    }


def lines_with(ax: Axes, part: str) -> list[float]:
    return next(values for name, values in lines_of(ax).items() if part in name)


def test_tables_that_cannot_be_drawn_are_refused_with_what_is_expected(run: Run) -> None:
    layers = analysis.load(run).layers
    for draw, told in (
        (
            lambda: analysis.layer_curve(layers[["layer", "low"]]),
            "none is a metric. Expected value, or one of eer",
        ),
        (lambda: analysis.layer_curve(layers[["eer"]]), "without the column layer: has eer"),
        (
            lambda: analysis.layer_curve(layers.drop(columns="split")),
            "several rows for layer 0. Expected one a curve",
        ),
        (lambda: analysis.layer_curve(layers.query("layer > 9")), "without rows: nothing to draw"),
        (lambda: analysis.layer_curve(layers, simultaneous=True), "simultaneous=True: needs a run"),
        (lambda: analysis.confusion_picture(layers), "a table, where a run is expected"),
        (lambda: analysis.pareto(layers), "a table, where a run is expected"),
        (lambda: analysis.det_curve(layers), "Expected trials: label and score"),
    ):
        with pytest.raises(ProbeError, match=told):
            draw()


def test_every_kind_of_plot_takes_axes_in_a_figure_of_several_and_gives_them_back(
    made: tuple[Run, Run],
) -> None:
    drawn = 0
    for plot in PLOTS.values():
        left, right = Figure(figsize=(12, 5)).subplots(1, 2)
        try:
            given = plot.draw([analysis.load(run) for run in made], left)
        except ProbeError:  # this run has nothing for it: no classes, nothing erased, no costs
            continue
        assert given is left, plot.name
        assert not right.has_data(), plot.name
        drawn += 1
    assert drawn >= 8

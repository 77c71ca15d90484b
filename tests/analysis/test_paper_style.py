"""Figures for a paper: their size, text and fonts; panels; and what belongs to a name."""

import re
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

import analysis
from analysis.plots.axes import GREY, new_axes
from analysis.plots.contributions import ablation_table, contribution_curve
from analysis.plots.det import det_curves
from analysis.plots.heat_maps import layer_map
from analysis.plots.look import look
from analysis.plots.palette import NAMED, OF_MERGES, colours_of, head_colour, head_marker
from analysis.plots.panels import columns_of
from analysis.plots.saving import figure_of
from analysis.runs.loaded_run import LoadedRun
from cache import ProbeError
from cache.errors import OptionError
from probing.heads.kinds import MERGES
from probing.runs import Run


def texts_of(ax) -> list[Text]:
    return [text for text in figure_of(ax).findobj(Text) if text.get_text().strip()]


def fonts_of(pdf: bytes) -> set[bytes]:
    streams = re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    inflated = [pdf]
    for stream in streams:
        try:
            inflated.append(zlib.decompress(stream))
        except zlib.error:
            continue
    return set(re.findall(rb"/Subtype\s*/(Type3|CIDFontType2|TrueType|Type42)", b"".join(inflated)))


@pytest.mark.parametrize(
    ("width", "inches"), [("single", 3.5), ("double", 7.16), (4.2, 4.2), ("2.5", 2.5)]
)
def test_a_figure_for_a_paper_is_as_wide_as_asked_and_has_no_title_or_small_print(
    width, inches, run: Run
) -> None:
    with analysis.style("paper", width=width):
        ax = analysis.layer_curve(run)
    assert figure_of(ax).get_size_inches()[0] == pytest.approx(inches)
    assert ax.get_title(loc="left") == ""
    shown = " ".join(text.get_text() for text in texts_of(ax))
    assert run.record["cache"] not in shown
    assert "hand made" not in shown
    told = analysis.caption(ax)
    assert told.startswith("hand made, hand. eval: 30 bona fide + 30 spoof; 95 %, bootstrap")
    assert told.endswith(f"cache {run.record['cache']}.")


def test_the_caption_of_a_figure_is_the_same_on_a_screen(run: Run) -> None:
    with analysis.style("paper"):
        in_paper = analysis.caption(analysis.layer_curve(run))
    assert analysis.caption(analysis.layer_curve(run)) == in_paper
    assert analysis.caption(analysis.depth_curve(run)).startswith(
        "hand made, hand. eval: 30 bona fide"
    )


def test_text_follows_the_font_size_and_a_title_can_be_given_or_left_out(run: Run) -> None:
    with analysis.style("paper", font_size=6, title="EER_a $x$ of layers"):
        ax = analysis.layer_curve(run)
    assert ax.xaxis.label.get_fontsize() == 6
    assert ax.get_title(loc="left").replace("\\", "") == "EER_a $x$ of layers"
    figure_of(ax).draw_without_rendering()
    assert {round(text.get_fontsize(), 2) for text in ax.get_yticklabels()} == {6 * 0.875}
    assert max(text.get_fontsize() for text in texts_of(ax)) <= 6
    with analysis.style(title=""):
        assert analysis.layer_curve(run).get_title(loc="left") == ""
        assert figure_of(analysis.depth_curve(run)).legends[0].get_title().get_text() == ""
    assert analysis.layer_curve(run).get_title(loc="left").startswith("hand made")
    assert look().font_size == 10


def test_fonts_are_in_the_pdf_and_no_letter_is_a_type_3_glyph(run: Run, tmp_path: Path) -> None:
    with analysis.style("paper"):
        ax = analysis.layer_curve(run)
    assert fonts_of(analysis.save_figure(ax, tmp_path / "a.pdf").read_bytes()) == {b"CIDFontType2"}
    svg = analysis.save_figure(ax, tmp_path / "a.svg").read_text()
    assert "<text" not in svg  # letters are outlines, so that no font is needed to show them
    assert 'width="252pt"' in svg


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "poster"}, "style=poster: expected screen or paper"),
        (
            {"width": "wide"},
            "width=wide: expected single, double, or inches from 1.5 to 40, as 3.3",
        ),
        ({"width": 0.2}, "width=0.2: expected single"),
        ({"font_size": 0.5}, "font_size=0.5: expected 4 to 40 points"),
    ],
)
def test_a_style_that_cannot_be_drawn_is_refused(options, message) -> None:
    with pytest.raises(OptionError, match=re.escape(message)), analysis.style(**options):
        raise AssertionError


def test_nothing_that_is_written_lies_outside_of_a_single_column(run: Run) -> None:
    for draw in (
        analysis.layer_curve,
        analysis.depth_curve,
        analysis.weight_curve,
        analysis.ablation_curve,
        analysis.condition_map,
        analysis.exit_curve,
    ):
        with analysis.style("paper", width="single"):
            ax = draw(run)
        figure = figure_of(ax)
        figure.draw_without_rendering()
        ticks = [
            text
            for axes in figure.axes
            for text in (*axes.get_xticklabels(), *axes.get_yticklabels())
        ]
        for text in [text for text in texts_of(ax) if not any(text is tick for tick in ticks)]:
            box = text.get_window_extent()
            outside = (
                box.x0 < -2
                or box.x1 > figure.bbox.x1 + 2
                or box.y0 < -2
                or box.y1 > figure.bbox.y1 + 2
            )
            assert not outside, (draw.__name__, text.get_text())


def test_each_head_has_a_panel_on_one_scale_and_axes_of_ones_own_hold_all(run: Run) -> None:
    heads = run.record["options"]["depths"]["heads"]
    panels = figure_of(analysis.depth_curve(run)).axes
    assert [panel.get_title(loc="left") for panel in panels] == heads
    assert len({panel.get_ylim() for panel in panels}) == 1
    assert [bool(panel.get_ylabel()) for panel in panels] == [True, False, False]
    own = Figure().subplots()
    assert analysis.depth_curve(run, ax=own) is own
    assert figure_of(own).axes == [own]
    assert set(heads) <= {line.get_label() for line in own.get_lines()}


def test_compute_stands_in_a_strip_below_the_panels_with_numbers_that_do_not_touch(
    run: Run,
) -> None:
    import pandas as pd

    class Deep(LoadedRun):
        n_blocks = 24

    loaded = Deep(run.folder)
    depths = np.arange(25)
    costs = pd.DataFrame(
        {"depth": depths, "gmacs": 1.0 + depths, "saved": 100 * (1 - (1.0 + depths) / 25)}
    )
    loaded.__dict__["costs"] = costs
    for width in ("single", "double"):
        with analysis.style("paper", width=width):
            ax = analysis.depth_curve(loaded)
        *_, strip = figure_of(ax).axes
        assert strip.get_ylabel() == "computed\n(%)"
        figure_of(ax).draw_without_rendering()
        boxes = [text.get_window_extent() for text in strip.texts if text.get_text().isdigit()]
        assert len(boxes) >= 6
        assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


@pytest.mark.parametrize(
    ("n", "width", "columns"),
    [(1, 8, 1), (2, 8, 2), (6, 8, 3), (4, 8, 2), (6, 3.5, 2), (1, 3.5, 1)],
)
def test_panels_fill_their_rows(n, width, columns) -> None:
    assert columns_of(n, width) == columns


def test_ablation_compares_each_seed_with_itself(run: Run) -> None:
    table = ablation_table(run)
    rows = run.results
    whole = rows.query(
        "experiment == 'depth' and split == 'eval' and depth == 3 "
        "and head == 'mean+linear' and seed == 1"
    )
    without = rows.query(
        "metric == 'eer_without' and head == 'mean+linear' and seed == 1 and layer == 2"
    )
    found = table.query(
        "head == 'mean+linear' and seed == 1 and layer == 2 and metric == 'without'"
    )["change"].item()
    assert found == pytest.approx(100 * (without["value"].item() - whole["value"].item()))
    assert "less that" in analysis.ablation_curve(run).get_ylabel()


def test_heads_and_backbones_have_the_same_colour_wherever_they_are_drawn(
    made: tuple[Run, Run],
) -> None:
    panels = figure_of(analysis.depth_curve(made[0])).axes
    by_head = {panel.get_title(loc="left"): panel.get_lines()[0].get_color() for panel in panels}
    assert by_head == {head: head_colour(head) for head in by_head}
    (gates,) = figure_of(analysis.gate_curve(made[0])).axes
    assert gates.get_lines()[0].get_color() == by_head["attentive-compact+linear"]
    assert (
        len({to_hex(head_colour(f"{merge}+linear")) for merge in MERGES})
        == len(MERGES)
        == len(OF_MERGES)
    )
    assert head_marker("mean+linear") != head_marker("mean+lstm")
    one_way, other_way = analysis.layer_curve(made), analysis.layer_curve(made[::-1])
    first, second = (
        {
            line.get_label(): line.get_color()
            for line in ax.get_lines()
            if line.get_label() in ("hand made", "another <b>")
        }
        for ax in (one_way, other_way)
    )
    assert first == second
    ranked = analysis.compare(made)
    points = ranked.ranking().collections[-1]
    assert [to_hex(colour) for colour in points.get_facecolors()] == [
        to_hex(first[name]) for name in ranked.table.index
    ]


def test_a_colour_is_of_a_name_whatever_its_order_and_company() -> None:
    names = [f"backbone {i}" for i in range(len(NAMED))]
    together = colours_of(names)
    assert len({to_hex(colour) for colour in together.values()}) == len(NAMED)
    assert colours_of(reversed(names)) == together
    assert to_hex(GREY) not in {to_hex(colour) for colour in NAMED}
    assert len(colours_of([*names, *(f"more {i}" for i in range(20))])) == len(NAMED) + 20


def test_heat_maps_hatch_what_has_too_few_trials_and_cut_no_colour_off(run: Run) -> None:
    import pandas as pd

    table = pd.DataFrame(
        [[10.0, 85.0], [np.nan, np.nan]], index=["A01 (9)", "A02 (3)"], columns=[0, 1]
    )
    ax = new_axes()
    texts = table.map(lambda value: "" if np.isnan(value) else f"{value:.0f}\n1–99")
    assert layer_map(table, ax, "EER (%)", texts) == ""
    assert ax.collections[0].get_clim() == (0, 85)
    assert [patch.get_hatch() for patch in ax.patches] == ["////"]
    assert ax.patches[0].get_y() == 1
    with analysis.style("paper", width=1.5):
        narrow = new_axes()
        note = layer_map(
            pd.concat([table] * 12, axis=1).set_axis(range(24), axis=1),
            narrow,
            "",
            pd.concat([texts] * 12, axis=1),
        )
    assert note == "numbers did not fit"
    assert not narrow.texts
    with analysis.style("paper", width=2.4):
        narrow = new_axes()
        texts = pd.DataFrame([["10\n1–99"] * 6, ["10\n+1"] * 6], index=["A01", "A02"])
        note = layer_map(pd.DataFrame(10.0, texts.index, texts.columns), narrow, "", texts)
    assert note == "what stands below the numbers of A01 did not fit"
    assert [text.get_text() for text in narrow.texts] == ["10"] * 6 + ["10\n+1"] * 6


def test_more_det_curves_than_can_be_told_apart_have_panels_of_their_own(run: Run) -> None:
    trials = run.trials("linear-layer-02")
    curves = {"pooled": trials} | {f"A{i:02d}": trials for i in range(7)}
    ax = det_curves(curves)
    panels = figure_of(ax).axes
    assert [panel.get_title(loc="left").split("\n")[0] for panel in panels] == list(curves)[1:]
    few = det_curves(dict(list(curves.items())[:6]))
    lines = few.get_lines()[:6]
    assert (
        len({str(line.get_linestyle()) + str(line._unscaled_dash_pattern) for line in lines}) == 6
    )
    assert len({line.get_marker() for line in lines}) == 6
    own = Figure().subplots()
    assert det_curves(curves, own) is own
    assert figure_of(own).axes == [own]


def test_pareto_names_the_runs_whose_costs_were_not_measured(made: tuple[Run, Run]) -> None:
    import pandas as pd

    loaded = analysis.load_many(made)
    loaded[0].__dict__["costs"] = pd.DataFrame(
        {"depth": [0, 1, 2], "gmacs": [1.0, 2.0, 3.0], "saved": [50.0, 20.0, 0.0]}
    )
    found = analysis.compare(loaded)
    ax = found.pareto()
    shown = [text.get_text().replace("\n ", "") for text in ax.get_legend().get_texts()]
    assert "not drawn, cost not measured: another <b>" in shown
    assert "not drawn, cost not measured: hand made layers 3" in shown
    assert "another <b>" in analysis.caption(ax)
    with pytest.raises(ProbeError, match="no run has measured costs"):
        analysis.compare(analysis.load_many([run.folder for run in made])).pareto()


def test_captions_call_a_range_over_seeds_no_bootstrap(run: Run) -> None:
    for draw in (
        analysis.gate_curve,
        analysis.weight_curve,
        analysis.ablation_curve,
        contribution_curve,
    ):
        told = analysis.caption(draw(run))
        assert "bands: range over 2 seeds" in told
        assert "bootstrap" not in told
    for draw in (analysis.layer_curve, analysis.depth_curve, analysis.corpora_curve):
        assert "bootstrap" in analysis.caption(draw(run))

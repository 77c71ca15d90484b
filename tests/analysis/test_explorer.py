"""Looking around in a run: every choice redraws the picture, by widgets and without."""

import io
import sys
from base64 import b64decode

import matplotlib.image
import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib.figure import Figure

import analysis
from analysis.plots.explorer import NOTE
from cache import ProbeError
from probing.runs import Run

WIDGET = "application/vnd.jupyter.widget-view+json"


def pixels(png: bytes) -> np.ndarray:
    return matplotlib.image.imread(io.BytesIO(png))[..., :3]


def test_a_cell_shows_widgets_and_for_who_only_reads_it_the_picture(run: Run) -> None:
    shown, _ = DisplayFormatter().format(analysis.load(run).explore())
    assert set(shown) == {"text/plain", "image/png", WIDGET}
    assert pixels(b64decode(shown["image/png"])).std() > 0.05


def test_a_widget_that_is_turned_redraws_the_picture_with_the_figures_of_the_run(run: Run) -> None:
    explorer = analysis.explore(run)
    widgets = explorer.widgets
    # nothing to choose
    assert widgets["metric"].layout.display == widgets["corpus"].layout.display == "none"
    seen = [explorer._picture.value]

    def redrawn() -> bool:
        seen.append(explorer._picture.value)
        return not np.array_equal(pixels(seen[-1]), pixels(seen[-2]))

    widgets["split"].value = "dev"
    assert redrawn()
    assert list(explorer.table["eer"]) == list(explorer.run.layers.query("split == 'dev'")["eer"])
    widgets["layers"].value = (1, 2)
    assert redrawn()
    assert list(explorer.table["layer"]) == [1, 2]
    widgets["split"].value = "eval"
    widgets["by"].value = "attack"
    assert redrawn()
    assert widgets["conditions"].value == ("pooled", "A00", "A01", "A02")
    assert widgets["conditions"].layout.display == ""
    widgets["conditions"].value = ("A01",)
    assert redrawn()
    of_attack = explorer.run.by("attack").query("condition == 'A01' and 1 <= layer <= 2")
    assert list(explorer.table["eer"]) == pytest.approx(list(of_attack["eer"]))
    assert (widgets["by"].value, widgets["split"].value) == ("attack", "eval")
    widgets["by"].value = "all"
    assert explorer.choice.conditions == ()
    assert widgets["conditions"].layout.display == "none"


def test_without_ipywidgets_it_is_a_picture_and_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    explorer = analysis.explore(run, split="dev", layers=(0, 2))
    assert explorer.widgets == {}
    shown, _ = DisplayFormatter().format(explorer)
    assert set(shown) == {"text/plain", "image/png"}
    assert "pip install ipywidgets" in NOTE
    before = pixels(b64decode(shown["image/png"]))
    after = pixels(b64decode(explorer.choose(split="eval")._repr_mimebundle_()["image/png"]))
    assert not np.array_equal(before, after)


def test_what_a_run_does_not_have_is_refused_and_leaves_the_choice_as_it_was(run: Run) -> None:
    explorer = analysis.explore(run)
    before = explorer.choice
    for chosen, told in (
        ({"metric": "r2"}, "metric=r2: not in .* Expected one of eer"),
        ({"by": "codec"}, "by=codec: not in .* Expected one of all, speaker, attack"),
        ({"conditions": ["A01"]}, "conditions=A01: .* none, as by=all"),
        (
            {"split": "dev", "layers": (2, 9)},
            r"layers=\(2, 9\): expected the first and the last of 0 to 3",
        ),
        ({"layer": 3}, "layer: nothing that can be chosen. Expected one of metric, split"),
    ):
        with pytest.raises(ProbeError, match=told):
            explorer.choose(**chosen)
        assert explorer.choice == before


def test_it_draws_on_axes_of_ones_own(run: Run) -> None:
    ax = Figure().subplots()
    assert analysis.explore(run).draw(ax) is ax
    assert {"chance", "layer 2, chosen on dev"} <= {line.get_label() for line in ax.get_lines()}

"""Looking around in a run in Jupyter: widgets, and one picture that follows.

import analysis
analysis.load("results/demo.run").explore()
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.plots.axes import GREY, NOTEBOOK_DPI, new_axes
from analysis.plots.legends import legend
from analysis.plots.saving import figure_of, rendered
from analysis.plots.style import MOST_DRAWN, label
from analysis.plots.tidy import LAYER, curves
from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import load
from cache import ProbeError
from probing.runs import Run
from probing.targets.metrics import METRICS

NOTE = "A static picture: widgets to choose by need ipywidgets, pip install ipywidgets"
EVERY = "all"
# columns that name utterances or repeat what is chosen elsewhere
NO_CONDITIONS = {"utterance_id", "path", "split", "label", "score", "target", "predicted"}
MOST_AT_ONCE = 6  # conditions in one picture until others are chosen


@dataclass(frozen=True)
class Choice:
    """What is shown.

    metric, split, corpus: whose figures.
    by: a column, or `all`.
    conditions: values of the column; none for all utterances.
    layers: the first and the last.
    """

    metric: str
    split: str
    corpus: str
    by: str
    conditions: tuple[str, ...]
    layers: tuple[int, int]


def explore(run: str | Path | Run, **chosen: Any) -> Explorer:
    """Look around in a run: Jupyter shows a picture, and widgets that choose what is in it.

    Without ipywidgets, and where a notebook is only read, it is a picture of what was chosen at
    last.

    Args:
        run: a run.
        chosen: what to begin with, as `Choice` has it: metric, split, corpus, by, conditions,
            layers.

    Raises:
        ProbeError: something that the run does not have.

    >>> explore("results/demo.run", split="dev", layers=(0, 3)).table["layer"].tolist()
    [0, 1, 2, 3]
    """
    return Explorer(load(run), **chosen)


class Explorer:
    """What `explore` gives.

    Attributes:
        run: looked at.
        choice: what is shown now; `choose` changes it.
        widgets: by name, as in `Choice`; empty without ipywidgets.

    >>> explorer = explore("results/demo.run")
    >>> explorer.options["split"]
    ('eval', 'dev')
    """

    def __init__(self, run: LoadedRun, **chosen: Any) -> None:
        self.run = run
        self._by: dict[tuple[str, str, str], pd.DataFrame] = {}
        layers = [int(layer) for layer in run.layers["layer"]]
        self.choice = Choice(
            run.metric.name,
            "eval",
            corpus=run.corpus,
            by=EVERY,
            conditions=(),
            layers=(min(layers), max(layers)),
        )
        self.widgets: dict[str, Any] = {}
        self._picture: Any = None
        self._settling = False
        self.choose(**chosen)
        self._widen()

    @property
    def options(self) -> dict[str, tuple[str, ...]]:
        """What can be chosen, by name, with what is chosen now."""
        run, now = self.run, self.choice
        rows = run.results[
            (run.results["experiment"] == "layer") & run.results["metric"].isin(METRICS)
        ]
        of_metric = now.metric == run.metric.name and run.task.is_spoofing
        return {
            "metric": tuple(name for name in run.task.metrics if name in set(rows["metric"])),
            "split": ("eval", "dev"),
            "corpus": tuple(run.corpora) if now.split == "eval" else tuple(run.corpora[:1]),
            "by": (EVERY, *(self._columns if of_metric else ())),
            "conditions": ()
            if now.by == EVERY
            else tuple(dict.fromkeys(self._conditions["condition"])),
        }

    def choose(self, **chosen: Any) -> Explorer:
        """Change what is shown, and the picture with it.

        Raises:
            ProbeError: something that the run does not have.
        """
        before = self.choice
        try:
            for name in ("metric", "split", "corpus", "by", "conditions", "layers"):
                if name in chosen:
                    self._set(name, chosen.pop(name))
            if chosen:
                names = ", ".join(Choice.__dataclass_fields__)
                raise ProbeError(
                    f"{next(iter(chosen))}: nothing that can be chosen. Expected one of {names}"
                )
            if self._picture is not None:
                self._picture.value = self._png()
        except ProbeError:
            self.choice = before
            raise
        return self

    @property
    def table(self) -> pd.DataFrame:
        """The figures that are drawn: condition, layer, the metric, and its low and high end."""
        now = self.choice
        run = load(self.run, now.corpus)
        first, last = now.layers
        if now.by != EVERY:
            rows = self._conditions
            rows = rows[rows["condition"].isin(now.conditions)] if now.conditions else rows
        else:
            rows = run.rows("layer", now.split, run.corpus)
            rows = rows[rows["metric"] == now.metric].sort_values("layer")
            scale = METRICS[now.metric].scale
            shown = {name: scale * rows[name].astype(float) for name in ("value", "low", "high")}
            rows = rows.assign(**shown, condition=EVERY).rename(columns={"value": now.metric})
        rows = rows[rows["layer"].astype(int).between(first, last)]
        return (
            rows[["condition", "layer", now.metric, "low", "high"]]
            .reset_index(drop=True)
            .astype({"layer": int})
        )

    def draw(self, ax: Axes | None = None) -> Axes:
        """Draw what is chosen, on axes of one's own or on new ones."""
        now = self.choice
        run = load(self.run, now.corpus)
        ax = ax or new_axes()
        metric = METRICS[now.metric]
        chance = metric.chance_of(len(run.task.classes))
        if chance is not None:
            ax.axhline(metric.scale * chance, color=GREY, lw=1, ls=(0, (1, 3)), label="chance")
        curves(self.table, "layer", ax, xlabel=LAYER, split=now.split)
        if now.layers[0] <= run.record.finding.layer <= now.layers[1]:
            text = f"layer {run.record.finding.layer}, chosen on dev"
            ax.axvline(run.record.finding.layer, color="0.4", lw=1, ls="--", label=text)
        label(ax, [run], now.split, "" if now.by == EVERY else f"by {now.by}")
        legend(ax)
        return ax

    @cached_property
    def _columns(self) -> tuple[str, ...]:
        """Columns of the corpus with few values."""
        trials = self.run.trials(
            f"linear-layer-{self.run.record.finding.layer:02d}", self.run.part("eval")
        )
        named = [
            name
            for name in trials
            if name not in NO_CONDITIONS and not pd.api.types.is_numeric_dtype(trials[name])
        ]
        return tuple(
            name
            for name in named
            if 1 < trials[name].nunique() <= min(MOST_DRAWN, len(trials) // 4)
        )

    @property
    def _conditions(self) -> pd.DataFrame:
        now = self.choice
        key = (now.by, now.split, now.corpus)
        if key not in self._by:
            self._by[key] = load(self.run, now.corpus).by(now.by, now.split)
        return self._by[key]

    def _set(self, name: str, value: Any) -> None:
        """Choose one thing; what cannot go with it falls back."""
        if name == "layers":
            first, last = (int(end) for end in value)
            known = sorted({int(layer) for layer in self.run.layers["layer"]})
            if first > last or not {first, last} <= set(known):
                raise ProbeError(
                    f"layers={value}: expected the first and the last of {known[0]} to {known[-1]}"
                )
            self.choice = replace(self.choice, layers=(first, last))
            return
        values = tuple(map(str, value)) if name == "conditions" else (str(value),)
        known_values = self.options[name]
        for value in values:
            if value not in known_values:
                choices = ", ".join(known_values) or f"none, as by={EVERY}"
                raise ProbeError(
                    f"{name}={value}: not in {self.run.folder}. Expected one of {choices}"
                )
        new: Any = values if name == "conditions" else values[0]
        self.choice = replace(self.choice, **{name: new})
        if name == "split" and self.choice.corpus not in self.options["corpus"]:
            self.choice = replace(self.choice, corpus=self.options["corpus"][0])
        if self.choice.by not in self.options["by"]:
            self.choice = replace(self.choice, by=EVERY)
        if name != "conditions":
            self.choice = replace(self.choice, conditions=self.options["conditions"][:MOST_AT_ONCE])

    def _png(self, note: str = "") -> bytes:
        figure = figure_of(self.draw())
        if note:
            figure.supxlabel(note, x=0.01, ha="left", fontsize=8, color="0.4")
        return rendered(figure, "png", NOTEBOOK_DPI)

    def _widen(self) -> None:
        """Make the widgets, if ipywidgets is there."""
        try:
            import ipywidgets
        except ImportError:
            return
        now, options = self.choice, self.options
        known = sorted({int(layer) for layer in self.run.layers["layer"]})
        how = {"layout": ipywidgets.Layout(width="20em"), "style": {"description_width": "6em"}}
        names = [(METRICS[name].called, name) for name in options["metric"]]
        self.widgets = {
            "metric": ipywidgets.Dropdown(
                options=names, value=now.metric, description="metric", **how
            ),
            "split": ipywidgets.Dropdown(
                options=options["split"], value=now.split, description="split", **how
            ),
            "corpus": ipywidgets.Dropdown(
                options=options["corpus"], value=now.corpus, description="corpus", **how
            ),
            "by": ipywidgets.Dropdown(options=options["by"], value=now.by, description="by", **how),
            "conditions": ipywidgets.SelectMultiple(
                options=options["conditions"], value=now.conditions, description="conditions", **how
            ),
            "layers": ipywidgets.IntRangeSlider(
                min=known[0],
                max=known[-1],
                value=now.layers,
                description="layers",
                continuous_update=False,
                **how,
            ),
        }
        self._picture = ipywidgets.Image(format="png", value=self._png())
        self._said = ipywidgets.Label()  # of what cannot be drawn
        controls = ipywidgets.VBox([*self.widgets.values(), self._said])
        self._box = ipywidgets.HBox(
            [controls, self._picture], layout=ipywidgets.Layout(flex_flow="row wrap")
        )
        self._show_choice()
        for name, widget in self.widgets.items():
            widget.observe(lambda change, name=name: self._changed(name, change["new"]), "value")

    def _changed(self, name: str, value: Any) -> None:
        """What a widget was set to, unless it is `_show_choice` that sets it."""
        if self._settling:
            return
        try:
            self.choose(**{name: value})
            self._said.value = ""
        except ProbeError as error:
            self._said.value = str(error)
        self._show_choice()

    def _show_choice(self) -> None:
        """Let the widgets offer and show what goes with the choice."""
        self._settling = True
        try:
            for name, options in self.options.items():
                widget = self.widgets[name]
                if name != "metric" and tuple(widget.options) != options:
                    widget.options = options
                widget.value = getattr(self.choice, name)
                widget.layout.display = "" if len(options) > 1 else "none"
            self.widgets["layers"].value = self.choice.layers
        finally:
            self._settling = False

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Widgets where they can be shown, and a picture for everything else."""
        bundle: dict[str, Any] = {"text/plain": repr(self)}
        if self._picture is None:
            return {**bundle, "image/png": b64encode(self._png(NOTE)).decode()}
        return {
            **self._box._repr_mimebundle_(),
            **bundle,
            "image/png": b64encode(self._picture.value).decode(),
        }

    def __repr__(self) -> str:
        return f"Explorer({self.run.folder.name}: {self.choice})"

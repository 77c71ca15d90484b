"""The model card: data, recipe, figures and limits, written from the run itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from probing.audio import SAMPLING_RATE
from probing.runs import Run as SweepRun
from probing.runs.simultaneous import layer_gains

from .config import Recipe
from .speakers import person
from .stages import Stage

TRAINED = "-trained"
RANDOM = "-random"
NAMES = {
    "mel_r2": "log-mel bands explained (R²)",
    "speaker_accuracy": "speaker named from one frame",
}
UNITS = {
    "mfcc": "MFCCs with differences",
    "whisper": "block 2 of the encoder of whisper-tiny.en (MIT licence)",
    "own": "the middle block of the model that the stage began with",
}
READING = """\
Reading it: the first stage of the training teaches log-mel bands, so their figure shows that stage, not the units.
NMI and purity of many small clusters are far from 0 by chance (last row). But for the speaker, who is spread over time
by the lower blocks, the layers differ little: so short a training leaves most of the work to the front end.
"""
COMPARISON = """\
## Which units teach faster
From one start (400 steps of the front end), 400 steps on each kind, float32, seed 0; linear probes on the speech-dev
set, EER (%) as lowest to highest of the 13 layers. One dev clip is 2 points: the order is a hint, no more.

| units | masked-unit accuracy, held-out | dev EER | eval EER |
| --- | --- | --- | --- |
| mfcc | 0.059 | 12.5 to 16.7 | 25.2 to 31.4 |
| whisper | 0.050 | 18.8 to 20.8 | 30.7 to 32.3 |
| both | 0.056 and 0.041 | 14.6 to 20.8 | 27.5 to 31.4 |

MFCC units taught faster. The first stages of the bundled weights were trained on both, before this comparison was made,
the last on MFCC alone.
"""
LIMITS = """\
## What it is not
This is not WavLM-Large, and its layer curve is not the curve of any paper. It has the architecture of WavLM in small,
and some hours of speech where WavLM-Large had 94,000. It exists so that the toolkit shows a real curve, of weights that
learned something, with no download. Choose the backbone of a study elsewhere.

- The speech is read prompts, games and audio books in a few languages, most of it from a dozen speakers: no
  spontaneous speech to speak of, no far field, little noise.
- Some training speakers also speak in the train and dev splits of the demo corpus (none in eval), so its dev
  figures flatter the model; judge by eval.
- Spoofed speech was never seen in training.
- Whisper learned from transcribed speech: where its units are among the targets, this is not self-supervision alone.
"""


def model_card(
    stages: Sequence[Stage],
    table: pd.DataFrame,
    hashes: Mapping[str, str],
    evaluation: pd.DataFrame | None,
    heads: Mapping[str, Sequence[float]] | None,
    curves: Sequence[str] = (),
) -> str:
    """Write the card as Markdown.

    Args:
        stages: of the training, the last one this run's.
        table: of the recordings.
        hashes: SHA-256 of the files, by name.
        evaluation: of every layer, as `evaluation.compare` gives it.
        heads: masked-unit accuracy by model, one figure per kind of units.
        curves: what `layer_curves` says.
    """
    parts = [_title(stages), _data(table), _training(stages)]
    if evaluation is not None and heads is not None:
        parts.append(_figures(stages[-1].recipe, evaluation, heads))
    parts += curves
    files = "\n".join(f"- `{name}` {digest}" for name, digest in hashes.items())
    parts += [COMPARISON, LIMITS + _no_second_iteration(stages), f"## Files (SHA-256)\n{files}"]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _title(stages: Sequence[Stage]) -> str:
    kinds = dict.fromkeys(kind for stage in stages for kind in stage.recipe.units)
    steps = sum(stage.steps for stage in stages)
    return f"""\
# embedded WavLM 12x192

A small WavLM (12 blocks of width 192, layer-norm front end of width 64 to 128, 50 frames/s, 5.7 million weights,
float16), trained by masked prediction of {" and ".join(kinds)} units for {steps:,} steps.
Written by `python -m probing.provenance.pretraining`.
"""


def _data(table: pd.DataFrame) -> str:
    seconds = table["length"] / SAMPLING_RATE
    rows = []
    for (source, licence), group in table[table["part"] == "train"].groupby(["source", "licence"]):
        hours = seconds[group.index].sum() / 3600
        rows.append(
            f"| {source} | {licence} | {group['speaker'].map(person).nunique()} | {hours:.2f} |"
        )
    heldout = table[table["part"] == "heldout"]
    listed = "\n".join(rows)
    train = table["part"] == "train"
    return f"""\
## Data
{seconds[train].sum() / 3600:.2f} hours of speech of {table.loc[train, "speaker"].map(person).nunique()} speakers.

| source | licence of the recordings | speakers | hours |
| --- | --- | --- | --- |
{listed}

Left out altogether: every person who speaks in the eval split of the demo corpus or of the speech-dev set, spoofed or
not. Held out for the figures below: {heldout["speaker"].nunique()} LibriSpeech speakers
({seconds[heldout.index].sum() / 60:.0f} minutes). The weights hold no recording; the licences above are those of the
recordings.
"""


def _training(stages: Sequence[Stage]) -> str:
    steps: list[str] = []
    for stage in stages:
        recipe = stage.recipe
        if recipe.front_end_steps:
            steps.append(
                f"{min(stage.steps, recipe.front_end_steps):,} steps teach the convolutional "
                "front end alone to say the 40 log-mel bands of its frame."
            )
        reached = "; ".join(
            f"{kind}: training {train:.3f}, held-out {heldout:.3f}"
            for kind, (train, heldout) in stage.accuracy.items()
        )
        steps.append(
            f"{max(0, stage.steps - recipe.front_end_steps):,} steps teach the whole model to "
            f"name the unit of masked frames, as HuBERT does: {recipe.n_clusters} k-means "
            f"clusters each of {' and of '.join(UNITS[kind] for kind in recipe.units)}. "
            f"Masked-unit accuracy at the last step, with the heads of the training: {reached}."
        )
    listed = "\n".join(f"{i}. {step}" for i, step in enumerate(steps, 1))
    recipe = stages[-1].recipe
    seen = (
        sum(stage.steps * stage.recipe.batch * stage.recipe.n_frames for stage in stages)
        / 50
        / 3600
    )
    recipes = "\n".join(json.dumps(asdict(stage.recipe)) for stage in stages)
    return f"""\
## Recipe
{listed}

The heads are linear, one per kind of units, and drawn anew in every stage; the losses are summed, frames that are not
masked weigh {recipe.unmasked_weight:g}. As in WavLM, crops are overlapped over at most half their length,
{recipe.mix_speech:.0%} with another utterance and {recipe.mix_noise:.0%} with noise, and the units remain those of the
first. A step is {recipe.batch} crops of {recipe.n_frames / 50:g} s: {seen:.0f} hours of speech were seen. AdamW,
products in bfloat16 where the machine has them. The stages, a line each:

```json
{recipes}
```
"""


def _no_second_iteration(stages: Sequence[Stage]) -> str:
    if any("own" in stage.recipe.units for stage in stages):
        return ""
    return "- There was no second iteration on the model's own features.\n"


def _figures(recipe: Recipe, evaluation: pd.DataFrame, heads: Mapping[str, Sequence[float]]) -> str:
    models = list(dict.fromkeys(evaluation["model"]))
    lines = [
        "## What it learned",
        "On held-out speakers, against the same architecture with random weights.",
        "",
    ]
    lines += [
        "| masked-unit accuracy | " + " | ".join(heads) + " |",
        "| --- |" + " --- |" * len(heads),
    ]
    for i, kind in enumerate(recipe.units):
        lines.append(
            f"| {kind} units | "
            + " | ".join(f"{figures[i]:.3f}" for figures in heads.values())
            + " |"
        )
    lines += ["", _by_layer(evaluation, models)]
    lines += ["", READING]
    return "\n".join(lines)


def _by_layer(evaluation: pd.DataFrame, models: Sequence[str]) -> str:
    measures = list(dict.fromkeys(evaluation["measure"]))
    wide: Any = evaluation.pivot(index="layer", columns=["measure", "model"], values="value")
    lines = ["Each cell: " + " / ".join(models) + ".", ""]
    lines += [
        "| layer | "
        + " | ".join(NAMES.get(measure, measure.replace("_", " ")) for measure in measures)
        + " |"
    ]
    lines += ["| --- |" + " --- |" * len(measures)]
    for layer in wide.index:
        cells = [
            " / ".join(f"{wide.loc[layer, (measure, model)]:.2f}" for model in models)
            for measure in measures
        ]
        lines.append(f"| {layer} | " + " | ".join(cells) + " |")
    chance = evaluation.groupby("measure")["chance"].mean()
    lines.append(
        "| chance | " + " | ".join(f"{chance[measure]:.2f}" for measure in measures) + " |"
    )
    return "\n".join(lines)


def layer_curves(sweeps: Mapping[str, SweepRun]) -> list[str]:
    """Write the part of the card on the EER of linear probes.

    Args:
        sweeps: runs of `probe sweep` by name; where NAME-trained and NAME-random are among them,
            they are compared.

    Raises:
        ProbeError: two to compare are on other utterances.
    """
    return (
        [_curves({name: run.results for name, run in sweeps.items()}), _gains(sweeps)]
        if sweeps
        else []
    )


def _curves(curves: Mapping[str, pd.DataFrame]) -> str:
    """Show the EER of a linear probe on every layer, and of features that need no model."""
    lines = ["## Telling synthetic from human speech", ""]
    lines += [
        "EER (%) of a linear probe per layer, as `probe sweep` gives "
        "it: dev / eval, with the 95 % interval of eval"
    ]
    lines += [
        "over speakers. Small sets with confounds, and few speakers: "
        "where intervals overlap, nothing is ranked.",
        "The last row says what needs no model.",
        "",
    ]
    lines += ["| layer | " + " | ".join(curves) + " |", "| --- |" + " --- |" * len(curves)]
    tables = {name: table[table["metric"] == "eer"] for name, table in curves.items()}
    layers = sorted({int(layer) for table in tables.values() for layer in table["layer"].dropna()})
    rows: list[tuple[str, str, float | None]] = [(str(layer), "layer", layer) for layer in layers]
    for label, experiment, layer in [*rows, ("trivial features", "trivial-features", None)]:
        cells = [
            _cell(table[table["experiment"] == experiment], layer) for table in tables.values()
        ]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(table: pd.DataFrame, layer: float | None) -> str:
    here = table if layer is None else table[table["layer"] == layer]
    by_split = here.drop_duplicates("split").set_index("split")
    if not {"dev", "eval"} <= set(by_split.index):
        return "-"
    dev = by_split.loc["dev"]
    judged = by_split.loc["eval"]
    interval = f"[{100 * judged['low']:.0f}, {100 * judged['high']:.0f}]"
    return f"{100 * dev['value']:.1f} / {100 * judged['value']:.1f} {interval}"


def _gains(sweeps: Mapping[str, SweepRun]) -> str:
    """How far the eval EER lies below that of random weights, on the same resamples."""
    corpora = [name.removesuffix(TRAINED) for name in sweeps if name.endswith(TRAINED)]
    pairs = {
        name: (sweeps[name + TRAINED], sweeps[name + RANDOM])
        for name in corpora
        if name + RANDOM in sweeps
    }
    if not pairs:
        return ""
    lines = [
        "Points of eval EER below random weights, paired, with 95 % "
        "intervals over speakers that hold for all layers"
    ]
    lines += ["at once; where one holds 0, the gain may be chance.", ""]
    lines += ["| layer | " + " | ".join(pairs) + " |", "| --- |" + " --- |" * len(pairs)]
    gains = [100 * layer_gains(*pair) for pair in pairs.values()]
    for layer in sorted(set.intersection(*(set(table.index) for table in gains))):
        cells = [
            f"{of[0]:+.1f} [{of[1]:+.1f}, {of[2]:+.1f}]"
            for table in gains
            for of in [table.loc[layer].to_numpy()]
        ]
        lines.append(f"| {layer} | " + " | ".join(cells) + " |")
    return "\n".join(lines)

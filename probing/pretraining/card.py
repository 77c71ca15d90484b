"""The model card: data, recipe, figures and limits of a trained model, written from the run itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from probing.audio import SAMPLING_RATE

from .config import Recipe
from .speakers import person

NAMES = {
    "mel_r2": "log-mel bands explained (R²)",
    "speaker_accuracy": "speaker identification",
}
READING = """\
Reading it: the first stage of the training teaches log-mel bands, so their figure shows that stage, not the units.
Ten speakers with ten clips each are told apart too easily to rank layers. NMI and purity of many small clusters are far
from 0 by chance (last row). The layers differ little: so short a training leaves most of the work to the front end.
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

MFCC units taught faster. The bundled weights were trained on both, before this comparison was made.
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
- There was no second iteration on the model's own features.
- On the demo corpus the gain over random weights lies inside the interval.
"""


def model_card(
    recipe: Recipe,
    steps: int,
    table: pd.DataFrame,
    log: pd.DataFrame,
    hashes: Mapping[str, str],
    evaluation: pd.DataFrame | None,
    heads: Mapping[str, Sequence[float]] | None,
    curves: Mapping[str, pd.DataFrame] | None = None,
) -> str:
    """Write the card as Markdown.

    Args:
        recipe: of the run.
        steps: done.
        table: of the recordings.
        log: of the training.
        hashes: SHA-256 of the files, by name.
        evaluation: of every layer, as `evaluation.compare` gives it.
        heads: masked-unit accuracy by model, one figure per kind of units.
        curves: results of `probe sweep` by name.
    """
    parts = [_title(recipe, steps), _data(table), _recipe(recipe, steps, log)]
    if evaluation is not None and heads is not None:
        parts.append(_figures(recipe, evaluation, heads))
    if curves:
        parts.append(_curves(curves))
    files = "\n".join(f"- `{name}` {digest}" for name, digest in hashes.items())
    parts += [COMPARISON, LIMITS, f"## Files (SHA-256)\n{files}"]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _title(recipe: Recipe, steps: int) -> str:
    return f"""\
# embedded WavLM 12x192

A small WavLM (12 blocks of width 192, layer-norm front end of width 64 to 128, 50 frames/s, 5.7 million weights,
float16), trained by masked prediction of {" and ".join(recipe.units)} units for {steps:,} steps.
Written by `python -m probing.pretraining`.
"""


def _data(table: pd.DataFrame) -> str:
    seconds = table["length"] / SAMPLING_RATE
    rows = []
    for (source, licence), group in table[table["part"] == "train"].groupby(["source", "licence"]):
        hours = seconds[group.index].sum() / 3600
        rows.append(f"| {source} | {licence} | {group['speaker'].map(person).nunique()} | {hours:.2f} |")
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


def _recipe(recipe: Recipe, steps: int, log: pd.DataFrame) -> str:
    crop = recipe.n_frames / 50
    last = log.iloc[-1]
    accuracies = ((kind, last[f"train_{kind}_accuracy"], last[f"heldout_{kind}_accuracy"]) for kind in recipe.units)
    reached = "; ".join(f"{kind}: training {train:.3f}, held-out {heldout:.3f}" for kind, train, heldout in accuracies)
    whole_model = max(0, steps - recipe.front_end_steps)
    return f"""\
## Recipe
1. {recipe.front_end_steps:,} steps teach the convolutional front end alone to say the 40 log-mel bands of its frame.
2. The other {whole_model:,} steps teach the whole model to name the unit of masked frames, as HuBERT does:
   {recipe.n_clusters} k-means clusters each of {_units(recipe)}.
   One linear head per kind; the losses are summed, frames that are not masked weigh {recipe.unmasked_weight:g}.
3. As in WavLM, crops are overlapped over at most half their length, {recipe.mix_speech:.0%} with another utterance and
   {recipe.mix_noise:.0%} with noise, and the units remain those of the first.

A step is {recipe.batch} crops of {crop:g} s: {steps * recipe.batch * crop / 3600:.0f} hours of speech were seen.
AdamW, bfloat16 products, seed {recipe.seed}. Masked-unit accuracy at the last
step, with the training's own heads: {reached}.

```json
{json.dumps(asdict(recipe))}
```
"""


def _units(recipe: Recipe) -> str:
    of = {"mfcc": "MFCCs with differences", "whisper": "block 2 of the encoder of whisper-tiny.en (MIT licence)"}
    return " and of ".join(of[kind] for kind in recipe.units)


def _figures(recipe: Recipe, evaluation: pd.DataFrame, heads: Mapping[str, Sequence[float]]) -> str:
    models = list(dict.fromkeys(evaluation["model"]))
    lines = ["## What it learned", "On held-out speakers, against the same architecture with random weights.", ""]
    lines += ["| masked-unit accuracy | " + " | ".join(heads) + " |", "| --- |" + " --- |" * len(heads)]
    for i, kind in enumerate(recipe.units):
        lines.append(f"| {kind} units | " + " | ".join(f"{figures[i]:.3f}" for figures in heads.values()) + " |")
    lines += ["", _by_layer(evaluation, models)]
    lines += ["", READING]
    return "\n".join(lines)


def _by_layer(evaluation: pd.DataFrame, models: Sequence[str]) -> str:
    measures = list(dict.fromkeys(evaluation["measure"]))
    wide: Any = evaluation.pivot(index="layer", columns=["measure", "model"], values="value")
    lines = ["Each cell: " + " / ".join(models) + ".", ""]
    lines += ["| layer | " + " | ".join(NAMES.get(measure, measure.replace("_", " ")) for measure in measures) + " |"]
    lines += ["| --- |" + " --- |" * len(measures)]
    for layer in wide.index:
        cells = [" / ".join(f"{wide.loc[layer, (measure, model)]:.2f}" for model in models) for measure in measures]
        lines.append(f"| {layer} | " + " | ".join(cells) + " |")
    chance = evaluation.groupby("measure")["chance"].mean()
    lines.append("| chance | " + " | ".join(f"{chance[measure]:.2f}" for measure in measures) + " |")
    return "\n".join(lines)


def _curves(curves: Mapping[str, pd.DataFrame]) -> str:
    """Show the EER of a linear probe on every layer, and of features that need no model."""
    lines = ["## Telling synthetic from human speech", ""]
    lines += [
        "EER (%) of a linear probe per layer, as `probe sweep` gives it: dev / eval, with the 95 % interval of eval"
    ]
    lines += [
        "over speakers. Small sets with confounds, and few speakers: where intervals overlap, nothing is ranked.",
        "The last row says what needs no model.",
        "",
    ]
    lines += ["| layer | " + " | ".join(curves) + " |", "| --- |" + " --- |" * len(curves)]
    tables = {name: table[table["metric"] == "eer"] for name, table in curves.items()}
    layers = sorted({int(layer) for table in tables.values() for layer in table["layer"].dropna()})
    rows: list[tuple[str, str, float | None]] = [(str(layer), "layer", layer) for layer in layers]
    for label, experiment, layer in [*rows, ("trivial features", "trivial-features", None)]:
        cells = [_cell(table[table["experiment"] == experiment], layer) for table in tables.values()]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(table: pd.DataFrame, layer: float | None) -> str:
    here = table if layer is None else table[table["layer"] == layer]
    by_split = here.drop_duplicates("split").set_index("split")
    if not {"dev", "eval"} <= set(by_split.index):
        return "-"
    dev, judged = by_split.loc["dev"], by_split.loc["eval"]
    interval = f"[{100 * judged['low']:.0f}, {100 * judged['high']:.0f}]"
    return f"{100 * dev['value']:.1f} / {100 * judged['value']:.1f} {interval}"

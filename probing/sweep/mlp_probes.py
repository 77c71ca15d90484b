"""MLP probes of single layers, for what a linear probe cannot read, with their own control."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from cache import Cache
from probing.heads.recipes import QUICK
from probing.heads.scoring import scores_of
from probing.heads.sources import PooledSource
from probing.heads.stack import HeadStack, Model
from probing.heads.training import train
from probing.metrics import Interval, Resamples, difference_interval, eer
from probing.sweep.experiments import LAYERS, MLP, MLP_CONTROL
from probing.sweep.finding import intervals_by_layer
from probing.sweep.fitting import Labelling
from probing.sweep.linear import READ_VALUES, features_of
from probing.sweep.split import EVAL, Split

LEVEL = 0.5  # EER of chance


@dataclass(frozen=True)
class MLPProbe:
    """One fitted probe.

    strength: weight decay chosen on dev.
    scores: part -> (N,) log odds of bona fide.
    """

    strength: float
    scores: dict[str, NDArray[np.float64]]


def probe_with_mlp(
    cache: Cache, splits: dict[str, Split], labellings: Sequence[Labelling], device: str = "cpu"
) -> Iterator[tuple[int, list[MLPProbe]]]:
    """Fit a multilayer perceptron a layer and labelling: 64 SiLU units, see `heads.backends.MLP`.

    It sees what the linear probe sees, mean and deviation over time, standardised. A model for each
    weight decay of the recipe `quick` is trained, all in parallel; which model and which epoch is
    chosen on dev.

    Args:
        cache: whose layers.
        splits: part -> utterances.
        labellings: K of them, part -> (N,) boolean for `train` and `dev`; the true one, or shuffled
            ones.
        device: where to train.

    Yields:
        Layers in order, each with its K probes, with scores of all parts but `train`.
    """
    for layer in cache.layers:
        train_on, dev = (_source(splits[part], layer) for part in ("train", "dev"))
        stacks = []
        chosen = []
        for labels in labellings:
            models = [
                Model(
                    "single",
                    "mlp",
                    depth=1,
                    seed=0,
                    learning_rate=QUICK.learning_rates[0],
                    weight_decay=decay,
                )
                for decay in QUICK.weight_decays
            ]
            stack = HeadStack(models, 1, train_on.dim, frames=False)
            train(
                [stack],
                train_on,
                train_target=labels["train"],
                dev_source=dev,
                dev_target=labels["dev"],
                recipe=QUICK,
                device=device,
            )
            on_dev = scores_of([stack], dev, 1024, device)[0].double().numpy()
            m = int(np.argmin([eer(labels["dev"], scores) for scores in on_dev]))
            stacks.append(stack.to("cpu").take(m).to(device).eval())
            chosen.append(MLPProbe(models[m].weight_decay, {"dev": on_dev[m]}))
        for part, split in splits.items():
            if split.name == EVAL:
                for probe, scores in zip(
                    chosen, _scores(stacks, split, layer, device), strict=True
                ):
                    probe.scores[part] = scores
        yield layer, chosen


def _source(split: Split, layer: int) -> PooledSource:
    return PooledSource(features_of(split, layer, split.table)[None])


def _scores(
    stacks: Sequence[HeadStack], split: Split, layer: int, device: str
) -> NDArray[np.float64]:
    """Scores (K, N) of a layer, a block of utterances at a time."""
    found = np.empty((len(stacks), len(split)))
    rows_at_once = max(1, READ_VALUES // stacks[0].dim)
    for first in range(0, len(split), rows_at_once):
        rows = slice(first, first + rows_at_once)
        x = torch.from_numpy(
            features_of(split, layer, split.table.iloc[rows]).astype(np.float32)
        ).to(device)
        for k, stack in enumerate(stacks):
            found[k, rows] = stack.score(x[:, None, None])[0].double().cpu().numpy()
    return found


@dataclass(frozen=True)
class MLPFinding:
    """Which layer an MLP probe reads best, as far as dev can tell.

    layer: chosen on dev.
    rate: its eval EER, 0 to 1.
    linear: that of the linear probe of this layer.
    difference: linear less MLP on the same resamples.
    shuffled: mean eval EER of the MLP trained on shuffled labels; NaN without control.
    """

    layer: int
    rate: Interval
    linear: Interval
    difference: Interval
    shuffled: float

    def sentence(self) -> str:
        """The finding in words."""
        chance = ", not shown to be better than chance" if self.rate.high >= LEVEL else ""
        points = 100 * self.difference.value
        low, high = sorted(
            np.sign(points or 1) * 100 * end for end in (self.difference.low, self.difference.high)
        )
        sure = (
            "" if self.difference.low > 0 or self.difference.high < 0 else ", which may be chance"
        )
        shuffled = (
            "" if np.isnan(self.shuffled) else f"; with shuffled labels {100 * self.shuffled:.1f} %"
        )
        return (
            f"An MLP probe, chosen on dev: layer {self.layer}, with an eval EER of "
            f"{self.rate}{chance}; the linear probe of this layer has {self.linear}, "
            f"{abs(points):z.1f} points {'more' if points >= 0 else 'less'} [{low:z.1f}, "
            f"{high:z.1f}]{sure}{shuffled}."
        )

    def as_dict(self) -> dict[str, Any]:
        """For the run record."""
        return {**asdict(self), "sentence": self.sentence()}


def find_mlp(
    table: pd.DataFrame,
    corpus: str,
    boots: Mapping[int, NDArray[np.float64]],
    linear_boots: Mapping[int, NDArray[np.float64]],
    resamples: Resamples,
) -> MLPFinding:
    """The finding of MLP probes on one corpus.

    Args:
        table: of the results.
        corpus: evaluated on.
        boots: layer -> (R,) the EER of the MLP probe on resamples of eval.
        linear_boots: layer -> (R,) that of the linear probe, paired.
        resamples: whose they are.
    """
    rows = table[table["experiment"] == MLP]
    dev = rows[rows["split"] == "dev"]
    layer = int(dev.loc[dev["value"].idxmin(), "layer"])
    on_eval = table[(table["split"] == "eval") & (table["corpus"] == corpus)]
    rate, linear = (
        intervals_by_layer(on_eval[on_eval["experiment"] == name])[layer] for name in (MLP, LAYERS)
    )
    difference = difference_interval(
        linear.value - rate.value, linear_boots[layer] - boots[layer], resamples
    )
    control = on_eval[(on_eval["experiment"] == MLP_CONTROL) & (on_eval["layer"] == layer)]
    return MLPFinding(
        layer, rate, linear=linear, difference=difference, shuffled=float(control["value"].mean())
    )

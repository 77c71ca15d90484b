"""Linear probes refitted on other speakers: how an error rate depends on who was trained on."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm

from probing.metrics import draw, eer
from probing.probes import Scaling, fit_logistic
from probing.sweep.fitting import MOST_FLOAT64, TOLERANCE, Probe, margins
from probing.sweep.linear import add_scores, features_of
from probing.sweep.split import EVAL, Split

REFITS = 50
AT_ONCE = 10  # refits in one solve


class Refits:
    """Refits every layer on training sets drawn anew, clusters within class as for an interval.

    Args:
        splits: part -> utterances.
        interval_by: what is drawn, see `Split.clusters`.
        strengths: values of C, chosen on dev anew for each.
        seed: of the draws, which are the same for every layer.
        device: where to solve.
        n: training sets.
    """

    def __init__(
        self,
        splits: dict[str, Split],
        interval_by: str,
        strengths: tuple[float, ...],
        seed: int,
        device: str = "cpu",
        n: int = REFITS,
    ) -> None:
        self._splits = splits
        self._strengths = sorted(strengths)
        self._device = device
        train = splits["train"]
        drawn = draw(train.bonafide, train.clusters(interval_by), n=n, seed=seed)
        self._weights = drawn.counts[:, drawn.cluster].astype(np.float64)

    def shifts(self, layer: int) -> dict[str, NDArray[np.float64]]:
        """Part -> (n,) probits of the EERs of the refits, less their mean."""
        found = {}
        probes = self._fitted(layer)
        for part, split in self._splits.items():
            if split.name == EVAL:
                add_scores(layer, probes, part=part, split=split, device=self._device)
            if part != "train":
                rates = np.array([eer(split.bonafide, probe.scores[part]) for probe in probes])
                probits = norm.ppf(_within(rates, split))
                found[part] = probits - probits.mean()
        return found

    def _fitted(self, layer: int) -> list[Probe]:
        train = self._splits["train"]
        dev = self._splits["dev"]
        x = torch.from_numpy(features_of(train, layer, train.table)).to(self._device)[None]
        dtype = torch.float32 if x.numel() > MOST_FLOAT64 else torch.float64
        scaling = Scaling.of(x, dtype)
        z = scaling.apply(x, dtype)
        on_dev = features_of(dev, layer, dev.table)
        probes = []
        for first in range(0, len(self._weights), AT_ONCE):
            rows = torch.from_numpy(self._weights[first : first + AT_ONCE]).to(self._device)
            targets = torch.tensor(train.bonafide, device=self._device).expand(len(rows), -1)
            solution = fit_logistic(z, targets, self._strengths, rows=rows, tolerance=TOLERANCE)
            weight, bias = (values[0] for values in scaling.fold(solution.weight, solution.bias))
            for k, of_strengths in enumerate(margins(on_dev, weight, bias)):
                best = int(np.argmin([eer(dev.bonafide, scores) for scores in of_strengths]))
                fitted = weight[k, best].cpu().numpy(), float(bias[k, best])
                probes.append(Probe(self._strengths[best], *fitted, {"dev": of_strengths[best]}))
        return probes


def with_training(
    resampled: NDArray[np.float64], shifts: NDArray[np.float64], split: Split
) -> NDArray[np.float64]:
    """Resamples of an error rate that vary by who was trained on as well.

    Each is moved by what one refit differs from the mean of all, as probits, so that a rate stays
    within 0 and 1; the mean itself is not moved, as training sets drawn with replacement have fewer
    speakers and so a higher error.

    Args:
        resampled: (R,) on resamples of the split.
        shifts: (n,) of `Refits.shifts`.
        split: whose trials.
    """
    moved = norm.cdf(norm.ppf(_within(resampled, split)) + np.resize(shifts, len(resampled)))
    return np.asarray(moved, np.float64)


def _within(rates: NDArray[np.float64], split: Split) -> NDArray[np.float64]:
    """Rates no nearer to 0 and 1 than half a trial."""
    least = 0.5 / min(split.bonafide.sum(), (~split.bonafide).sum())
    return np.clip(rates, least, 1 - least)

"""Losses of heads: cross-entropy or squared error of every model, and the weights of utterances."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .recipes import Recipe

Target = NDArray[Any]  # (N,) bool of two classes, whole numbers of more, float64 of numbers


def class_weights(target: Target, recipe: Recipe) -> Tensor:
    """Weight (N,) of each utterance in the loss; classes count alike in sum, numbers all the same.

    Two classes weigh as `Recipe.bonafide_weight` says, if it says so.

    >>> class_weights(np.array([True, False, False, False]), Recipe())
    tensor([2.0000, 0.6667, 0.6667, 0.6667])
    """
    if target.dtype.kind == "f":
        return torch.ones(len(target))
    if target.dtype != bool:
        counts = np.bincount(target)
        return torch.from_numpy(len(target) / ((counts > 0).sum() * counts[target])).float()
    share = float(target.mean())
    bonafide, spoof = (
        (recipe.bonafide_weight, 1 - recipe.bonafide_weight)
        if recipe.bonafide_weight is not None
        else (0.5 / share, 0.5 / (1 - share))
    )
    return torch.from_numpy(np.where(target, bonafide, spoof)).float()


def prior_log_odds(bonafide: Target, recipe: Recipe) -> float:
    """Log odds of bona fide in a training set as the loss counts it; 0 if both classes weigh alike.

    At the least of a weighted cross-entropy scores are log odds at that prior. Less its log odds
    they are log-likelihood ratios (Bayes' rule), as costs such as Cllr and actDCF read scores.

    >>> prior_log_odds(np.array([True, False]), Recipe())
    0.0
    >>> round(prior_log_odds(np.array([True, False]), Recipe(bonafide_weight=0.9)), 4)
    2.1972
    """
    if recipe.bonafide_weight is None:
        return 0.0
    weights = class_weights(bonafide, recipe).double().numpy()
    return float(np.log(weights[bonafide].sum() / weights[~bonafide].sum()))


def loss_of(logits: Tensor, targets: Target, weights: Tensor, outputs: int | None) -> Tensor:
    """Sum (M,) of the weighted cross-entropies, or squared errors of numbers.

    Args:
        logits: (M, B, O).
        targets: (B,).
        weights: (B,).
        outputs: see `HeadStack`.

    >>> loss_of(torch.zeros(1, 2, 1), np.array([True, False]), torch.ones(2), None)
    tensor([1.3863])
    """
    target = torch.from_numpy(targets).to(logits.device)
    if outputs == 1:
        losses = (logits[:, :, 0] - target.float()).square()
    elif logits.shape[2] == 1:
        losses = functional.binary_cross_entropy_with_logits(
            logits[:, :, 0], target.float().expand(len(logits), -1), reduction="none"
        )
    else:
        classes = target.long().expand(len(logits), -1)[..., None]
        losses = -torch.log_softmax(logits, dim=2).gather(2, classes)[..., 0]
    return (losses * weights.to(logits.device)).sum(1)

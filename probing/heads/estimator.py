"""A head as a scikit-learn estimator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GroupShuffleSplit, StratifiedShuffleSplit
from sklearn.utils.validation import check_is_fitted

from probing.registry import RegistryError

from .head import HeadUnusable
from .kinds import BACKENDS, MERGES
from .recipes import QUICK
from .scoring import scores_of
from .sources import PooledSource
from .stack import HeadStack, Model
from .training import train

DRAWS = 100  # of a grouped dev split, until both parts have both classes


class MergeClassifier(ClassifierMixin, BaseEstimator):
    """A merge of layers and a back-end, trained as `probe sweep` trains one head on one depth.

    Args:
        merge: one of `MERGES`.
        backend: one of `BACKENDS` that needs no frames.
        depth: layers it sees, the first so many; None all.
        seed: of the first weights, the order of utterances and the dev split.
        learning_rate, weight_decay: of AdamW.
        epochs: at most.
        dev_share: of the utterances (or groups), kept back to choose the epoch by.

    Attributes:
        classes_: the two classes, ascending; positive scores speak for the second.
        gates_: (depth,) weight of each layer, mean over the utterances it was fitted on.
        dev_rows_: utterances that were kept back.
    """

    def __init__(
        self,
        merge: str = "attentive-compact",
        backend: str = "linear",
        depth: int | None = None,
        seed: int = 0,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.1,
        epochs: int = 40,
        dev_share: float = 0.2,
    ) -> None:
        self.merge = merge
        self.backend = backend
        self.depth = depth
        self.seed = seed
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.epochs = epochs
        self.dev_share = dev_share

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> MergeClassifier:
        """Fit on layers (N, L, P), layer 1 first, and labels (N,); no group is in both parts.

        Raises:
            HeadUnusable: another shape, values that are not finite, not two classes, or too few for
                a dev split.
        """
        x = _layers(X)
        labels = np.asarray(y)
        depth = x.shape[1] if self.depth is None else self.depth
        self._check_kinds()
        if not 1 <= depth <= x.shape[1]:
            raise HeadUnusable(
                f"depth={self.depth}: expected 1 to {x.shape[1]}, the layers of X, or None"
            )
        if not 0 < self.dev_share < 1 or self.epochs < 1:
            raise HeadUnusable(
                f"dev_share={self.dev_share}, epochs={self.epochs}: "
                "expected a share between 0 and 1, and 1 or more"
            )
        if labels.shape != (len(x),):
            raise HeadUnusable(
                f"y of shape {labels.shape}: expected ({len(x)},), a label for each row of X"
            )
        self.classes_, targets = np.unique(labels, return_inverse=True)
        if len(self.classes_) != 2:
            raise HeadUnusable(f"y has {len(self.classes_)} classes: expected two")
        second = targets == 1
        fitted, self.dev_rows_ = self._parts(second, groups)
        recipe = replace(
            QUICK,
            epochs=self.epochs,
            learning_rates=(self.learning_rate,),
            weight_decays=(self.weight_decay,),
            seed=self.seed,
        )
        model = Model(
            self.merge,
            self.backend,
            depth=depth,
            seed=self.seed,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
        )
        self.n_layers_in_, self.n_features_in_ = x.shape[1:]
        self.stack_ = HeadStack([model], depth, self.n_features_in_, frames=False)
        sources = [
            PooledSource(x[rows, :depth].transpose(1, 0, 2)) for rows in (fitted, self.dev_rows_)
        ]
        train(
            [self.stack_],
            sources[0],
            train_target=second[fitted],
            dev_source=sources[1],
            dev_target=second[self.dev_rows_],
            recipe=recipe,
        )
        self.stack_.eval()
        with torch.no_grad():
            values = self.stack_.standardized(torch.from_numpy(x[fitted, :depth, None]))
            self.gates_ = self.stack_.merge.gates(values)[0].double().mean(0).numpy()
        return self

    def _check_kinds(self) -> None:
        try:
            MERGES.find(self.merge)
            unfit = BACKENDS.find(self.backend).needs_frames
        except RegistryError as error:
            raise HeadUnusable(f"merge={self.merge!r}, backend={self.backend!r}: {error}") from None
        if unfit:
            pooled = ", ".join(name for name, kind in BACKENDS.items() if not kind.needs_frames)
            raise HeadUnusable(
                f"backend={self.backend!r}: needs every frame; expected one of {pooled}"
            )

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Log odds (N,) of the second class, of layers (N, L, P)."""
        check_is_fitted(self)
        x = _layers(X)
        if x.shape[1:] != (self.n_layers_in_, self.n_features_in_):
            raise HeadUnusable(
                f"X of shape {x.shape}: fitted on (N, {self.n_layers_in_}, {self.n_features_in_})"
            )
        source = PooledSource(x[:, : self.stack_.n_layers].transpose(1, 0, 2))
        return np.asarray(scores_of([self.stack_], source, 1024)[0][0].double().numpy())

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (N, 2) of the classes, at the balanced prior."""
        scores = self.decision_function(X)
        return np.exp(-np.logaddexp(0, np.stack([scores, -scores], axis=1)))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The likelier class of each row."""
        return np.asarray(self.classes_[(self.decision_function(X) > 0).astype(int)])

    def _parts(self, second: NDArray[np.bool_], groups: ArrayLike | None) -> list[NDArray[np.intp]]:
        """Rows to fit on and rows kept back, each with both classes."""
        known = None if groups is None else np.asarray(groups)
        if known is not None and known.shape != second.shape:
            raise HeadUnusable(
                f"groups of shape {known.shape}: expected {second.shape}, a group for each row of X"
            )
        splitter = (
            StratifiedShuffleSplit(1, test_size=self.dev_share, random_state=self.seed)
            if known is None
            else GroupShuffleSplit(DRAWS, test_size=self.dev_share, random_state=self.seed)
        )
        try:
            for parts in splitter.split(second, second, known):
                if all(0 < second[rows].sum() < len(rows) for rows in parts):
                    return list(parts)
        except ValueError as error:
            raise HeadUnusable(
                f"no dev split of {self.dev_share:g} of {len(second)} rows: {error}"
            ) from None
        raise HeadUnusable(
            f"dev_share={self.dev_share}: no split leaves both "
            "classes in both parts. Give more groups"
        )


def _layers(X: ArrayLike) -> NDArray[np.float32]:
    x = np.asarray(X, np.float32)
    if x.ndim != 3 or not x.size:
        raise HeadUnusable(
            f"X of shape {x.shape}: expected (N, L, P), P features of L layers of N utterances"
        )
    if not np.isfinite(x).all():
        raise HeadUnusable("X holds values that are not finite numbers. Leave those utterances out")
    return x

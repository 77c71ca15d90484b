"""Training recipes of heads: everything that decides what a training computes, but the data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from cache.errors import ProbeError


@dataclass(frozen=True)
class Recipe:
    """How heads are trained.

    batch: utterances per step.
    epochs: at most.
    min_epochs, patience: stop a model whose dev loss has not fallen for `patience` epochs, from
        `min_epochs` on.
    learning_rates, weight_decays: of AdamW; a model for each pair, chosen on dev.
    warm_up, decay: the rate rises over so many epochs, then is multiplied by `decay` after each.
    bonafide_weight: of the cross-entropy, the spoofed class having 1 minus it; None weighs both
        classes equally.
    standardize: bring every feature of every layer to mean 0 and deviation 1 of the training set.
    scaled_init: start gates unsaturated (see `merges.AttentiveMerge`).
    keep: average the parameters of this many epochs of lowest dev loss; with `successors` of those
        that follow them.
    by_epoch: one rate for a whole epoch, which begins at 1 / warm_up.
    stop_exactly: stop only where the epochs without a lower dev loss are `patience` exactly, after
        `min_epochs`.
    drop_last: leave the last batch out if it is not whole.
    fresh_moments_at: forget the moments of AdamW at this epoch.
    n_frames: frames tier: a random crop of this many in training, the first ones when scoring; None
        takes all.
    seed: of the order of utterances and the crops; the weights have seeds of their own.

    >>> Recipe(warm_up=2, decay=0.5).rate(1.0), Recipe(warm_up=2, decay=0.5).rate(3.0)
    (0.5, 0.5)
    """

    name: str = "quick"
    batch: int = 64
    epochs: int = 40
    min_epochs: int = 5
    patience: int = 5
    learning_rates: tuple[float, ...] = (3e-3,)
    weight_decays: tuple[float, ...] = (0.01, 0.1, 1.0, 3.0, 10.0)
    warm_up: int = 1
    decay: float = 0.95
    bonafide_weight: float | None = None
    standardize: bool = True
    scaled_init: bool = True
    keep: int = 1
    n_frames: int | None = None
    seed: int = 0
    successors: bool = False
    by_epoch: bool = False
    stop_exactly: bool = False
    drop_last: bool = False
    fresh_moments_at: int | None = None

    def rate(self, epoch: float) -> float:
        """Factor of the learning rate at a time in epochs, from 0."""
        if self.by_epoch:
            epoch = int(epoch)
            return (
                (epoch + 1) / self.warm_up
                if epoch < self.warm_up
                else float(self.decay ** (epoch - self.warm_up))
            )
        if epoch < self.warm_up:
            return epoch / self.warm_up
        return float(self.decay ** int(epoch - self.warm_up))

    def stops(self, epoch: int, without_gain: Any) -> Any:
        """Whether a training stops.

        Args:
            epoch: how many have been trained.
            without_gain: epochs since the dev loss fell last; a number, or a tensor of them.
        """
        if self.stop_exactly:
            return (without_gain == self.patience) & (epoch > self.min_epochs)
        return (without_gain >= self.patience) & (epoch >= self.min_epochs)


QUICK = Recipe()
QUICK_FRAMES = Recipe(
    name="quick", batch=32, epochs=15, learning_rates=(1e-3,), weight_decays=(0.01,), n_frames=201
)
ATTM = Recipe(
    name="attm",
    batch=64,
    epochs=30,
    min_epochs=20,
    patience=5,
    learning_rates=(1e-4,),
    weight_decays=(1e-4,),
    warm_up=5,
    decay=0.8,
    bonafide_weight=0.9,
    standardize=False,
    scaled_init=False,
    keep=5,
    n_frames=201,
)


ATTM_RELEASED = replace(
    ATTM,
    name="attm-released",
    successors=True,
    by_epoch=True,
    stop_exactly=True,
    drop_last=True,
    fresh_moments_at=10,
)
NAMES = ("quick", ATTM.name, ATTM_RELEASED.name)


def recipe_of(name: str, tier: str) -> Recipe:
    """The preset of a name: `quick`, or one of two of Pan et al. 2024.

    `attm` is the recipe as one writes it down: warm-up over five epochs, early stopping, the mean
    of the five epochs of lowest dev loss. `attm-released` is what the released code does
    (pandarialTJU/AttM_INTERSPEECH24, e3f5a90): a rate for each epoch, from 0.2 to 1 of the peak; it
    stops only where five epochs without gain end after epoch 20; it averages the epochs that follow
    the best ones; it leaves out the last short batch; and it forgets the moments at epoch 10, where
    the backbone joins there.

    Of both, what acts on the waveform belongs to the extraction (`Options(seconds=4.0375,
    frames=True)`), and the backbone stays frozen; `probing.tuning.recipes` has what they do to it
    from epoch 10 on.

    >>> recipe_of("attm", "frames").bonafide_weight
    0.9
    """
    if name not in NAMES:
        raise ProbeError(f"recipe {name!r}: expected one of {', '.join(NAMES)}")
    if name != "quick":
        return ATTM if name == ATTM.name else ATTM_RELEASED
    return QUICK if tier == "pooled" else QUICK_FRAMES

"""Training recipes of heads: everything that decides what a training computes, but the data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How heads are trained.

    batch: utterances per step. epochs: at most. min_epochs, patience: stop a model whose dev loss has not fallen for
        `patience` epochs, from `min_epochs` on.
    learning_rates, weight_decays: of AdamW; a model for each pair, chosen on dev.
    warm_up, decay: the rate rises over so many epochs, then is multiplied by `decay` after each.
    bonafide_weight: of the cross-entropy, the spoofed class having 1 minus it; None weighs both classes equally.
    standardize: bring every feature of every layer to mean 0 and deviation 1 of the training set.
    scaled_init: start gates unsaturated (see `merges.AttentiveMerge`).
    keep: average the parameters of this many epochs of lowest dev loss.
    n_frames: frames tier: a random crop of this many in training, the first ones when scoring; None takes all.
    seed: of the order of utterances and the crops; the weights have seeds of their own.
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

    def rate(self, epoch: float) -> float:
        """Factor of the learning rate at a time in epochs, from 0."""
        if epoch < self.warm_up:
            return epoch / self.warm_up
        return float(self.decay ** int(epoch - self.warm_up))


QUICK = Recipe()
QUICK_FRAMES = Recipe(name="quick", batch=32, epochs=15, learning_rates=(1e-3,), weight_decays=(0.01,), n_frames=201)
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


def recipe_of(name: str, tier: str) -> Recipe:
    """The preset of a name: `quick`, or `attm`, the recipe of Pan et al. 2024.

    Of `attm`, what acts on the waveform belongs to the extraction (`probe extract --seconds 4.0375 --frames`), and the
    backbone stays frozen, where the published one is tuned from epoch 10.
    """
    if name == "attm":
        return ATTM
    return QUICK if tier == "pooled" else QUICK_FRAMES

"""Recipes of tuning: those of heads, with what acts on the backbone beside its head."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cache.errors import OptionError
from probing.heads.recipes import ATTM, ATTM_RELEASED, Recipe
from probing.options import one_of

CROP_SECONDS = 64_600 / 16_000  # of Pan et al. 2024


@dataclass(frozen=True)
class TuningRecipe:
    """How a backbone and its head are trained.

    learning: batch, epochs, schedule, weights of the loss, stopping and averaging, as of a head on
        a cache. Its epochs count from the first one of the head; `frozen_epochs` of them leave the
        backbone as it is.
    head_rate, rate: of AdamW, of the head and of the backbone, before the schedule.
    weight_decay: of both.
    frozen_epochs: what a head that was trained on a cache already has had, so that a tuning from it
        begins behind them.
    own_clock: the schedule begins anew where the backbone joins; else it goes on, as in Pan et al.
        2024, where the backbone never sees the highest rate.
    front_end: the convolutional front end is trained too.
    crop_seconds: of random crops to train on; None as in the evaluation.
    clip: greatest norm of a gradient; None clips none.
    source: where it comes from.
    """

    learning: Recipe
    head_rate: float
    rate: float
    weight_decay: float
    frozen_epochs: int = 0
    own_clock: bool = True
    front_end: bool = False
    crop_seconds: float | None = None
    clip: float | None = None
    source: str = "of this project"

    @property
    def name(self) -> str:
        """What it is asked for by."""
        return self.learning.name

    def factor(self, epoch: float) -> float:
        """What rates are multiplied by at a time in epochs, from 0."""
        begun = self.own_clock and epoch >= self.frozen_epochs
        return self.learning.rate(epoch - self.frozen_epochs if begun else epoch)


QUICK = TuningRecipe(
    Recipe(
        name="quick", batch=16, epochs=13, min_epochs=6, patience=4, warm_up=1, decay=0.85, keep=3
    ),
    head_rate=1e-3,
    rate=1e-4,
    weight_decay=0.01,
    frozen_epochs=3,
    clip=1.0,
)
# 16 x 3 s, everything at once, a warm-up epoch, then from 1e-4 down to half of it; the epoch of
# lowest dev loss
ONE_STAGE = TuningRecipe(
    Recipe(
        name="one-stage", batch=16, epochs=5, min_epochs=5, patience=5, warm_up=1, decay=0.5**0.25
    ),
    head_rate=1e-4,
    rate=1e-4,
    weight_decay=1e-8,
    crop_seconds=3.0,
    source="after zlin0/wedefense e7287fe (MHFA, one stage)",
)
_ATTM = TuningRecipe(
    ATTM,
    head_rate=1e-4,
    rate=1e-4,
    weight_decay=1e-4,
    frozen_epochs=10,
    own_clock=False,
    crop_seconds=CROP_SECONDS,
    source="Pan et al., Interspeech 2024, as described",
)
RECIPES = {
    recipe.name: recipe
    for recipe in (
        QUICK,
        ONE_STAGE,
        _ATTM,
        replace(
            _ATTM,
            learning=ATTM_RELEASED,
            front_end=True,
            source="pandarialTJU/AttM_INTERSPEECH24 e3f5a90, as its code behaves",
        ),
    )
}


def recipe_of(name: str) -> TuningRecipe:
    """The recipe of a name.

    Raises:
        OptionError: there is none.

    >>> recipe_of("attm").frozen_epochs
    10
    """
    if name not in RECIPES:
        raise OptionError("recipe", name, f"expected {one_of(RECIPES)}")
    return RECIPES[name]

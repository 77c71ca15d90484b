"""The options of a tuning; they travel whole into the record of the model that comes out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cache.errors import OptionError
from probing.augmentation import Augmentation, transforms_help
from probing.devices import HELP as DEVICE_HELP
from probing.options import check, option
from probing.tuning.recipes import RECIPES, TuningRecipe, recipe_of
from probing.tuning.trained import Trained


@dataclass(frozen=True)
class TuneOptions:
    """What is trained, and how; what changes a number, and nothing else.

    >>> TuneOptions(train="lora:0")
    Traceback (most recent call last):
    cache.errors.OptionError: train=lora:0: expected head, all, last:N, blocks:LIST (as blocks:2:5,8) or lora:R
    """  # noqa: E501

    train: str = option(
        "all",
        "What learns beside the head: all, the blocks and what is before them; last:N blocks; "
        "blocks:LIST, as blocks:2:5,8; lora:R, adapters of rank R on every linear map of the "
        "blocks (extra peft); head, nothing else.",
        metavar="WHAT",
    )
    recipe: str = option(
        "quick",
        "quick; one-stage, all at once; attm, that of Pan et al. 2024 as described; "
        "attm-released, as their code does.",
        choices=tuple(RECIPES),
    )
    epochs: int | None = option(
        None, "In which the backbone learns, at most [default: as the recipe says].", minimum=1
    )
    batch: int | None = option(
        None,
        "Utterances a step, of all processes together [default: as the recipe says].",
        minimum=1,
    )
    rate: float | None = option(
        None, "Highest learning rate of the backbone [default: as the recipe says].", above=0
    )
    head_rate: float | None = option(None, "Likewise of the head.", above=0)
    layer_decay: float = option(
        1.0,
        "Multiply the rate by this from each block to the one below.",
        above=0,
        maximum=1,
        metavar="FACTOR",
    )
    front_end: bool = option(False, "Train the convolutional front end too.")
    augment: str = option(
        "",
        "Change training audio before it is cropped, anew in every epoch, by these in turn, as "
        f"rawboost:5,codec: {transforms_help()}.",
        metavar="LIST",
    )
    crop_seconds: float | None = option(
        None,
        "Train on random crops of this length, short clips repeated; dev is heard as the head "
        "was trained [default: as the recipe says: none, or 3, or 4.0375].",
        minimum=0.05,
        maximum=3600,
    )
    dropout: bool = option(
        False, "Use the dropouts that the published config says; else they are off."
    )
    layerdrop: bool = option(
        False, "Leave blocks out at random, as often as the published config says."
    )
    masking: bool = option(
        False, "Mask frames and channels at random, as the published config says (SpecAugment)."
    )
    precision: str = option(
        "float32",
        "float32, or bf16: the backbone's products in 16 bits (autocast).",
        choices=("float32", "bf16"),
    )
    seed: int = option(
        0, "Of the order, crops, augmentation, adapters and of new heads.", minimum=0
    )

    def __post_init__(self) -> None:
        check(self)
        Augmentation.of(self.augment)
        if self.trained.what == "head" and (self.front_end or self.layer_decay != 1):
            name = "front_end" if self.front_end else "layer_decay"
            raise OptionError(
                name, getattr(self, name), "is of the backbone, of which nothing is trained"
            )

    @property
    def trained(self) -> Trained:
        """What of the backbone learns."""
        return Trained.parse(self.train)

    def tuning(self) -> TuningRecipe:
        """The recipe with what was changed."""
        recipe = recipe_of(self.recipe)
        learning = replace(
            recipe.learning, seed=self.seed, batch=self.batch or recipe.learning.batch
        )
        if self.epochs is not None:
            learning = replace(learning, epochs=recipe.frozen_epochs + self.epochs)
        return replace(
            recipe,
            learning=learning,
            rate=self.rate or recipe.rate,
            head_rate=self.head_rate or recipe.head_rate,
            front_end=self.front_end or recipe.front_end,
            crop_seconds=self.crop_seconds or recipe.crop_seconds,
        )


@dataclass(frozen=True)
class TuneMachine:
    """How a tuning uses the machine; changes no number beyond rounding.

    >>> TuneMachine(accumulate=4).accumulate
    4
    """

    device: str = option("auto", DEVICE_HELP)
    accumulate: int = option(1, "Compute a batch in so many parts, for less memory.", minimum=1)
    checkpointing: bool = option(
        False, "Compute blocks twice and keep less between, for less memory."
    )
    workers: int = option(2, "Threads that decode and augment.", minimum=1)
    checkpoint_minutes: float = option(
        3.0,
        "Write a checkpoint so often beside those at the end of epochs.",
        above=0,
        metavar="MINUTES",
    )
    track: str = option(
        "none",
        "Also tell tensorboard or wandb, which have to be installed (extra accelerate).",
        metavar="NAME",
        choices=("none", "tensorboard", "wandb"),
    )

    def __post_init__(self) -> None:
        check(self)

"""The options of a sweep; they travel whole into the run record."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from cache.errors import OptionError, ProbeError, argument
from cache.manifest import describe_layers
from probing.drawn import ATTACK, AUTO, SPEAKER, UTTERANCE
from probing.heads.kinds import BACKENDS, MERGES, check_head, heads_help, split_head
from probing.heads.recipes import NAMES as RECIPES
from probing.heads.recipes import Recipe, recipe_of
from probing.options import NAMES, NAMES_OR_NONE, NUMBERS, SEEDS, WHOLE, check, option
from probing.registry import RegistryError
from probing.sweep.margin import Margin
from probing.targets.metrics import BINARY
from probing.targets.options import TargetOptions

if TYPE_CHECKING:  # at run time they cost pandas and h5py
    from cache import Cache
    from probing.sweep.split import Split

TRAINING = "training"
STRENGTHS = 1e-10, 1e10  # beyond, float64 cannot tell the penalty, or the loss, from nothing
POOLED_HEADS = ("mean+linear", "weighted-sum+linear", "attentive-compact+linear")
FRAMES_HEADS = ("weighted-sum+lstm", "attentive-compact+lstm")
# tier -> heads that are trained on it by default
TIERS = {"pooled": POOLED_HEADS, "frames": FRAMES_HEADS}


@dataclass(frozen=True)
class DepthOptions:
    """Which heads are trained on which depths, and how.

    heads: empty trains none.
    depths: empty for all.
    weight_decays: to choose from on dev; empty as the recipe says.
    by_default: whether heads were left to the tier; on units and in a cross-validation none are
        trained then, as these are many trainings, nor where the cache lacks layers that they need.

    >>> DepthOptions(tier="frames").heads
    ('weighted-sum+lstm', 'attentive-compact+lstm')
    """

    heads: tuple[str, ...] = option(
        None,
        f"{heads_help()} [default: mean, weighted-sum and attentive-compact with linear; on "
        "frames the last two with lstm]",
        metavar="LIST",
        syntax=NAMES_OR_NONE,
    )
    tier: str = option(
        "pooled", "What heads see: pooled (minutes) or frames (the paper's).", choices=tuple(TIERS)
    )
    recipe: str = option(
        "quick",
        "Of heads: quick; attm, that of Pan et al. 2024 as "
        "described; attm-released, as their code does.",
        choices=RECIPES,
    )
    seeds: tuple[int, ...] = option(
        None, "First weights of every head: how many, or which, as 0:4.", syntax=SEEDS, text="3"
    )
    depths: tuple[int, ...] = option(
        (), "Depths, as 4,8,12 or 1:12 [default: all].", metavar="LIST", syntax=WHOLE
    )
    epochs: int = option(0, "Epochs of heads at most; 0 as the recipe says.", minimum=0)
    weight_decays: tuple[float, ...] = option((), syntax=NUMBERS, on_command_line=False)
    by_default: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check(self)
        object.__setattr__(self, "by_default", self.heads is None)
        if self.heads is None:
            object.__setattr__(self, "heads", TIERS[self.tier])
        for head in self.heads:
            try:
                backend = check_head(head)
            except RegistryError as error:
                raise OptionError("heads", head, str(error)) from None
            if self.tier == "pooled" and backend is not None and backend.needs_frames:
                advice = f"Type {argument('tier', 'frames')}, or use linear"
                raise OptionError("heads", head, f"{backend.name} needs every frame. {advice}")
        if self.heads and not self.seeds:
            raise OptionError("seeds", 0, "expected one or more")

    def check(self, cache: Cache) -> None:
        """Refuse a cache in which the first k layers are not there for every k.

        Features without blocks have none.

        Heads of one's own have to be imported by now, and are tried on a few small utterances.
        """
        if not has_blocks(cache):
            return
        for head in self.heads:
            _check_own(head, self.tier)
        above = [k for k in cache.layers if k > 0]
        if self.heads and not has_first_layers(cache):
            if self.by_default and not self.depths:
                return
            raise ProbeError(
                f"{layers_lacking(cache)} Type {argument('heads', 'none')} for linear probes "
                f"only, or extract again with {argument('layers', f'0:{max([1, *above])}')}"
            )
        if self.heads and not set(self.depths) <= set(above):
            raise OptionError(
                "depths",
                WHOLE.write(self.depths),
                f"{cache.folder} has layers "
                f"{describe_layers(cache.layers)}. Expected depths among them, from 1",
            )

    def chosen(self, n_layers: int) -> tuple[int, ...]:
        """The depths to train; the others are compared with full depth, which is always there."""
        return (
            tuple(sorted({*self.depths, n_layers}))
            if self.depths
            else tuple(range(1, n_layers + 1))
        )

    def training(self) -> Recipe:
        """The recipe with what was changed."""
        recipe = recipe_of(self.recipe, self.tier)
        if self.epochs:
            recipe = replace(recipe, epochs=self.epochs)
        return replace(recipe, weight_decays=self.weight_decays or recipe.weight_decays)


@dataclass(frozen=True)
class SweepOptions:
    """What a sweep does; part of the run record.

    target: what is to be read from the layers.
    depths: the heads trained on the first k layers.
    interval_by: see `probing.metrics.clusters.columns_of`.
    train, dev, eval: see `probing.sweep.splits`; eval may be several, the first being that which
        the findings are about.

    >>> SweepOptions(resamples=10)
    Traceback (most recent call last):
    cache.errors.OptionError: resamples=10: expected 100 or more
    """

    strengths: tuple[float, ...] = option(
        None,
        "Values of C, the inverse penalty of the probes, to choose from on dev.",
        syntax=NUMBERS,
        text="1e-5,1e-4,1e-3,1e-2,0.1,1",
    )
    control_seeds: tuple[int, ...] = option(
        None,
        "Repeats of the shuffled-label control: how many, or which, as 0:4.",
        syntax=SEEDS,
        text="3",
    )
    target: TargetOptions = field(default_factory=TargetOptions)
    depths: DepthOptions = field(default_factory=DepthOptions)
    margin: float | str = option(
        "0.1",
        "What a smaller depth may be worse by: relative EER, as 0.1, or points of EER, as 2pt.",
    )
    resamples: int = option(1000, "Bootstrap resamples behind each interval.", minimum=100)
    seed: int = option(0, "Seed of the bootstrap.", minimum=0)
    interval_by: str = option(
        "auto",
        "What the bootstrap draws whole: speaker, attack, speaker,attack (either by itself: for "
        "attacks like these), utterance, or auto (speakers where known).",
    )
    by: tuple[str, ...] = option(
        (), "Also report every layer by these, as attack,codec.", metavar="COLUMNS", syntax=NAMES
    )
    unseen_attacks: bool = option(
        False, "Also train every layer without each attack in turn, and measure it on that."
    )
    probe: str = option(
        "linear",
        "linear; or mlp, a multilayer perceptron per layer beside the linear probe, with controls.",
        choices=("linear", "mlp"),
    )
    erase: int = option(
        0,
        "Also erase what the probe of a layer reads and probe again, so often (each time a "
        "dimension of two classes or of a number, M - 1 of M classes); beside it random "
        "subspaces of the same size.",
        minimum=0,
        metavar="TIMES",
    )
    interval_includes: tuple[str, ...] = option(
        (),
        "Refit linear probes on speakers drawn anew: intervals say what these change.",
        metavar="training",
        syntax=NAMES,
    )
    train: str = option(
        "train",
        "What to train on: SPLIT of the cache, or CACHE:SPLIT of another one.",
        metavar="SPLIT",
    )
    dev: str = option("dev", "What to choose strength and layer on; likewise.", metavar="SPLIT")
    eval: str | tuple[str, ...] = option(
        "eval",
        "What to report on; likewise, or CACHE alone for its split eval. May be given again: "
        "findings are about the first. [default: eval]",
        metavar="SPLIT",
        many=True,
    )

    def __post_init__(self) -> None:
        check(self)
        low, high = STRENGTHS
        if not self.strengths or not all(low <= strength <= high for strength in self.strengths):
            expected = f"expected one or more numbers from {low:g} to {high:g}"
            raise OptionError("strengths", NUMBERS.write(self.strengths), expected)
        if any(seed < 0 for seed in self.control_seeds):
            raise OptionError(
                "control_seeds", WHOLE.write(self.control_seeds), "expected 0 or more"
            )
        if self.target.control_type and not self.control_seeds:
            expected = (
                "has a control task a seed, and there are none. Expected "
                f"{argument('control_seeds', 3)} or so"
            )
            raise OptionError("control_type", self.target.control_type, expected)
        inside = self.target.unit
        if self.depths.tier != "pooled" and inside:
            expected = f"heads of a {inside} see one vector of it. Leave it out"
            raise OptionError("tier", self.depths.tier, expected)
        if self.depths.by_default and (inside or self.target.folds):
            object.__setattr__(self, "depths", replace(self.depths, heads=()))
        object.__setattr__(self, "margin", Margin.of(self.margin).plain)
        if self.interval_by not in (AUTO, UTTERANCE) and not set(self.interval_by.split(",")) <= {
            SPEAKER,
            ATTACK,
        }:
            expected = "expected auto, utterance, speaker, attack or speaker,attack"
            raise OptionError("interval_by", self.interval_by, expected)
        if not set(self.interval_includes) <= {TRAINING}:
            raise OptionError(
                "interval_includes", NAMES.write(self.interval_includes), f"expected {TRAINING}"
            )

    def splits(self, cache: Cache) -> dict[str, Split]:
        """The utterances that play each part; of `cache` where no other one is named."""
        from probing.sweep.splits import read_splits

        evaluations = (self.eval,) if isinstance(self.eval, str) else self.eval
        tier = self.depths.tier if self.depths.heads else ""
        return read_splits(
            cache,
            self.train,
            dev=self.dev,
            evaluations=evaluations,
            tier=tier,
            target=self.target,
            seed=self.seed,
        )

    def check_task(self, split: Split) -> None:
        """Refuse what has no meaning for the target of a split that is trained on."""
        task = split.task
        if not task.is_spoofing:
            what = f"is about spoofs, and the target is {task.target}. Leave it out"
            if self.by:
                raise OptionError("by", NAMES.write(self.by), what)
            if self.unseen_attacks:
                raise OptionError("unseen_attacks", True, what)
        most = self.target.max_units
        if not split.unit and most != TargetOptions().max_units:
            raise OptionError("max_units", most, "is of frames and segments. Leave it out")
        if split.unit and split.folds is not None and len(split) > most:
            advice = (
                f"{len(split):,} units are more than "
                f"{argument('max_units', most)}, which folds hold at once"
            )
            raise OptionError("folds", self.target.folds, advice)
        if self.erase and split.folds is not None:
            raise OptionError(
                "erase", self.erase, "is there for one division only, not for cross-validation"
            )
        if self.depths.heads and Margin.of(self.margin).points and not task.metric.share:
            raise OptionError(
                "margin",
                self.margin,
                f"{task.metric.called} has no points. Expected a share of it, as 0.1",
            )
        if task.name != BINARY or split.folds is not None:
            of = f"target {task.target}" if task.name != BINARY else "cross-validation"
            if self.probe != "linear":
                raise OptionError(
                    "probe",
                    self.probe,
                    f"is there for two classes and one division only, not for {of}",
                )
            if self.interval_includes:
                included = NAMES.write(self.interval_includes)
                advice = f"is there for two classes and one division only, not for {of}"
                raise OptionError("interval_includes", included, advice)


def has_blocks(cache: Cache) -> bool:
    """Whether an encoder made the cache, and not acoustic features of one layer.

    >>> from cache import Cache
    >>> has_blocks(Cache("results/demo.cache"))
    True
    """
    return bool(cache.fingerprint.get("backbone_n_layers") != 0)


def has_first_layers(cache: Cache) -> bool:
    """Whether layers 1 to the highest are all there, as heads on the first k layers need.

    >>> from cache import Cache
    >>> has_first_layers(Cache("results/demo.cache"))
    True
    """
    above = [k for k in cache.layers if k > 0]
    return bool(above) and above == list(range(1, len(above) + 1))


def layers_lacking(cache: Cache) -> str:
    """A sentence on a cache that has not the layers that heads need.

    >>> from cache import Cache
    >>> layers_lacking(Cache("results/demo.cache")).endswith("need all of them from 1.")
    True
    """
    shown = describe_layers(cache.layers)
    return (
        f"{cache.folder}: has layers {shown}, and heads on the "
        "first k layers need all of them from 1."
    )


def _check_own(head: str, tier: str) -> None:
    """Refuse a user's merge or back-end that is not imported, or breaks the contract of heads."""
    merge, backend = split_head(head)
    if merge in MERGES.built_in and backend in BACKENDS.built_in:  # no need to wait for PyTorch
        return
    from probing.heads.contract import check_own

    try:
        check_own(head, tier == "frames")
    except RegistryError as error:
        raise OptionError("heads", head, str(error)) from error

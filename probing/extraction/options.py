"""The options of an extraction that change a number; they travel whole into the cache."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cache.errors import OptionError, ProbeError, argument
from cache.manifest import DTYPES
from probing.backbones.checkpoint import FEATURES, RANDOM, check_spec, stated_blocks
from probing.backbones.dropping import parsed
from probing.options import check, option, whole_numbers

if TYPE_CHECKING:  # at run time it costs torch
    from probing.audio import Cropping
    from probing.augmentation import View
    from probing.backbones import Backbone

MOST_LAYERS = 10_000


@dataclass(frozen=True)
class Options:
    """What to extract; all of it changes a number, and goes into the fingerprint.

    See also `probing.backbones.load_backbone`, `kept_blocks` and `probing.audio.Cropping`.

    >>> Options(seconds=0.01)
    Traceback (most recent call last):
    cache.errors.OptionError: seconds=0.01: expected 0.05 to 3600
    """

    backbone: str = option(
        "embedded",
        "'embedded' (a small pretrained WavLM) or 'moonshine' (a speech recogniser's encoder, "
        "not self-supervised), which need no download; a hub id such as microsoft/wavlm-large; a "
        "local folder; random:SPEC, the same architecture with random weights; or log-mel, lfcc: "
        "acoustic features as a baseline.",
        metavar="SPEC",
        is_path=True,
    )
    revision: str | None = option(None, "Branch, tag or commit of a hub model.")
    seed: int = option(0, "Seed of random weights.")
    normalize: str = option(
        "auto",
        "Zero mean and unit variance per clip: auto (as the model's preprocessor says), on, off.",
        choices=("auto", "on", "off"),
    )
    max_seconds: float = option(
        30.0, "Longer clips are cut to their beginning.", minimum=0.05, maximum=3600
    )
    seconds: float | None = option(
        None,
        "Every clip exactly this long, cut or repeated (64,600 samples are 4.0375).",
        minimum=0.05,
        maximum=3600,
    )
    drop: str | None = option(
        None,
        "Leave blocks out: top:K, bottom:K, alternate:K, symmetric:K, or contribution:K:CACHE "
        "for the K blocks that change their input least in a cache of the whole model; "
        "blocks:1,2,5 keeps just these.",
        metavar="SPEC",
        is_path=True,
    )
    layers: str | None = option(
        None,
        "Layers to keep: 0:12 (both ends included), or 0,3,6; "
        "blocks above are not run. [default: all]",
        metavar="LIST",
    )
    precision: str = option(
        "auto",
        "float32, bf16, fp16, or auto: float32 on a CPU; 16 bits on a GPU, where that moves no "
        "layer by more than 3 % of its root mean square.",
        choices=("auto", "float32", "bf16", "fp16"),
    )
    frames: bool = option(
        False, "Also store every frame, about 100 times as much as the pooled statistics."
    )
    pooled_dtype: str = option("float32", "float32 or float16 on disk.", choices=DTYPES["pooled"])
    frames_dtype: str = option(
        "float16",
        "float16, float32, or int8 with a scale a frame: half of float16.",
        choices=DTYPES["frames"],
    )

    view: str | None = option(
        None,
        "Hear every clip through transforms, as noise:white@10 or resample:8000,codec:alaw; the "
        "same chance for an utterance each time. Or many views in one "
        "go: probe robustness. [default: as it is]",
        metavar="SPEC",
        is_path=True,
    )
    view_seed: int = option(0, "Seed of the chance in a view.", minimum=0)

    def __post_init__(self) -> None:
        check(self)
        if self.view is not None:
            from probing.augmentation import Augmentation

            Augmentation.of(self.view, "view")
        if self.layers is not None:
            chosen_layers(self.layers)
        if self.drop is not None:
            parsed(self.drop)

    def check_backbone(self) -> None:
        """Refuse an unknown backbone, or layers beyond its config, before PyTorch is loaded.

        Raises as `load_backbone` does.
        """
        check_spec(self.backbone, self.revision)
        if self.layers is not None and (n_blocks := stated_blocks(self.backbone)) is not None:
            chosen_layers(self.layers, n_blocks)

    def check_used(self, passed_over: Collection[str] = ()) -> None:
        """Refuse an option that changes nothing beside the others, as a person types them.

        A cache that was made with one still opens. `passed_over` are names that may do nothing, as
        those that a file of options gave, which several commands may share.

        >>> Options(view_seed=3).check_used()
        Traceback (most recent call last):
        cache.errors.OptionError: view_seed=3: is of a view. Add view=SPEC, or leave this out
        """
        usual = Options()
        acoustic = self.backbone in FEATURES
        if self.view == "":
            raise OptionError("view", "''", "expected transforms, as noise:white@10")
        idle = {
            "frames_dtype": (not self.frames, f"is of the frames tier. Add {argument('frames')}"),
            "view_seed": (self.view is None, f"is of a view. Add {argument('view', 'SPEC')}"),
            "seed": (
                not self.backbone.startswith(RANDOM),
                f"is of random weights. Give {argument('backbone', RANDOM + 'SPEC')}",
            ),
            "revision": (acoustic, "is of a model of the hub. Name one"),
            "precision": (
                acoustic and self.precision != "float32",
                f"is of a model. Give float32, as {self.backbone} is computed",
            ),
            "max_seconds": (
                self.seconds is not None,
                f"every clip has the length of {argument('seconds')}. Leave that out",
            ),
        }
        for name, (is_idle, what) in idle.items():
            if name in passed_over:
                continue
            if is_idle and getattr(self, name) != getattr(usual, name):
                raise OptionError(name, getattr(self, name), f"{what}, or leave this out")

    @property
    def cropping(self) -> Cropping:
        """How much of a clip the model sees."""
        from probing.audio import Cropping

        return Cropping(self.max_seconds, self.seconds)

    @property
    def parsed_view(self) -> View | None:
        """The transforms that clips go through; None if they are heard as they are."""
        from probing.augmentation import Augmentation, View

        chain = Augmentation.of(self.view or "", "view")
        return View(chain, self.view_seed) if chain else None

    @property
    def tiers(self) -> dict[str, str]:
        """Tier name -> dtype on disk."""
        return {
            "pooled": self.pooled_dtype,
            **({"frames": self.frames_dtype} if self.frames else {}),
        }

    def load_backbone(self, device: str, attention: str = "auto", fetch: bool = True) -> Backbone:
        """Load the backbone, with no block more than the layers need, for clips this long.

        Without `fetch`, as where a cache or a run names it and not the person, the hub is not
        asked.
        """
        from probing.backbones import kept_blocks, load_backbone

        backbone = load_backbone(
            self.backbone,
            revision=self.revision,
            device=device,
            seed=self.seed,
            normalize=self.normalize,
            attention=attention,
            precision=self.precision,
            fetch=fetch,
        )
        if self.drop is not None:
            backbone = backbone.keep(kept_blocks(self.drop, backbone.n_layers))
        if self.layers is not None:
            # a backbone has one block at least
            highest = max(1, chosen_layers(self.layers, backbone.n_layers)[-1])
            backbone = backbone.truncate(highest) if highest < backbone.n_layers else backbone
        n_samples = self.cropping.n_samples()
        length = f"clips of {n_samples / backbone.sampling_rate:g} s, but {backbone.name}"
        name = "max_seconds" if self.seconds is None else "seconds"
        if backbone.max_samples is not None and n_samples > backbone.max_samples:
            longest = backbone.max_samples / backbone.sampling_rate
            raise ProbeError(f"{length} takes {longest:g} s at most. Use {argument(name, longest)}")
        if n_samples < backbone.min_samples:
            shortest = math.ceil(1000 * backbone.min_samples / backbone.sampling_rate) / 1000
            raise ProbeError(
                f"{length} needs {shortest:g} s at least. Use {argument(name, shortest)}"
            )
        return backbone

    def layers_of(self, backbone: Backbone) -> tuple[int, ...]:
        """The layers to keep of a backbone that `load_backbone` gave."""
        every = tuple(range(backbone.n_layers + 1))
        return every if self.layers is None else chosen_layers(self.layers, backbone.n_layers)

    def fingerprint(self, backbone: Backbone) -> dict[str, Any]:
        """Everything that changes a cached number: model, audio, pooling, types on disk, versions.

        The kernel of the attention is not in it: it moves a number no more than the batch size
        does.
        """
        import torch
        import transformers

        from probing.extraction.pooling import POOLING

        layers = self.layers_of(backbone)
        view = self.parsed_view
        some = (
            {} if len(layers) == backbone.n_layers + 1 else {"layers": ",".join(map(str, layers))}
        )
        return {
            **some,
            **{f"backbone_{name}": value for name, value in backbone.fingerprint().items()},
            **self.cropping.fingerprint(),
            **(view.fingerprint() if view else {}),
            "pooling": POOLING,
            "tiers": self.tiers,
            "torch": torch.__version__.split("+")[0],
            "transformers": transformers.__version__,
        }

    def as_dict(self, backbone: Backbone) -> dict[str, Any]:
        """For the cache's `about`: enough to load the same backbone again."""
        drop = None if self.drop is None else "blocks:" + ",".join(map(str, backbone.blocks))
        return {**asdict(self), "drop": drop, "precision": backbone.precision}


def chosen_layers(spec: str, highest: int | None = None) -> tuple[int, ...]:
    """Say which layers a specification names.

    Args:
        spec: numbers and ranges with commas between, both ends of a range included and left out for
            the first or last: `0:12`, `0,3,6`, `:4,8`, `6:`.
        highest: number of the last layer; by default only the form is checked.

    Returns:
        Numbers, ascending, each once.

    Raises:
        OptionError: another form, or a layer that there is not.

    >>> chosen_layers("0:2,6:", 8)
    (0, 1, 2, 6, 7, 8)
    """
    try:
        return tuple(sorted(whole_numbers(spec, MOST_LAYERS if highest is None else highest)))
    except IndexError as error:
        if highest is not None:
            expected = f"{error} is not among the layers, 0:{highest}. Name some of those"
            raise OptionError("layers", spec, expected) from None
    except ValueError:
        pass
    last = 12 if highest is None else highest
    raise OptionError("layers", spec, f"expected ranges or numbers, as 0:{last} or 0,{last}")

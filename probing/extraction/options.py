"""The options of an extraction that change a number; they travel whole into the cache."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
import transformers

from cache.errors import ProbeError
from cache.manifest import DTYPES
from probing.audio import Cropping
from probing.backbones import Backbone, kept_blocks, load_backbone
from probing.extraction.pooling import POOLING


@dataclass(frozen=True)
class Options:
    """What to extract.

    backbone, revision, seed, normalize: see `probing.backbones.load_backbone`.
    max_seconds, seconds: see `probing.audio.Cropping`.
    drop: blocks to leave out, see `probing.backbones.kept_blocks`.
    layers: those to keep of what is left, as 0:12 (both ends included) or 0,3,6; blocks above the highest are not run.
    precision: auto, float32, bf16 or fp16, see `probing.backbones.load_backbone`.
    frames: also store every frame, not only the pooled statistics.
    pooled_dtype, frames_dtype: float32 or float16 on disk; frames also int8, with a scale for each frame.
    """

    backbone: str = "embedded"
    revision: str | None = None
    seed: int = 0
    normalize: str = "auto"
    max_seconds: float = 30.0
    seconds: float | None = None
    drop: str | None = None
    layers: str | None = None
    precision: str = "auto"
    frames: bool = False
    pooled_dtype: str = "float32"
    frames_dtype: str = "float16"

    def __post_init__(self) -> None:
        for name in ("max_seconds", "seconds"):
            value = getattr(self, name)
            if value is not None and not 0.05 <= value <= 3600:
                raise ProbeError(f"--{name.replace('_', '-')} {value:g}: expected 0.05 to 3600")
        for tier, dtypes in DTYPES.items():
            dtype = getattr(self, f"{tier}_dtype")
            if dtype not in dtypes:
                raise ProbeError(f"--{tier}-dtype {dtype}: expected {' or '.join(dtypes)}")

    @property
    def cropping(self) -> Cropping:
        """How much of a clip the model sees."""
        return Cropping(self.max_seconds, self.seconds)

    @property
    def tiers(self) -> dict[str, str]:
        """Tier name -> dtype on disk."""
        return {"pooled": self.pooled_dtype, **({"frames": self.frames_dtype} if self.frames else {})}

    def load_backbone(self, device: str, attention: str = "auto", fetch: bool = True) -> Backbone:
        """Load the backbone, with no block more than the layers need, and check that it can take clips this long.

        Without `fetch`, as where a cache or a run names it and not the person, the hub is not asked.
        """
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
            highest = max(1, chosen_layers(self.layers, backbone.n_layers)[-1])  # a backbone has one block at least
            backbone = backbone.truncate(highest) if highest < backbone.n_layers else backbone
        n_samples = self.cropping.n_samples()
        if backbone.max_samples is not None and n_samples > backbone.max_samples:
            longest = backbone.max_samples / backbone.sampling_rate
            raise ProbeError(
                f"clips of up to {n_samples / backbone.sampling_rate:g} s, but {backbone.name} takes {longest:g} s at "
                f"most. Use --max-seconds {longest:g}"
            )
        if n_samples < backbone.min_samples:
            shortest = backbone.min_samples / backbone.sampling_rate
            raise ProbeError(f"clips of {n_samples} samples, but {backbone.name} needs at least {shortest:g} s")
        return backbone

    def layers_of(self, backbone: Backbone) -> tuple[int, ...]:
        """The layers to keep of a backbone that `load_backbone` gave."""
        every = tuple(range(backbone.n_layers + 1))
        return every if self.layers is None else chosen_layers(self.layers, backbone.n_layers)

    def fingerprint(self, backbone: Backbone) -> dict[str, Any]:
        """Everything that changes a cached number: model, audio, pooling, types on disk, versions.

        The kernel of the attention is not in it: it moves a number no more than the batch size does.
        """
        layers = self.layers_of(backbone)
        some = {} if len(layers) == backbone.n_layers + 1 else {"layers": ",".join(map(str, layers))}
        return {
            **some,
            **{f"backbone_{name}": value for name, value in backbone.fingerprint().items()},
            **self.cropping.fingerprint(),
            "pooling": POOLING,
            "tiers": self.tiers,
            "torch": torch.__version__.split("+")[0],
            "transformers": transformers.__version__,
        }

    def as_dict(self, backbone: Backbone) -> dict[str, Any]:
        """For the cache's `about`: enough to load the same backbone again, whatever it was chosen by."""
        drop = None if self.drop is None else "blocks:" + ",".join(map(str, backbone.blocks))
        return {**asdict(self), "drop": drop, "precision": backbone.precision}


def chosen_layers(spec: str, highest: int) -> tuple[int, ...]:
    """Say which layers a specification names.

    Args:
        spec: numbers and ranges with commas between, both ends of a range included and left out for the first or last:
            `0:12`, `0,3,6`, `:4,8`, `6:`.
        highest: number of the last layer.

    Returns:
        Numbers, ascending, each once.

    Raises:
        ProbeError: another form, or a layer that there is not.
    """
    numbers: set[int] = set()
    try:
        for part in spec.split(","):
            first, colon, last = part.strip().partition(":")
            low, high = int(first or 0) if colon else int(first), int(last or highest) if colon else int(first)
            if not 0 <= low <= high <= highest:
                raise ProbeError(
                    f"--layers {spec}: {part.strip()} is not among the layers, 0:{highest}. Name some of those"
                )
            numbers.update(range(low, high + 1))
    except ValueError:
        raise ProbeError(f"--layers {spec}: expected ranges or numbers, as 0:{highest} or 0,{highest}") from None
    return tuple(sorted(numbers))

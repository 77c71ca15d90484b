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

    def load_backbone(self, device: str) -> Backbone:
        """Load the backbone and check that it can take clips this long."""
        backbone = load_backbone(
            self.backbone, revision=self.revision, device=device, seed=self.seed, normalize=self.normalize
        )
        if self.drop is not None:
            backbone = backbone.keep(kept_blocks(self.drop, backbone.n_layers))
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

    def fingerprint(self, backbone: Backbone) -> dict[str, Any]:
        """Everything that changes a cached number: model, audio, pooling, types on disk, versions."""
        return {
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
        return {**asdict(self), "drop": drop}

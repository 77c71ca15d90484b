"""What is to be reproduced of Pan et al. 2024, and the options that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cache.errors import OptionError, ProbeError, argument
from probing.backbones.checkpoint import FEATURES
from probing.devices import HELP as DEVICE_HELP
from probing.extraction.options import Options
from probing.options import check, option
from probing.sweep.options import DepthOptions, SweepOptions

CORPORA = ("asvspoof2019-la", "asvspoof2021-la", "asvspoof2021-df")
SECONDS = 64_600 / 16_000  # of every clip, as the paper has it
DEPTHS = (4, 6, 8, 10, 12)  # those published; and full depth
HEADS = ("weighted-sum+linear", "attentive-compact+linear")
PAPER_HEADS = ("weighted-sum+lstm", "attentive+lstm")
PAPER_DEPTHS = (12,)


@dataclass(frozen=True)
class Reproduction:
    """What is to be reproduced, and with what.

    folder: of caches, the run and the table.
    roots: corpus -> where it was unpacked; those that are here.

    >>> Reproduction(frames=True).heads
    ('weighted-sum+lstm', 'attentive+lstm')
    """

    folder: Path = Path("results/attm")
    roots: Mapping[str, Path] = field(default_factory=dict)
    backbone: str = option(
        "microsoft/wavlm-large", f"As probe extract {argument('backbone')}.", metavar="SPEC"
    )
    revision: str | None = option(None, "Branch, tag or commit of a hub model.")
    frames: bool = option(
        False, "The paper's own heads, on every frame; about 100 times the space and time."
    )
    device: str = option("auto", DEVICE_HELP)
    seeds: int = option(3, "First weights of every head.", minimum=1)
    resamples: int = option(1000, "Bootstrap resamples behind each interval.", minimum=100)
    tune: bool = option(False, "Also tune the backbone with the attentive head, as the paper does.")

    def __post_init__(self) -> None:
        check(self)
        for name in self.roots:
            if name not in CORPORA:
                raise ProbeError(f"{name}: not of this table. Expected {', '.join(CORPORA)}")

    def check_backbone(self) -> None:
        """Refuse a backbone that there is not, or that has no blocks, before PyTorch is loaded.

        >>> Reproduction(backbone="lfcc").check_backbone()
        Traceback (most recent call last):
        cache.errors.OptionError: backbone=lfcc: has no blocks for heads to see the first k of. Name a model
        """  # noqa: E501
        self.extraction.check_backbone()
        if self.backbone in FEATURES:
            found = "has no blocks for heads to see the first k of. Name a model"
            raise OptionError("backbone", self.backbone, found)

    @property
    def extraction(self) -> Options:
        """Options of `probe extract`."""
        return Options(self.backbone, self.revision, seconds=SECONDS, frames=self.frames)

    def cache(self, corpus: str) -> Path:
        """Folder of the cache of a corpus."""
        return self.folder / f"{corpus}.cache"

    @property
    def run_folder(self) -> Path:
        """Folder of the sweep."""
        return self.folder / "attm.run"

    @property
    def tuned_folder(self) -> Path:
        """Folder of the tuned model."""
        return self.folder / "attm.tuned"

    @property
    def heads(self) -> tuple[str, ...]:
        """The heads that are trained, the attentive one last."""
        return PAPER_HEADS if self.frames else HEADS

    def splits(self, corpus: str) -> list[str]:
        """What the table needs of a corpus; official figures of 2021 are of its subset eval."""
        return ["train", "dev", "eval"] if corpus == CORPORA[0] else ["eval"]

    def sweep_options(self, n_layers: int, corpora: list[str]) -> SweepOptions:
        """Options of `probe sweep`.

        Args:
            n_layers: of the backbone; published depths that it does not have are left out.
            corpora: evaluated on.
        """
        published = PAPER_DEPTHS if self.frames else DEPTHS
        depths = DepthOptions(
            heads=self.heads,
            tier="frames" if self.frames else "pooled",
            recipe="attm" if self.frames else "quick",
            seeds=tuple(range(self.seeds)),
            depths=tuple(k for k in published if k < n_layers) or (n_layers,),
        )
        evaluations = tuple(str(self.cache(name)) for name in corpora)
        return SweepOptions(depths=depths, resamples=self.resamples, eval=evaluations)

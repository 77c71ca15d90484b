"""The command `probe similarity`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analysis.commands.arguments import CacheAudio, Pictured, Seed
from analysis.commands.features import Features
from analysis.commands.files import PICTURES, TABLES, check_suffix, is_output, save
from analysis.commands.parameters import with_options
from analysis.commands.printing import print_frame
from analysis.commands.typed import refuse_idle
from analysis.runs.kinds import CACHE, expect_each
from cache.errors import OptionError, ProbeError, argument, as_flag
from probing.options import check, option
from probing.progress import console

if TYPE_CHECKING:
    import pandas as pd

    from cache import Cache

MEASURES = ("cka", "pwcca", "cca")
TARGETS = ("mel", "speaker", "attack", "label", "trivial")
DEFAULT_TARGETS = "mel,speaker,attack,trivial"


@dataclass(frozen=True)
class Measure:
    """How layers are compared, and with what."""

    measure: str = option(
        "cka",
        "cka, pwcca, or cca: of each layer with --target, on held-out utterances.",
        choices=MEASURES,
    )
    target: str | None = option(
        None,
        "For cca: mel, speaker, attack, label, trivial, or a layer's number [default: "
        "those of mel, speaker, attack, trivial that the corpus has].",
        metavar="LIST",
    )
    variance: float = option(
        1.0, "For pwcca: share of each layer's variance to keep; 1 needs many utterances."
    )

    def __post_init__(self) -> None:
        check(self)
        if not 0 < self.variance <= 1:
            raise OptionError("variance", self.variance, "expected a share above 0 and up to 1")
        for name in self.targets or ("",):
            if name not in TARGETS and not name.isdigit():
                which = f"{name}: " if len(self.targets) > 1 else ""
                expected = f"expected {', '.join(TARGETS)}, or numbers of layers"
                raise OptionError("target", self.target, f"{which}{expected}")
        if self.measure != "cca":
            refuse_idle("target", self.target, f"is for {argument('measure', 'cca')}")
        if self.measure != "pwcca" and self.variance != 1:
            refuse_idle("variance", self.variance, f"is for {argument('measure', 'pwcca')}")

    @property
    def targets(self) -> tuple[str, ...]:
        """What layers are correlated with."""
        return tuple(name for name in (self.target or DEFAULT_TARGETS).split(",") if name)

    def check_cache(self, cache: "Cache", audio_root: Path | None) -> None:
        """Refuse typed targets that the cache does not have, and a folder that is not its audio's.

        A target of the default that it does not have is left out.
        """
        reads_audio = self.measure == "cca" and "mel" in self.targets
        if not reads_audio:
            refuse_idle("audio_root", audio_root, "is for the target mel, which reads the audio")
        elif self.target is not None or audio_root is not None:
            import_module("probing.corpora.cached").audio_of(cache, audio_root)
        for name in self.targets if self.measure == "cca" else ():
            if name.isdigit() and int(name) not in cache.layers:
                there = f"has layers {cache.layers[0]}..{cache.layers[-1]}"
                raise OptionError("target", self.target, f"{cache.folder} {there}, not {name}")


OneOrTwo = Annotated[
    list[Path],
    typer.Argument(metavar="CACHE [CACHE]", help="One cache, or two over the same utterances."),
]


@with_options
def similarity(
    caches: OneOrTwo,
    file: Pictured,
    how: Measure,
    features: Features,
    audio_root: CacheAudio = None,
    seed: Seed = 0,
) -> None:
    """Say how alike layers are: each with each, with those of another model, or with what is known
    of the audio.

    \b
    probe similarity results/demo.cache --out cka.png
    probe similarity results/demo.cache results/random.cache --measure pwcca --out pwcca.csv
    probe similarity results/demo.cache --measure cca --target speaker,attack,0 --out cca.png
    """
    check_suffix(file, (*PICTURES, *TABLES))
    _check_caches(caches, how.measure)
    if how.measure == "pwcca":
        refuse_idle("seed", seed or None, "is of what cka and cca draw")
    from cache import Cache

    opened = [Cache(folder) for folder in caches]
    how.check_cache(opened[0], audio_root)
    read = asdict(features)
    if how.measure == "cca":
        more = {"audio_root": audio_root, "seed": seed}
        _show_targets(file, _with_targets(opened[0], how, read | more))
        return
    module = import_module("analysis.similarity")
    read["other"] = opened[1] if len(opened) > 1 else None
    read |= {"seed": seed} if how.measure == "cka" else {"variance": how.variance}
    table = getattr(module, how.measure)(opened[0], **read)
    if len(table.columns) < 16 and not is_output(file):
        print_frame(table)
    save(file, lambda: module.similarity_map(table), table.reset_index())


def _check_caches(caches: Sequence[Path], measure: str) -> None:
    """Refuse more caches than a measure takes, and what is no cache."""
    if len(caches) > (1 if measure == "cca" else 2):
        most = "one cache" if measure == "cca" else "one cache or two"
        raise ProbeError(f"{len(caches)} caches: {argument('measure', measure)} takes {most}")
    advice = "Name it once to compare its layers with each other, or name another"
    expect_each(caches, CACHE, advice)


def _with_targets(
    cache: "Cache", how: Measure, read: Mapping[str, Any]
) -> "dict[str, pd.DataFrame]":
    """CCA of each layer with each target by name; a target that was not typed may be left out."""
    # what is wrong with these is wrong for every target
    import_module("analysis.caches.views").view(cache, read["layers"], read["where"], read["tier"])
    found = {}
    labels = {name: f"layer {name}" if name.isdigit() else name for name in how.targets}
    for name in sorted(labels, key=lambda name: name != "mel"):  # a file of audio may be missing
        wanted = int(name) if name.isdigit() else name
        try:
            table = import_module("analysis.similarity").cca_with(cache, wanted, **read)
        except ProbeError as error:
            if how.target is not None:  # it was typed
                raise
            error.spell = as_flag
            console.print(f"Without {labels[name]}: {error}", markup=False)
        else:
            found[labels[name]] = table
    if not found:
        raise ProbeError(
            f"{cache.folder}: none of {DEFAULT_TARGETS} can be "
            f"measured. Name others with {argument('target')}"
        )
    return {label: found[label] for label in labels.values() if label in found}


def _show_targets(file: Path, cca: "dict[str, pd.DataFrame]") -> None:
    """Print the value of each layer and target, and write picture or table."""
    import pandas as pd

    if not is_output(file):
        print_frame(pd.DataFrame({name: one["value"] for name, one in cca.items()}))
    table = pd.concat(cca, names=["target"]).reset_index()
    save(file, lambda: import_module("analysis.similarity").target_curves(cca), table)

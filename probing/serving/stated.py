"""What the records of a run or an exported model state of the head that serves.

No head is loaded, and PyTorch is not imported: what the records rule out is refused at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.errors import argument
from cache.manifest import read_json
from probing.extraction.options import Options
from probing.heads.kinds import not_imported
from probing.runs import Run, file_in
from probing.runs.form import UTTERANCES
from probing.scores.options import ScoreOptions
from probing.serving.candidates import LINEAR, PROBES, ServingError, candidate
from probing.serving.matching import check_cache
from probing.serving.places import (
    EXITS,
    HEAD,
    PROBE,
    REFERENCE,
    SERVING,
    check_name,
    check_not_smoothed,
    options_of,
    read_serving,
)

if TYPE_CHECKING:
    from cache import Cache


@dataclass(frozen=True)
class StatedHead:
    """The head of a run or an exported model, by their records alone.

    Attributes:
        where: the run, or the folder of the exported model.
        name: of the head, as its run calls it.
        config: what its file says beside the tensors; empty if it cannot be read, which loading
            explains.
        run: the run, open; None of an exported model.
        record: serving.json of an exported model; empty of a run.

    >>> stated = StatedHead.of(Path("results/demo.run"), "linear-layer-02")
    >>> stated.needs, stated.options.seconds
    (('pooled', (2,)), 0.5)
    """

    where: Path
    name: str
    config: Mapping[str, Any]
    run: Run | None
    record: Mapping[str, Any]

    @classmethod
    def of(cls, where: Path, name: str | None = None) -> StatedHead:
        """The head of a name, or by default the one that scores.

        Raises:
            ServingError: there is no such head, or it is of a module that is not imported; or there
                is no exported model that can be read.
            ProbeError: there is no run that can be read.
        """
        if (where / SERVING).is_file():
            record = read_serving(where)
            check_name(where, record, name)
            config = _config(where / HEAD)
            _check_imported(where, config)
            return cls(where, str(record["head"]), config, None, record)
        run = Run(where)
        about = candidate(run, name=name)
        if about.name.startswith(LINEAR):
            config = {"form": PROBE, "layer": about.depth}
        else:
            config = _config(file_in(where / PROBES.parent, f"{about.name}.json"))
            _check_imported(where, config)
        return cls(where, about.name, config, run, {})

    @property
    def has_exits(self) -> bool:
        """Whether clips leave by a policy of early exit."""
        return self.config.get("form") == EXITS

    @property
    def needs(self) -> tuple[str, tuple[int, ...]] | None:
        """The tier and the layers that it takes; None if its file does not say."""
        try:
            tier, layers = _needs(self.config)
        except (KeyError, ValueError, TypeError, IndexError, AttributeError):
            return None
        return tier, tuple(sorted(layers))

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """That of the cache that it was trained on."""
        found: Mapping[str, Any] = self.record.get("fingerprint", {})
        return found if self.run is None else self.run.record.fingerprint

    @property
    def weights(self) -> list[object]:
        """The sha256 of the backbones that it is for: the whole one, and the exported blocks."""
        own = [self.record["weights_sha256"]] if self.run is None else []
        return [self.fingerprint.get("backbone_weights_sha256"), *own]

    @property
    def options(self) -> Options:
        """How its audio is prepared; ServingError if its run does not say."""
        frames = self.needs is not None and self.needs[0] == "frames"
        if self.run is None:
            return Options(backbone=str(self.where), frames=frames, **self.record["options"])
        return options_of(self.run, frames)

    @property
    def is_calibrated(self) -> bool:
        """Whether its scores of dev are known; earlier versions did not keep them."""
        if self.run is None:
            return self.record.get(REFERENCE) is not None
        return (self.where / UTTERANCES).is_file()

    def check_cache(self, cache: Cache) -> None:
        """Refuse a cache that is made otherwise than the one that the head was trained on.

        Raises:
            ServingError: as `probing.serving.matching.check_cache`.
        """
        dim = self.fingerprint.get("backbone_dim")
        check_cache(cache, dim, self.weights, self.fingerprint, str(self.where))


def check_model(where: Path, options: ScoreOptions) -> StatedHead:
    """Refuse a head, or a way of scoring, that a run or an exported model does not have.

    Args:
        where: the run, or the folder of the exported model.
        options: which head is wanted, and whether with early exit, noised copies or ratios.

    Returns:
        The head that scores.

    Raises:
        ServingError: it has no such head, no exits, or no calibration; or it has exits, where each
            noised copy would leave at a depth of its own.

    >>> check_model(Path("results/demo.run"), ScoreOptions(head="linear-layer-02")).name
    'linear-layer-02'
    """
    stated = StatedHead.of(where, options.head)
    if options.early_exit and not stated.has_exits:
        raise ServingError(
            f"{argument('early_exit', True)}: {where} has no exits. Make a model that has: probe "
            f"exits RUN, then probe export RUN DIR {argument('exits', 'FILE')}"
        )
    if stated.has_exits:
        check_not_smoothed(where, options.smoothing)
    if options.calibrated and not stated.is_calibrated:
        again = "probe export RUN DIR" if stated.run is None else "probe sweep CACHE"
        raise ServingError(
            f"{argument('calibrated', True)}: {where} is of an earlier version and has no "
            f"calibration. Write it again: {again}"
        )
    return stated


def _config(path: Path) -> dict[str, Any]:
    """What a file of a head says beside its tensors; empty if it cannot be read."""
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _check_imported(where: Path, config: Mapping[str, Any]) -> None:
    """Refuse a head of a user's kind whose module is not imported."""
    try:
        heads = [config, *config.get("heads", ())]
        found = next(filter(None, map(not_imported, heads)), None)
    except (KeyError, TypeError, AttributeError):
        return  # which loading explains
    if found is not None:
        part, missing = found
        raise ServingError(f"{where}: its {part} is not of this package. {missing}") from missing


def _needs(config: Mapping[str, Any]) -> tuple[str, set[int]]:
    """The tier and the layers that a head takes, as it is stored."""
    if config["form"] == PROBE:
        return "pooled", {int(config["layer"])}
    if config["form"] == EXITS:
        each = [_needs(head) for head in config["heads"]]
        return each[0][0], set().union(*(layers for _, layers in each))
    return str(config["tier"]), {int(layer) for layer in config["layers"]}

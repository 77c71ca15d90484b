"""The trained heads of runs and exports, loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file

from cache.bounds import check_regular
from cache.manifest import read_json
from probing.heads.head import Head, HeadUnusable, load_head
from probing.runs import Run, file_in
from probing.sealing import check_file
from probing.serving.candidates import (
    LINEAR,
    PROBES,
    Candidate,
    candidate,
)
from probing.serving.exit_heads import ExitHeads
from probing.serving.layer_probe import LayerProbe
from probing.serving.places import EXITS, PROBE

AnyHead = Head | LayerProbe | ExitHeads


def head_depth(head: AnyHead) -> int:
    """How many blocks a head needs.

    >>> run = Run("results/demo.run")
    >>> head_depth(choose_head(run, name="linear-layer-02").head)
    2
    """
    return head.layers[-1]


def read_head(path: Path) -> AnyHead:
    """Load `head.safetensors` of an exported folder, of either form.

    Raises:
        HeadUnusable: files missing, or not those of a head.
    """
    try:
        check_file(path)
        check_file(path.with_suffix(".json"))
        config = read_json(path.with_suffix(".json"))
        if config.get("form") not in (PROBE, EXITS):
            return load_head(path)
        check_regular(path)
        tensors = load_file(path)
        return (
            LayerProbe.of(config, tensors)
            if config["form"] == PROBE
            else ExitHeads.of(config, tensors)
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        if isinstance(error, HeadUnusable):
            raise
        raise HeadUnusable(
            f"{path}: no head that can be read ({error}). Write it again: probe export RUN DIR"
        ) from None


@dataclass(frozen=True)
class ChosenHead:
    """A head of a run, loaded, and what is known of it.

    >>> choose_head(Run("results/demo.run"), depth=4, name="weighted-sum+linear").about.name
    'weighted-sum+linear-depth-04'
    """

    head: AnyHead
    about: Candidate


def choose_head(
    run: Run,
    depth: int | None = None,
    name: str | None = None,
    *,
    any_target: bool = False,
    least: int = 0,
) -> ChosenHead:
    """Load a head of a run.

    Args:
        run: an open run.
        depth: blocks it may use; by default those of the finding, or else all.
        name: as the run calls it (`weighted-sum+linear-depth-06`, `linear-layer-06`) or only its
            kind (`weighted-sum+linear`; `linear` is the probe of the layer chosen on dev); by
            default the head that the finding names, or with a depth the one of lowest dev EER of
            that depth.
        any_target: give those of other targets too, which cannot score audio.
        least: blocks that a head chosen by default has to use: one that the finding names and that
            uses fewer gives way to the best on dev of those that do not.

    Raises:
        ServingError: no such head; those there are, are listed. Or a run of another target.

    >>> choose_head(Run("results/demo.run"), name="linear-layer-02").about.depth
    2
    """
    best = candidate(run, depth, name, any_target=any_target, least=least)
    if best.name.startswith(LINEAR):
        return ChosenHead(_load_probe(run.folder / PROBES, best), best)
    return ChosenHead(
        load_head(file_in(run.folder / PROBES.parent, f"{best.name}.safetensors")), best
    )


def _load_probe(path: Path, about: Candidate) -> LayerProbe:
    """The linear probe of a layer, of the file that has those of all layers."""
    try:
        check_regular(path)
        check_file(path)
        tensors = load_file(path)
        layer = f"layer_{about.depth:02d}"
        return LayerProbe(
            about.depth, tensors[f"{layer}.weight"], float(tensors[f"{layer}.bias"][0])
        )
    except (OSError, KeyError, SafetensorError) as error:
        raise HeadUnusable(
            f"{path.parent}: no {about.name} that can be read "
            f"({error}). Train it: probe sweep CACHE"
        ) from None

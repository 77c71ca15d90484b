"""Whether a run can be exported as it is asked, by its records alone; PyTorch is not imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cache.errors import argument, quoted
from probing.exits.policy import ExitPolicy
from probing.options import write_whole
from probing.runs import Run
from probing.serving.candidates import ServingError, candidate, candidates
from probing.serving.places import check_place, check_same, options_of


def check_export(
    run: Run,
    folder: Path,
    depth: int | None = None,
    head: str | None = None,
    exits: ExitPolicy | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Refuse an export that cannot be, before a model is loaded.

    Arguments are those of `probing.serving.export`.

    Raises:
        ServingError: the run has no such head, or one that needs no block, or is of random weights;
            or the folder holds something else, or a model made otherwise.
        BackboneMissing: the backbone of the run is not there.

    >>> check_export(Run("results/demo.run"), Path("small"), head="linear-layer-02")
    """
    if exits is not None:
        check_exits_alone(depth, head)
    made = _made(run, depth, head) if exits is None else _made_of_exits(run, exits)
    if made["depth"] < 1:
        raise ServingError(_without_blocks(run, made["head"], depth, head))
    if run.record["about"].get("random_weights"):
        raise ServingError(
            f"{run.folder}: is of {run.backbone}. Loaded again, random weights would pass for "
            "trained ones, so that they are not exported. Export a run of trained weights"
        )
    options_of(run, frames=False).check_backbone()
    check_place(folder)
    if not overwrite:
        corpus = run.record["about"].get("corpus", "")
        check_same(folder, {**made, "corpus": corpus, "fingerprint": run.record.fingerprint})


def check_exits_alone(depth: int | None, head: str | None) -> None:
    """Refuse a depth or a head for an export with a policy of early exit, which names them."""
    if depth is not None or head is not None:
        flag = argument("head", head) if head is not None else argument("depth", depth)
        raise ServingError(
            f"{flag}: a policy of {argument('exits')} says heads and depths itself. Leave one out"
        )


def _made(run: Run, depth: int | None, head: str | None) -> dict[str, Any]:
    """Name and depth of the head that is exported."""
    about = candidate(run, depth, head, least=1)
    return {"head": about.name, "depth": about.depth, "exits": None}


def _made_of_exits(run: Run, exits: ExitPolicy) -> dict[str, Any]:
    """Name and depth of the heads of a policy of early exit, as one."""
    there = {about.depth for about in candidates(run) if about.kind == exits.head}
    if lacking := set(exits.depths) - there:
        raise ServingError(
            f"{argument('exits')}: its policy has exits at depths {write_whole(exits.depths)} of "
            f"{exits.head}, and {run.folder} has no such head at {write_whole(sorted(lacking))}. "
            f"Make a policy of this run: probe exits {quoted(run.folder)}"
        )
    name = f"{exits.head}-exits"
    return {"head": name, "depth": exits.depths[-1], "exits": exits.as_dict()}


def _without_blocks(run: Run, name: str, depth: int | None, head: str | None) -> str:
    """The refusal of a head that needs no block of the backbone."""
    flag = argument("head", head) if head is not None else argument("depth", depth)
    whose = f"{name}:" if depth is None and head is None else f"{flag}: {name}"
    advice = f"Say {argument('depth')} 1 or more"
    if not any(about.depth for about in candidates(run)):
        advice = f"No head of {run.folder} needs one: score with the run itself"
    return f"{whose} needs no block, and a backbone has one at least. {advice}"

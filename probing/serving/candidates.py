"""The heads that a run stores, by its results alone: which there are, and which of them serves.

No head is loaded, and PyTorch is not imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cache.errors import ProbeError, argument
from probing.options import command_line, nearest, write_whole
from probing.runs import Run
from probing.runs.headline import headline

PROBES = Path("heads", "linear.safetensors")  # of a run, the linear probes of its layers
LINEAR = "linear-layer-"  # how the names of these begin


class ServingError(ProbeError, ValueError):
    """A head, input or option that cannot serve."""


@dataclass(frozen=True)
class Candidate:
    """A head that a run stores: its name, kind, depth (a probe: its layer) and EERs, 0 to 1.

    Of another target than bona fide against spoof, the metric of the finding in the place of the
    EER.
    """

    name: str
    kind: str
    depth: int
    dev_eer: float
    eval_eer: float


def candidate(
    run: Run,
    depth: int | None = None,
    name: str | None = None,
    *,
    any_target: bool = False,
    least: int = 0,
) -> Candidate:
    """The head of a run that serves: the best on dev of those that have a depth and a name.

    Nothing is loaded, so that a head that there is not is refused at once. Arguments and errors
    are those of `probing.serving.choose_head`.

    >>> candidate(Run("results/demo.run"), name="linear-layer-02").depth
    2
    """
    _check_scores_audio(run, any_target)
    known = candidates(run)
    if depth is None and name in (None, "linear"):
        by_default = name is None
        name, depth = headline(run) if by_default else ("linear", run.record.finding.layer)
        deeper = next((head for head in known if head.depth >= least), None)
        if by_default and depth < least and deeper:
            name, depth = deeper.kind, deeper.depth
    exact = [
        candidate
        for candidate in known
        if candidate.name == name and depth in (None, candidate.depth)
    ]
    if exact:
        return exact[0]
    if depth is None:
        found = run.record.depth_finding
        depth = (found.depth if found else None) or max((head.depth for head in known), default=0)
    fitting = [head for head in known if head.depth == depth and name in (None, head.kind)]
    if not fitting:
        raise ServingError(_none_of(run, known, depth, name))
    return fitting[0]


def _check_scores_audio(run: Run, any_target: bool) -> None:
    """Refuse a run whose heads score no whole utterance, or are not of bona fide against spoof."""
    if run.record.folds:
        raise ServingError(f"{run.folder}: {without_folds(run)}")
    if not run.task.is_spoofing and not any_target:
        kept = "heads can be read in Python: probing.heads.head.load_head"
        raise ServingError(
            f"{run.folder}: its target is {run.task.target}, and only heads of bona fide against "
            "spoof score audio. Its "
            f"{kept if run.record.options.heads else f'probes are kept in {run.folder / PROBES}'}"
        )
    if inside := run.record.unit:
        raise ServingError(
            f"{run.folder}: its heads see one vector of a {inside}, and score no whole "
            "utterance. They can be read in Python: probing.heads.head.load_head"
        )


def known_heads(run: Run, heads: bool) -> list[Candidate]:
    """The probes of layers of a run in order, then, if `heads` is true, its heads.

    Raises:
        ProbeError: another target, or no stored probes.

    >>> [head.name for head in known_heads(Run("results/demo.run"), heads=False)][:2]
    ['linear-layer-00', 'linear-layer-01']
    """
    if not run.task.is_spoofing:
        raise ProbeError(
            f"{run.folder}: its target is {run.task.target}. "
            "Expected a run of bona fide against spoof"
        )
    if run.record.folds:
        raise ProbeError(f"{run.folder}: {without_folds(run)}")
    if not (run.folder / PROBES).exists():
        raise ProbeError(
            f"{run.folder}: stores no linear probes. Sweep again with {argument('overwrite')}"
        )
    known = candidates(run)
    probes = sorted(
        (head for head in known if head.name.startswith(LINEAR)), key=lambda head: head.depth
    )
    others = sorted(
        (head for head in known if not head.name.startswith(LINEAR)),
        key=lambda head: (head.kind, head.depth),
    )
    return [*probes, *(others if heads else ())]


def instead_note(run: Run, about: Candidate) -> str:
    """A sentence if the finding names a head without blocks, so that another was chosen."""
    kind, depth = headline(run)
    if depth > 0 or about.depth == 0:
        return ""
    return (
        f"the finding names {kind} at layer 0, which needs no block; "
        f"{about.name} is the best on dev of the others"
    )


def chance_note(run: Run, about: Candidate) -> str:
    """A sentence if the eval interval of a head reaches chance, 50 %; else empty."""
    rows = run.rows("layer" if about.name.startswith(LINEAR) else "depth")
    rows = rows[
        (rows["head"] == about.kind) & (rows["metric"] == "eer") & (rows["condition"] == "all")
    ]
    at = rows["layer" if about.name.startswith(LINEAR) else "depth"] == about.depth
    high = rows.loc[at, "high"].max()
    if not high >= 0.5:
        return ""
    return (
        f"{about.name} is not shown to be better than chance: eval EER "
        f"{100 * about.eval_eer:.1f} %, the 95 % interval reaches {100 * high:.1f} %"
    )


def candidates(run: Run) -> list[Candidate]:
    """The heads of a run, best on dev first; of several seeds the one stored is the best on dev.

    Raises:
        ServingError: the results are not those of a sweep.

    >>> sorted(head.name for head in candidates(Run("results/demo.run")) if head.depth == 0)
    ['linear-layer-00']
    """
    try:
        return _candidates(run)
    except (KeyError, ValueError, TypeError, IndexError, OverflowError) as error:
        raise ServingError(
            f"{run.folder}: its results.parquet names no heads that can be read ({error}). Run "
            "again: probe sweep CACHE"
        ) from None


def _candidates(run: Run) -> list[Candidate]:
    table = run.results[
        (run.results["condition"] == "all") & (run.results["metric"] == run.metric.name)
    ]
    table = table[(table["split"] == "dev") | (table["corpus"] == run.corpora[0])]
    found = []
    for experiment, column in (("layer", "layer"), ("depth", "depth")):
        rows = table[table["experiment"] == experiment]
        if experiment == "depth":
            rows = rows[rows["seed"].notna()]
        for (kind, depth), group in rows.groupby(["head", column]):
            dev = group[group["split"] == "dev"].reset_index(drop=True)
            best = dev.loc[dev["value"].map(run.metric.loss).idxmin()]
            on_eval = group[group["split"] == "eval"]
            if experiment == "depth":
                on_eval = on_eval[on_eval["seed"] == best["seed"]]
            name = f"{kind}-{column}-{int(depth):02d}"
            found.append(
                Candidate(
                    name,
                    kind,
                    depth=int(depth),
                    dev_eer=float(best["value"]),
                    eval_eer=float(on_eval["value"].iloc[0]),
                )
            )
    return sorted(found, key=lambda candidate: (run.metric.loss(candidate.dev_eer), candidate.name))


def _none_of(run: Run, known: Sequence[Candidate], depth: int | None, name: str | None) -> str:
    """The refusal of a depth and a name that no head has: the depths or heads there are."""
    depths = sorted({head.depth for head in known if name in (None, head.kind)})
    if depths and depth is not None:
        of_kind = f" of {name}" if name else ""
        found = f"has no head{of_kind} of that depth. It has depths {write_whole(depths)}"
        return f"{argument('depth', depth)}: {run.folder} {found}"
    if (named := next((head for head in known if head.name == name), None)) is not None:
        text = f"{name} is of depth {named.depth}, not {depth}. Leave one out, or name its kind"
        return f"{argument('depth', depth)}: {text}, {argument('head', named.kind)}"
    names = sorted(candidate.name for candidate in known)
    hint = nearest(name or "", [*sorted({candidate.kind for candidate in known}), *names]) or "."
    return (
        f"{argument('head', name)}: {run.folder} has no such head{hint} It has: "
        f"{', '.join(names) or 'none'}"
    )


def without_folds(run: Run) -> str:
    """The refusal of a cross-validation, which keeps no head, and the sweep that keeps some."""
    target = run.record["options"].get("target", {})
    again = command_line(
        *("probe", "sweep", run.record.cache_folder),
        target=None if run.task.is_spoofing else target["target"],
        labels=target.get("labels") or None,
        positive=target.get("positive") or None,
        split_by=target.get("split_by") or None,
        out=run.folder.with_name(f"{run.folder.name.removesuffix('.run')}.divided.run"),
    )
    return (
        "is a cross-validation, whose folds have heads of their own; none is kept. Sweep with "
        f"one division, without {argument('folds')}: {again}"
    )

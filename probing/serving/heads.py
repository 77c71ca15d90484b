"""The trained heads of a run, and which of them serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file

from cache.bounds import check_regular
from cache.errors import ProbeError, argument
from cache.manifest import read_json
from probing.heads.head import Head, HeadUnusable, load_head
from probing.options import command_line, nearest, write_whole
from probing.runs import Run, file_in
from probing.runs.headline import headline
from probing.sealing import check_file
from probing.serving.exit_heads import FORM as EXITS
from probing.serving.exit_heads import ExitHeads
from probing.serving.layer_probe import FORM as PROBE
from probing.serving.layer_probe import LINEAR, LayerProbe

PROBES = Path("heads", "linear.safetensors")  # of a run, the linear probes of its layers


class ServingError(ProbeError, ValueError):
    """A head, input or option that cannot serve."""


AnyHead = Head | LayerProbe | ExitHeads


def head_depth(head: AnyHead) -> int:
    """How many blocks a head needs."""
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


@dataclass(frozen=True)
class ChosenHead:
    """A head of a run, loaded, and what is known of it.

    >>> choose_head(Run("results/demo.run"), depth=4, name="weighted-sum+linear").about.name
    'weighted-sum+linear-depth-04'
    """

    head: AnyHead
    about: Candidate


def instead_note(run: Run, about: Candidate) -> str:
    """A sentence where the finding names a head that needs no block, and another was chosen by
    default; else empty.
    """
    kind, depth = headline(run)
    if depth > 0 or about.depth == 0:
        return ""
    return (
        f"the finding names {kind} at layer 0, which needs no block; "
        f"{about.name} is the best on dev of the others"
    )


def chance_note(run: Run, about: Candidate) -> str:
    """A sentence if a head is not shown to be better than chance on eval, its interval reaching 50
    %; else empty.
    """
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
    """What to say where no head has a depth and a name: the depths of its kind, or else the heads
    there are.
    """
    depths = sorted({one.depth for one in known if name in (None, one.kind)})
    if depths and depth is not None:
        of_kind = f" of {name}" if name else ""
        found = f"has no head{of_kind} of that depth. It has depths {write_whole(depths)}"
        return f"{argument('depth', depth)}: {run.folder} {found}"
    if (named := next((one for one in known if one.name == name), None)) is not None:
        told = f"{name} is of depth {named.depth}, not {depth}. Leave one out, or name its kind"
        return f"{argument('depth', depth)}: {told}, {argument('head', named.kind)}"
    names = sorted(candidate.name for candidate in known)
    hint = nearest(name or "", [*sorted({candidate.kind for candidate in known}), *names]) or "."
    return (
        f"{argument('head', name)}: {run.folder} has no such head{hint} It has: "
        f"{', '.join(names) or 'none'}"
    )


def without_folds(run: Run) -> str:
    """What to say of a cross-validation where a head is needed: that none is kept, and the sweep
    that keeps some.
    """
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
    _check_scores_audio(run, any_target)
    known = candidates(run)
    best = _best(run, known, depth=depth, name=name, least=least)
    if best.name.startswith(LINEAR):
        return ChosenHead(_load_probe(run.folder / PROBES, best), best)
    return ChosenHead(
        load_head(file_in(run.folder / PROBES.parent, f"{best.name}.safetensors")), best
    )


def _check_scores_audio(run: Run, any_target: bool) -> None:
    """Refuse a run whose heads score no whole utterance, or another target than bona fide against
    spoof.
    """
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


def _best(
    run: Run, known: Sequence[Candidate], depth: int | None, name: str | None, least: int
) -> Candidate:
    """The best on dev of the candidates that have a depth and a name, as `choose_head` says."""
    if depth is None and name in (None, "linear"):
        by_default = name is None
        name, depth = headline(run) if by_default else ("linear", run.record.finding.layer)
        deeper = next((one for one in known if one.depth >= least), None)
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
        depth = (found.depth if found else None) or max((one.depth for one in known), default=0)
    fitting = [one for one in known if one.depth == depth and name in (None, one.kind)]
    if not fitting:
        raise ServingError(_none_of(run, known, depth, name))
    return fitting[0]


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

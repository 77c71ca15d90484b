"""A truncated backbone with its trained head as one folder.

config.json, model.safetensors,             the backbone, see `Backbone.save`
preprocessor_config.json, export.json
head.safetensors, head.json                 the head
reference.safetensors                       what a verdict needs, see `reference`
serving.json                                how audio is prepared, what to expect of it, and size
                                            and checksum of every file
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cache.atomic import PARTIAL, replace_folder
from cache.errors import ProbeError, argument, quoted
from cache.manifest import read_json
from probing.backbones import Backbone
from probing.devices import find_device
from probing.exits import ExitPolicy, exit_trials
from probing.extraction import Options
from probing.labels import BONAFIDE
from probing.metrics import eer
from probing.runs import Run
from probing.sealing import read_record, seal
from probing.serving.exit_heads import ExitHeads
from probing.serving.heads import (
    AnyHead,
    Candidate,
    ChosenHead,
    ServingError,
    chance_note,
    choose_head,
    head_depth,
    instead_note,
    read_head,
)
from probing.serving.matching import check_matching
from probing.serving.reference import (
    PARTS,
    REFERENCE,
    TENSORS,
    Reference,
    read_reference,
    reference_of,
)
from probing.tensors import save_arrays

SERVING = "serving.json"
HEAD = "head.json"
KEPT = ("normalize", "max_seconds", "seconds", "pooled_dtype", "frames_dtype")


@dataclass(frozen=True)
class Exported:
    """An exported folder, open for scoring.

    record: serving.json. reference: what a verdict needs; None in folders of an earlier version.
    """

    folder: Path
    head: AnyHead
    record: dict[str, Any]
    reference: Reference | None = None

    @property
    def options(self) -> Options:
        """How its audio is prepared."""
        return Options(
            backbone=str(self.folder), frames=self.head.tier == "frames", **self.record["options"]
        )

    def load_backbone(self, device: str = "cpu") -> Backbone:
        """Load the backbone; the weights must be those that were exported."""
        backbone = self.options.load_backbone(device)
        check_weights(backbone, self.record["weights_sha256"], str(self.folder))
        check_matching(
            self.options.fingerprint(backbone),
            self.record["fingerprint"],
            str(self.folder),
            "the run",
        )
        return backbone


def export(
    run: Run,
    folder: Path,
    depth: int | None = None,
    head: str | None = None,
    device: str = "cpu",
    exits: ExitPolicy | None = None,
    *,
    overwrite: bool = False,
) -> Exported:
    """Write the first blocks of a run's backbone with the head trained on them.

    Args:
        run: an open run.
        folder: made whole or not at all; the same export there is replaced.
        depth: see `choose_head`; without it and a head, that of the head that the run's finding
            names, all blocks if it names no smaller depth.
        head: see `choose_head`.
        device: where the backbone is loaded.
        exits: a policy of early exit, of `probing.exits.find_exits`, instead of depth and head: its
            heads are all written, and what is scored leaves by it.
        overwrite: replace a model there that was made otherwise.

    Raises:
        ServingError: no such head, the folder holds something else or a model made otherwise, or
            the backbone is another than the run's.

    >>> export(Run("results/demo.run"), Path("small"), head="linear-layer-02").folder.name
    'small'
    """
    find_device(device)
    trials = None
    if exits is None:
        chosen = choose_head(run, depth, head, least=1)
    else:
        chosen, trials = _exits(run, exits, depth, head)
    n_blocks = head_depth(chosen.head)
    if n_blocks < 1:
        raise ServingError(
            f"{chosen.about.name}: needs no block, and a backbone has one at least. Say "
            f"{argument('depth')} 1 or more"
        )
    check_place(folder)
    corpus = run.record["about"].get("corpus", "")
    if not overwrite:
        _check_same(
            folder,
            {
                "head": chosen.about.name,
                "depth": n_blocks,
                "corpus": corpus,
                "fingerprint": run.record.fingerprint,
                "exits": chosen.head.config().get("policy"),
            },
        )
    notes = [chance_note(run, chosen.about)] if exits is None else []
    if depth is None and head is None and exits is None:
        notes.append(instead_note(run, chosen.about))
    options = run_options(run, chosen.head)
    backbone = load_run_backbone(run, options, device).truncate(n_blocks)
    record = {
        **described(backbone, chosen.head, options, corpus),
        "head": chosen.about.name,
        "dev_eer": chosen.about.dev_eer,
        "eval_eer": chosen.about.eval_eer,
        "note": "; ".join(filter(None, notes)),
        "fingerprint": run.record.fingerprint,
    }
    reference = reference_of(run, chosen.about.name, chosen.head, trials)
    return write_exported(folder, backbone, head=chosen.head, record=record, reference=reference)


def _exits(
    run: Run, policy: ExitPolicy, depth: int | None, head: str | None
) -> tuple[ChosenHead, dict[str, pd.DataFrame]]:
    """The heads of a policy of early exit, as one, and its trials of dev and eval."""
    if depth is not None or head is not None:
        flag = argument("head", head) if head is not None else argument("depth", depth)
        raise ServingError(
            f"{flag}: a policy of {argument('exits')} says heads and depths itself. Leave one out"
        )
    heads = [choose_head(run, k, policy.head).head for k in policy.depths]
    served = ExitHeads(policy, [head for head in heads if not isinstance(head, ExitHeads)])
    trials = {part: exit_trials(run, policy, part) for part in PARTS}
    rates = [eer(table["label"].eq(BONAFIDE), table["score"]) for table in trials.values()]
    return ChosenHead(
        served, Candidate(served.name, policy.head, policy.depths[-1], *rates)
    ), trials


def check_place(folder: Path) -> None:
    """Refuse a folder that holds something else than an export, before any work is done."""
    if folder.exists() and (
        not folder.is_dir() or (any(folder.iterdir()) and not (folder / SERVING).is_file())
    ):
        raise ServingError(
            f"{folder}: is there and is no exported head. Name another folder, or remove it"
        )


def _check_same(folder: Path, made: Mapping[str, Any]) -> None:
    """Refuse a folder with a model made otherwise, whose weights may be nowhere else.

    `made` is what decides an export: the weights follow from the fingerprint and the depth.
    """
    if not (folder / SERVING).is_file():
        return
    try:
        there = read_record(folder / SERVING)[0]
        there["exits"] = read_json(folder / HEAD).get("policy")
    except (OSError, ValueError, AttributeError, ProbeError):
        found = "a model that cannot be read"
    else:
        # as it was written; earlier versions did not write all of it
        expected = json.loads(json.dumps(made))
        others = [
            name for name, value in expected.items() if name in there and there[name] != value
        ]
        if "tuning" not in there and not others:
            return
        long = {"exits": "other exits", "fingerprint": "another backbone, or prepared otherwise"}
        differing = ", ".join(
            long.get(name) or f"{name} {there[name]}, not {expected[name]}" for name in others
        )
        found = "a tuned model" if "tuning" in there else f"a model made otherwise ({differing})"
    raise ServingError(
        f"{folder}: holds {found}. Name another folder, or replace it for good: "
        f"{argument('overwrite', True)}"
    )


def described(backbone: Backbone, head: AnyHead, options: Options, corpus: str) -> dict[str, Any]:
    """What the record of an export says of a backbone with the blocks a head needs, and how audio
    is prepared.
    """
    return {
        "form": "serving",
        "backbone": backbone.name,
        "corpus": corpus,
        "depth": head_depth(head),
        "tier": head.tier,
        "options": {name: getattr(options, name) for name in KEPT},
        "weights_sha256": backbone.fingerprint()["weights_sha256"],
    }


def write_exported(
    folder: Path,
    backbone: Backbone,
    head: AnyHead,
    record: Mapping[str, Any],
    reference: Reference | None = None,
    more: Mapping[str, bytes] | None = None,
) -> Exported:
    """Write a backbone with a head as an exported folder, whole or not at all.

    Args:
        folder: an earlier export there is replaced, see `check_place`.
        backbone: with the blocks that the head needs.
        head: trained.
        record: what serving.json says: `head`, `options`, `weights_sha256`, `fingerprint`, and what
            is known beside.
        reference: what a verdict needs; without it there are scores only.
        more: further files, by name.

    Raises:
        ServingError: the folder cannot be written to.
    """
    said = {"form": "serving", **record}
    if reference is not None:
        said[REFERENCE] = reference.record()
    partial = folder.with_name(f"{folder.name}.export{PARTIAL}")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        backbone.save(partial)
        save_arrays(partial / "head.safetensors", head.tensors())
        text = json.dumps(head.config(), indent=1, ensure_ascii=False)
        (partial / HEAD).write_text(text + "\n", encoding="utf-8")
        if reference is not None:
            save_arrays(partial / TENSORS, reference.tensors())
        for name, content in (more or {}).items():
            (partial / name).write_bytes(content)
        seal(partial, SERVING, said)
        replace_folder(partial, folder)
    except OSError as error:
        # of the backbone, beside its place
        disk = error.__cause__ if isinstance(error, ProbeError) else error
        if not isinstance(disk, OSError):
            raise
        raise ServingError(
            f"{folder}: cannot be written to "
            f"({disk.strerror or disk}). Make room, or name another folder"
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Exported(folder, head, said, reference)


def open_exported(folder: Path) -> Exported:
    """Open a folder that `export` wrote.

    Raises:
        ServingError: there is none, or it cannot be read; or what its verdicts need.
        Damaged: it is not as it was written.

    >>> open_exported(Path("missing"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    probing.serving.heads.ServingError: missing: no exported head here ...
    """
    try:
        record = read_record(folder / SERVING)[0]
        missing = {"options", "weights_sha256", "fingerprint", "head"} - set(record)
        if missing:
            raise ValueError(f"{SERVING} says no {', '.join(sorted(missing))}")
        odd = set(record["options"]) - set(KEPT)
        if odd or not isinstance(record["fingerprint"], dict):
            raise ValueError(
                f"{SERVING} says {', '.join(sorted(odd)) or 'a fingerprint'} that no export writes"
            )
        Options(**record["options"])
    except (OSError, ValueError, TypeError) as error:
        raise ServingError(
            f"{folder}: no exported head here ({error}). Write "
            f"one: probe export RUN {quoted(folder)}"
        ) from None
    head = read_head(folder / "head.safetensors")
    return Exported(folder, head, record, read_reference(folder, record, head))


def run_options(run: Run, head: AnyHead) -> Options:
    """The options by which the run's cache was extracted, with the tier that the head needs."""
    given = run.record.get("about", {}).get("options")
    if not given:
        raise ServingError(
            f"{run.folder}: does not say how its cache was "
            "extracted. Run again: probe extract, probe sweep"
        )
    return Options(**{**given, "frames": head.tier == "frames"})


def load_run_backbone(run: Run, options: Options, device: str = "cpu") -> Backbone:
    """Load the backbone that a run's cache was extracted with; weights and normalisation must be
    the same.
    """
    backbone = options.load_backbone(device, fetch=False)
    check_weights(backbone, run.record.fingerprint.get("backbone_weights_sha256"), str(run.folder))
    check_matching(
        options.fingerprint(backbone), run.record.fingerprint, options.backbone, str(run.folder)
    )
    return backbone


def check_weights(backbone: Backbone, expected: Any, where: str) -> None:
    """Refuse a backbone of other weights than expected."""
    found = backbone.fingerprint()["weights_sha256"]
    if found != expected:
        raise ServingError(
            f"{backbone.spec}: its weights are {str(found)[:12]}, those of {where} were "
            f"{str(expected)[:12]}. Put the earlier weights back, or extract and sweep again"
        )

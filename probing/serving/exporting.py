"""Exports: the first blocks of a run's backbone with the head trained on them, in one folder."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from probing.devices import find_device
from probing.exits import ExitPolicy, exit_trials
from probing.labels import BONAFIDE
from probing.metrics import eer
from probing.runs import Run
from probing.serving.candidates import Candidate, chance_note, instead_note
from probing.serving.exit_heads import ExitHeads
from probing.serving.exportable import check_export
from probing.serving.exported import (
    Exported,
    described,
    load_run_backbone,
    run_options,
    write_exported,
)
from probing.serving.heads import ChosenHead, choose_head, head_depth
from probing.serving.reference import PARTS, reference_of


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
        ServingError: as `probing.serving.exportable.check_export`, or the backbone is another than
            the run's.

    >>> export(Run("results/demo.run"), Path("small"), head="linear-layer-02").folder.name
    'small'
    """
    check_export(run, folder, depth, head, exits, overwrite=overwrite)
    find_device(device)
    trials = None
    if exits is None:
        chosen = choose_head(run, depth, head, least=1)
    else:
        chosen, trials = _exits(run, exits)
    corpus = run.record["about"].get("corpus", "")
    notes = [chance_note(run, chosen.about)] if exits is None else []
    if depth is None and head is None and exits is None:
        notes.append(instead_note(run, chosen.about))
    options = run_options(run, chosen.head)
    backbone = load_run_backbone(run, options, device).truncate(head_depth(chosen.head))
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


def _exits(run: Run, policy: ExitPolicy) -> tuple[ChosenHead, dict[str, pd.DataFrame]]:
    """The heads of a policy of early exit, as one, and its trials of dev and eval."""
    heads = [choose_head(run, k, policy.head).head for k in policy.depths]
    served = ExitHeads(policy, [head for head in heads if not isinstance(head, ExitHeads)])
    trials = {part: exit_trials(run, policy, part) for part in PARTS}
    rates = [eer(table["label"].eq(BONAFIDE), table["score"]) for table in trials.values()]
    return ChosenHead(
        served, Candidate(served.name, policy.head, policy.depths[-1], *rates)
    ), trials

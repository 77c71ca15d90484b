"""The sweep: caches in, a run folder out."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cache import Cache, ProbeError
from probing.devices import find_device
from probing.progress import console, duration
from probing.runs import Run, RunWriter, made_with
from probing.runs.run import RUN
from probing.sealing import faults_of
from probing.sweep.configuration import configuration_of
from probing.sweep.control_tasks import find_control_task
from probing.sweep.depth_ablation import ablate
from probing.sweep.depth_finding import DepthFinding
from probing.sweep.elsewhere import find_elsewhere, find_unseen
from probing.sweep.erasure import find_erasure
from probing.sweep.finding import find_layer
from probing.sweep.layer_probing import LayerProbes, LayerProbing
from probing.sweep.layers_at_once import add_layers_at_once
from probing.sweep.mlp_probes import find_mlp
from probing.sweep.options import TRAINING, SweepOptions
from probing.sweep.preparation import Prepared, prepare
from probing.sweep.refitting import REFITS
from probing.sweep.results import Results
from probing.sweep.savings import depth_costs, saved_shares
from probing.sweep.split import EVAL, Split


def sweep(
    cache: str | Path | Cache,
    run: str | Path,
    options: SweepOptions | None = None,
    *,
    device: str = "cpu",
    memory_gb: float = 2.0,
    overwrite: bool = False,
    strict: bool = False,
    splits: dict[str, Split] | None = None,
    say: Callable[[str], None] = console.print,
) -> Run:
    """Train a linear probe a layer with its controls, and heads on layers 1..k; write the run.

    Args:
        cache: a cache with a pooled tier; the one that options mean where they name none.
        run: folder of the results; appears when it is whole.
        options: what to do.
        device: where to train: auto, cpu, cuda, cuda:1.
        memory_gb: most memory for features; as many layers are solved in parallel as fit.
        overwrite: replace a run that was made another way.
        strict: refuse parts that share a person or a recording; else that is said, and written into
            the record.
        splits: `options.splits(cache)`, where that has been read.
        say: where to put what a person should know.

    Raises:
        ProbeError: a split is missing or one-sided, the run folder holds something else, or, if
            strict, parts share a person or a recording.

    >>> from probing.sweep import DepthOptions
    >>> options = SweepOptions(
    ...     depths=DepthOptions(()), strengths=(0.1,), control_seeds=(0,), resamples=100
    ... )
    >>> sweep("results/demo.cache", "quick.run", options, say=lambda text: None).metric.name
    'eer'
    """
    options = options or SweepOptions()
    started = time.perf_counter()
    device = str(find_device(device, double=True))
    opened = cache if isinstance(cache, Cache) else Cache(cache)
    data = prepare(opened, options, strict=strict, splits=splits, say=say)
    configuration = configuration_of(options, data.splits)
    with RunWriter(Path(run), configuration, overwrite=overwrite) as writer:
        say(f"Sweep: {data}")
        results = Results(data.splits, data.resamples)
        probing = LayerProbing(
            data, results, writer=writer, device=device, memory_gb=memory_gb, say=say
        )
        probes = probing.run()
        saved = _measure_costs(data, results, device, say)
        depth_finding = None
        if data.trains_heads:
            depth_finding = ablate(
                data.cache,
                data.splits,
                options=options.depths,
                margin=options.margin,
                writer=writer,
                results=results,
                device=device,
                memory_gb=memory_gb,
                saved=saved,
                rankings=probes.rankings(),
                max_units=options.target.max_units,
            )
        findings = _findings(data, results, probing, probes=probes, depth_finding=depth_finding)
        writer.add_utterances({part: rows for part, rows in data.tables.items() if part != "train"})
        if data.splits["train"].folds is None:  # there every fold has probes of its own
            probing.store(probes)
        say(
            f"Trained {len(probes.of_layer)} layers x {data.n_probes} labellings x "
            f"{len(options.strengths)} strengths in {duration(time.perf_counter() - started)}."
        )
        plain = {name: finding.as_dict() if finding else None for name, finding in findings.items()}
        seconds = round(time.perf_counter() - started, 3)
        return writer.finish(
            results.table(), {**configuration, **data.record(), **plain, "seconds": seconds}
        )


def _measure_costs(
    data: Prepared, results: Results, device: str, say: Callable[[str], None]
) -> dict[int, float] | None:
    """Depth -> share of compute that it saves; None without heads, or a backbone to measure."""
    if not data.measures_costs or (costs := depth_costs(data.cache, device, say)) is None:
        return None
    results.add_costs(costs)
    return saved_shares(costs)


def _findings(
    data: Prepared,
    results: Results,
    probing: LayerProbing,
    probes: LayerProbes,
    depth_finding: DepthFinding | None,
) -> dict[str, Any]:
    """The findings by their names in the record; None for those that were not made.

    Adds to the results what rests on the layer that was chosen.
    """
    table = results.table()
    first, *others = data.corpora
    resamples = data.resamples[EVAL]
    finding = find_layer(
        data.cache,
        table,
        corpus=first,
        boots=probes.boots,
        resamples=resamples,
        task=data.task,
        trials=data.splits[EVAL].trials,
    )
    if TRAINING in data.options.interval_includes:
        finding = replace(finding, drawn=f"{finding.drawn} and over {REFITS} training sets")
    findings: dict[str, Any] = {"finding": finding, "mlp_finding": None}
    if probes.mlp_boots:
        findings["mlp_finding"] = find_mlp(
            table, first, boots=probes.mlp_boots, linear_boots=probes.boots, resamples=resamples
        )
    findings["elsewhere"] = find_elsewhere(
        table, finding.layer, last=finding.last, corpora=others, task=data.task
    )
    findings["unseen_attacks"] = find_unseen(table, finding.layer) if data.left_out else None
    findings["depth_finding"] = depth_finding
    add_layers_at_once(results, finding.layer, probes.boots)
    if data.controls:
        column = data.options.target.control_type
        findings["control_task"] = find_control_task(table, finding, column, first)
    if data.options.erase:
        probing.erase(probes, finding.layer)
        width = data.splits["train"].width
        findings["erasure"] = find_erasure(results.table(), finding, width, first)
    return findings


def finished_run(
    cache: Cache, run: str | Path, options: SweepOptions, *, splits: dict[str, Split] | None = None
) -> Run | None:
    """The run of a folder if this sweep would make it again, and its files are as written.

    Args:
        cache: as of `sweep`.
        run: the folder.
        options: as of `sweep`.
        splits: `options.splits(cache)`, where that has been read.

    >>> finished_run(
    ...     Cache("results/demo.cache"), "results/demo.run", SweepOptions()
    ... ) is None  # made with other options
    True
    """
    try:
        found = Run(run)
        if not made_with(found.record, configuration_of(options, splits or options.splits(cache))):
            return None
        faults = faults_of(found.folder, RUN)
    except (ProbeError, OSError, ValueError):
        return None
    # None: of a version that kept no checksums, and less than a run has today
    return found if faults == [] else None

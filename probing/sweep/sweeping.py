"""The sweep: caches in, a run folder out."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import Cache, ProbeError
from probing.audio import MEASURES
from probing.devices import find_device
from probing.progress import console, duration, progress_line
from probing.runs import Run, RunWriter, made_with
from probing.runs.run import RUN
from probing.sealing import faults_of
from probing.sweep.conditions import ConditionFigures
from probing.sweep.control_tasks import find_control_task
from probing.sweep.depth_ablation import ablate
from probing.sweep.dividing import rows_by_training
from probing.sweep.erasure import erase_layers, find_erasure
from probing.sweep.finding import find_elsewhere, find_layer, find_mlp, find_unseen
from probing.sweep.fitting import Probe, cross_validate, fit_probes
from probing.sweep.linear import probe_layers, sampled
from probing.sweep.localisation import add_localisation, localises
from probing.sweep.mlp_probes import probe_with_mlp
from probing.sweep.options import TRAINING, SweepOptions
from probing.sweep.preparation import Prepared, prepare
from probing.sweep.refitting import REFITS, Refits
from probing.sweep.results import LAYERS, MLP, MLP_CONTROL, TRIVIAL, Results
from probing.sweep.savings import depth_costs, saved_shares
from probing.sweep.scores import add_scores
from probing.sweep.split import EVAL, Split, audio_identity, identity
from probing.targets.aligned import FROM_CLIP
from probing.targets.metrics import BINARY, CLASSES, NUMBER
from probing.targets.options import TargetOptions
from probing.targets.task import Task


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
    """Train a linear probe per layer with its controls, and heads on the first k layers; write the
    run folder.

    Args:
        cache: a cache with a pooled tier; the one that options mean where they name none.
        run: folder of the results; appears when it is whole.
        options: what to do.
        device: where to train: auto, cpu, cuda, cuda:1.
        memory_gb: most memory for features; as many layers are solved beside each other as fit.
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
    configuration = _configuration(options, data.splits)
    with RunWriter(Path(run), configuration, overwrite=overwrite) as writer:
        say(f"Sweep: {data}")
        results = Results(data.splits, data.resamples)
        probes = _probe_layers(
            data, results, writer=writer, device=device, memory_gb=memory_gb, say=say
        )
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
                rankings=_rankings(probes.dev_losses),
                max_units=options.target.max_units,
            )
        table = results.table()
        findings = _findings(data, table, probes) | {"depth_finding": depth_finding}
        results.add_layers_at_once(findings["finding"].layer, probes.boots)
        if data.controls:
            column = options.target.control_type
            findings["control_task"] = find_control_task(
                table, findings["finding"], column, data.corpora[0]
            )
        if options.erase:
            _erase(
                data,
                results,
                probes=probes,
                chosen=findings["finding"].layer,
                device=device,
                memory_gb=memory_gb,
            )
            table = results.table()
            findings["erasure"] = find_erasure(
                table, findings["finding"], data.splits["train"].width, data.corpora[0]
            )
        writer.add_utterances({part: rows for part, rows in data.tables.items() if part != "train"})
        if data.splits["train"].folds is None:  # there every fold has probes of its own
            _store_probes(
                data.cache,
                probes.of_layer,
                writer=writer,
                task=data.task,
                unit=data.splits["train"].unit,
            )
        say(
            f"Trained {len(probes.of_layer)} layers x {data.n_probes} labellings x "
            f"{len(options.strengths)} strengths in {duration(time.perf_counter() - started)}."
        )
        told = {name: finding.as_dict() if finding else None for name, finding in findings.items()}
        seconds = round(time.perf_counter() - started, 3)
        return writer.finish(
            results.table(), {**configuration, **data.record(), **told, "seconds": seconds}
        )


INPUTS = {
    False: "pooled mean and standard deviation, (2 * dim) features, not standardised",
    True: "one vector of dim features, a frame or the mean of several, not standardised",
}
_SCORES = {
    BINARY: "log odds of the positive class",
    CLASSES: "log odds of the classes at equal priors, but for a constant",
    NUMBER: "the number",
}


@dataclass
class _Probes:
    """What was trained by layer.

    of_layer: the linear probe, without its scores. dev_losses: layer -> its metric on dev turned so
    that lower is better, of each fold or once; empty if no heads are trained. boots: layer -> (R,)
    its EER on the first corpus. mlp_boots: likewise of MLP probes; empty if there are none.
    """

    of_layer: dict[int, Probe] = field(default_factory=dict)
    dev_losses: dict[int, list[float]] = field(default_factory=dict)
    boots: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    mlp_boots: dict[int, NDArray[np.float64]] = field(default_factory=dict)


def _probe_layers(
    data: Prepared,
    results: Results,
    writer: RunWriter,
    device: str,
    memory_gb: float,
    say: Callable[[str], None],
) -> _Probes:
    """Train the probes of every layer with their controls; add their rows and scores to the run."""
    options = data.options
    splits = data.splits
    found = _Probes()
    figures = None
    if data.task.is_spoofing:
        figures = ConditionFigures(
            results,
            splits,
            by_condition=data.conditions,
            left_out=data.left_out,
            resamples=options.resamples,
            seed=options.seed,
            interval_by=options.interval_by,
        )
    refits = None
    if TRAINING in options.interval_includes:
        refits = Refits(
            splits,
            options.interval_by,
            strengths=options.strengths,
            seed=options.seed,
            device=device,
        )
    rows = data.left_out.rows if data.left_out else None
    with progress_line("Probing", len(data.cache.layers), "layers") as line:
        most = options.target.max_units
        found_by_layer = probe_layers(
            splits,
            data.labellings,
            strengths=options.strengths,
            device=device,
            memory_gb=memory_gb,
            left_out=rows,
            max_units=most,
            controls=data.controls,
        )
        for layer, probes, without in found_by_layer:
            shifts = refits.shifts(layer) if refits else None
            found.boots[layer] = results.add(LAYERS, layer, probes[0], shifts)
            shuffled, of_tasks = probes[1 : len(data.labellings)], probes[len(data.labellings) :]
            for seed, probe in zip(options.control_seeds, shuffled, strict=True):
                results.add_control(layer, seed, probe)
            if data.controls:
                controls = list(zip(of_tasks, data.controls, strict=True))
                results.add_control_tasks(layer, probes[0], options.control_seeds, controls)
            if figures is not None:
                figures.add(layer, probes[0], without)
            add_scores(data.splits, writer, f"linear-layer-{layer:02d}", probes[0].scores)
            if localises(splits["train"]) and splits["train"].folds is None:
                add_localisation(
                    results,
                    splits,
                    probes[0].scores,
                    head="linear",
                    layer=layer,
                    strength=probes[0].strength,
                )
            if data.trains_heads:
                dev = splits["dev"]
                found.dev_losses[layer] = [
                    data.task.metric.loss(
                        data.task.value(dev.target[rows], probes[0].scores["dev"][rows])
                    )
                    for rows in rows_by_training(dev)
                ]
            found.of_layer[layer] = replace(probes[0], scores={})
            line.advance(1, f"layer {layer}")
        if figures is not None and figures.otherwise:
            say(figures.otherwise)
        if options.probe == "mlp":
            found.mlp_boots = _add_mlp(data, results, device)
        _add_trivial(data, results, writer, device)
    return found


def _rankings(losses: Mapping[int, Sequence[float]]) -> list[list[int]]:
    """Of each fold, or once, layers above 0, that of the best linear probe on dev first; among
    equals the lowest.
    """
    layers = [layer for layer in losses if layer > 0]
    return [
        sorted(layers, key=lambda layer: (losses[layer][i], layer))
        for i in range(len(losses[layers[0]]))
    ]


def _add_mlp(data: Prepared, results: Results, device: str) -> dict[int, NDArray[np.float64]]:
    """Add the rows of MLP probes; gives layer -> (R,) their EER on the first corpus."""
    boots: dict[int, NDArray[np.float64]] = {}
    with progress_line("MLP probes", len(data.cache.layers), "layers") as line:
        for layer, probes in probe_with_mlp(data.cache, data.splits, data.labellings, device):
            boots[layer] = results.add(MLP, layer, probes[0])
            for seed, probe in zip(data.options.control_seeds, probes[1:], strict=True):
                results.add_control(layer, seed, probe, MLP_CONTROL)
            line.advance(1, f"layer {layer}")
    return boots


def _erase(
    data: Prepared, results: Results, probes: _Probes, chosen: int, device: str, memory_gb: float
) -> None:
    """Add the probes of what is left of each layer; those of the one chosen on dev with
    intervals.
    """
    options = data.options
    with progress_line("Erasing", len(probes.of_layer), "layers") as line:
        for layer, rounds in erase_layers(
            data.splits,
            probes.of_layer,
            strengths=options.strengths,
            n_rounds=options.erase,
            seed=options.seed,
            device=device,
            memory_gb=memory_gb,
            max_units=options.target.max_units,
        ):
            for one in rounds:
                for probe, seed in ((one.probe, None), (one.random, options.seed)):
                    results.add_erased(layer, probe, one.removed, seed, interval=layer == chosen)
            line.advance(1, f"layer {layer}")


def _add_trivial(data: Prepared, results: Results, writer: RunWriter, device: str) -> None:
    """Add the probe of features that say nothing about speech."""
    names = [*MEASURES, *(FROM_CLIP if data.splits["train"].unit else ())]
    features = {part: table[names].to_numpy(np.float64) for part, table in data.tables.items()}
    strengths = data.options.strengths
    folds = data.splits["train"].folds
    if folds is not None:
        trivial = cross_validate(
            features["train"],
            folds,
            labellings=data.labellings[:1],
            strengths=strengths,
            device=device,
            task=data.task,
        )[0]
    elif data.splits["train"].unit:
        trivial = _of_units(data, features, device)
    else:
        trivial = fit_probes(features, data.labellings[:1], strengths, device, task=data.task)[0]
    results.add(TRIVIAL, None, trivial)
    add_scores(data.splits, writer, TRIVIAL, trivial.scores)


def _of_units(data: Prepared, features: Mapping[str, NDArray[np.float64]], device: str) -> Probe:
    """The probe of features of units, trained on no more of them than the probes of layers."""
    splits = data.splits
    rows = {
        part: sampled(splits[part], data.options.target.max_units).rows for part in ("train", "dev")
    }
    some = {part: features[part][chosen] for part, chosen in rows.items()}
    labels = {part: splits[part].target[chosen] for part, chosen in rows.items()}
    probe = fit_probes(some, [labels], data.options.strengths, device, task=data.task)[0]
    return replace(
        probe,
        scores={
            part: probe.score(features[part], splits[part]) for part in splits if part != "train"
        },
    )


def _measure_costs(
    data: Prepared, results: Results, device: str, say: Callable[[str], None]
) -> dict[int, float] | None:
    """Depth -> share of compute that it saves, if heads are trained and the backbone can be
    measured.
    """
    if not data.measures_costs or (costs := depth_costs(data.cache, device, say)) is None:
        return None
    results.add_costs(costs)
    return saved_shares(costs)


def _findings(data: Prepared, table: pd.DataFrame, probes: _Probes) -> dict[str, Any]:
    """The findings about layers, by their names in the record; None where there is none."""
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
    mlp = (
        find_mlp(
            table, first, boots=probes.mlp_boots, linear_boots=probes.boots, resamples=resamples
        )
        if probes.mlp_boots
        else None
    )
    return {
        "finding": finding,
        "mlp_finding": mlp,
        "elsewhere": find_elsewhere(
            table, finding.layer, last=finding.last, corpora=others, task=data.task
        ),
        "unseen_attacks": find_unseen(table, finding.layer) if data.left_out else None,
    }


def _store_probes(
    cache: Cache, probes: Mapping[int, Probe], writer: RunWriter, task: Task, unit: str
) -> None:
    """Write the linear probes of all layers into one file."""
    writer.add_heads(
        "linear",
        {
            f"layer_{layer:02d}.{name}": np.asarray(value)
            for layer, probe in probes.items()
            for name, value in (("weight", probe.weight), ("bias", np.atleast_1d(probe.bias)))
        },
        {
            "head": "linear",
            "input": INPUTS[bool(unit)],
            "score": "log odds of bona fide" if task.is_spoofing else _SCORES[task.name],
            **({} if task.is_spoofing else {"target": task.as_dict()}),
            "cache": cache.id,
            "backbone": cache.about["backbone"],
            "strength": {str(layer): probe.strength for layer, probe in probes.items()},
        },
    )


def finished_run(
    cache: Cache, run: str | Path, options: SweepOptions, *, splits: dict[str, Split] | None = None
) -> Run | None:
    """The run of a folder if it is what this sweep would make again, and every file of it as it was
    written.

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
        if not made_with(found.record, _configuration(options, splits or options.splits(cache))):
            return None
        faults = faults_of(found.folder, RUN)
    except (ProbeError, OSError, ValueError):
        return None
    # None: of a version that kept no checksums, and less than a run has today
    return found if faults == [] else None


def _configuration(options: SweepOptions, splits: dict[str, Split]) -> dict[str, Any]:
    """What makes one run another."""
    cache = splits["train"].cache
    return {
        "options": _plain(options, splits),
        "cache": cache.id,
        "utterances": identity(splits),
        "audio": audio_identity(splits),
    }


def _plain(options: SweepOptions, splits: Mapping[str, Split]) -> dict[str, Any]:
    """Options as JSON has them; splits by their names, wherever their caches lie."""
    plain: dict[str, Any] = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(options).items()
    }
    labels = plain["target"]["labels"]
    # its content is in `utterances`
    plain["target"] = {**plain["target"], "labels": PurePath(labels).name}
    usual = {
        "probe": "linear",
        "erase": 0,
        "interval_includes": [],
        "target": asdict(TargetOptions()),
    }
    # as earlier versions wrote it
    plain = {name: value for name, value in plain.items() if usual.get(name) != value}
    reports = [split.split for split in splits.values() if split.name == EVAL]
    return {**plain, "train": splits["train"].split, "dev": splits["dev"].split, EVAL: reports}

"""The sweep: caches in, a run folder out."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cache import Cache, ProbeError
from probing.audio import MEASURES
from probing.devices import find_device
from probing.metrics import draw
from probing.progress import console, duration, progress_line
from probing.runs import Run, RunWriter, made_with
from probing.sweep.conditions import ConditionFigures, conditions_of, leave_out
from probing.sweep.depth_ablation import ablate
from probing.sweep.finding import find_elsewhere, find_layer, find_mlp, find_unseen
from probing.sweep.leaks import as_records, few_utterances, find_leaks, refuse_leaks
from probing.sweep.linear import Labelling, Probe, fit_probes, probe_layers, shuffled
from probing.sweep.mlp_probes import probe_with_mlp
from probing.sweep.options import TRAINING, SweepOptions
from probing.sweep.refitting import REFITS, Refits
from probing.sweep.results import LAYERS, MLP, MLP_CONTROL, TRIVIAL, Results
from probing.sweep.savings import depth_costs, saved_shares
from probing.sweep.splits import EVAL, Split, identity, renamed


def sweep(
    cache: str | Path | Cache,
    run: str | Path,
    options: SweepOptions | None = None,
    *,
    device: str = "cpu",
    memory_gb: float = 2.0,
    overwrite: bool = False,
    strict: bool = False,
    say: Callable[[str], None] = console.print,
) -> Run:
    """Train a linear probe per layer with its controls, and heads on the first k layers; write the run folder.

    Args:
        cache: a cache with a pooled tier; the one that options mean where they name none.
        run: folder of the results; appears when it is whole.
        options: what to do.
        device: where to train: auto, cpu, cuda, cuda:1.
        memory_gb: most memory for features; as many layers are solved beside each other as fit.
        overwrite: replace a run that was made another way.
        strict: refuse parts that share a person or a recording; else that is said, and written into the record.
        say: where to put what a person should know.

    Raises:
        ProbeError: a split is missing or one-sided, the run folder holds something else, or, if strict, parts share a
            person or a recording.
    """
    options, started, device = options or SweepOptions(), time.perf_counter(), str(find_device(device, double=True))
    splits = options.splits(cache if isinstance(cache, Cache) else Cache(cache))
    cache = splits["train"].cache
    options.depths.check(cache)
    caches = {split.cache.folder: split.cache for split in splits.values()}
    for one in caches.values():
        if counts := one.failure_counts:
            reasons = ", ".join(f"{n} {kind}" for kind, n in counts.items())
            say(f"{one.folder}: {sum(counts.values())} utterances could not be used and take no part ({reasons}).")
        if not one.finished:
            say(
                f"Warning: {one.folder} is unfinished, {len(one)} of {one.n_planned} utterances; probe extract goes on."
            )
        for name, new in renamed(one).items():
            say(f"Note: the column {name} of {one.folder} is called {new} in the run, which has a {name} of its own.")
    leaks = find_leaks(splits)
    if strict:
        refuse_leaks(leaks)
    for sentence in [leak.sentence for leak in leaks] + few_utterances(splits):
        say(f"Warning: {sentence}.")
    evaluations = {part: split for part, split in splits.items() if split.name == EVAL}
    by_condition = conditions_of(evaluations, options.by, say)
    left_out = leave_out(splits) if options.unseen_attacks else None
    resamples = {
        part: draw(split.bonafide, split.clusters(options.interval_by), n=options.resamples, seed=options.seed)
        for part, split in splits.items()
        if part != "train"
    }
    drawn = {
        part: f"95 %, bootstrap {one.drawn}, {options.resamples} resamples{_of_training(options)}"
        for part, one in resamples.items()
    }
    configuration = _configuration(options, splits)
    with RunWriter(Path(run), configuration, overwrite=overwrite) as writer:
        say("Sweep: " + ", ".join(_describe(split, len(evaluations) > 1) for split in splits.values()))
        truth = {part: split.bonafide for part, split in splits.items()}
        labellings = [truth, *shuffled(splits, options.control_seeds)]
        results, boots = Results(splits, resamples), {}
        figures = ConditionFigures(
            results, splits, by_condition, left_out, options.resamples, options.seed, options.interval_by
        )
        refits = None
        if TRAINING in options.interval_includes:
            refits = Refits(splits, options.interval_by, options.strengths, options.seed, device)
        heads: dict[int, Probe] = {}
        tables = {part: split.table for part, split in splits.items()}

        n_probes = len(labellings) + (len(left_out.attacks) if left_out else 0)
        with progress_line("Probing", len(cache.layers), "layers") as line:
            for layer, probes, without in probe_layers(
                splits, labellings, options.strengths, device, memory_gb, left_out.rows if left_out else None
            ):
                boots[layer] = results.add(LAYERS, layer, probes[0], refits.shifts(layer) if refits else None)
                for seed, probe in zip(options.control_seeds, probes[1:], strict=True):
                    results.add_control(layer, seed, probe)
                figures.add(layer, probes[0], without)
                writer.add_scores(f"linear-layer-{layer:02d}", tables, probes[0].scores)
                heads[layer] = replace(probes[0], scores={})
                line.advance(1, f"layer {layer}")
            if figures.otherwise:
                say(figures.otherwise)
            mlp_boots = _add_mlp(cache, splits, labellings, options, results, device)
            trivial = fit_probes(_trivial(splits), [truth], options.strengths, device)[0]
            results.add(TRIVIAL, None, trivial)
            writer.add_scores(TRIVIAL, tables, trivial.scores)

        saved = None
        if options.depths.heads and (costs := depth_costs(cache, device, say)) is not None:
            results.add_costs(costs)
            saved = saved_shares(costs)
        depth_finding = ablate(cache, splits, options.depths, options.margin, writer, results, device, memory_gb, saved)
        table = results.table()
        corpora = [split.corpus for split in evaluations.values()]
        finding = find_layer(cache, table, corpora[0], boots, resamples[EVAL])
        mlp = find_mlp(table, corpora[0], mlp_boots, boots, resamples[EVAL]) if mlp_boots else None
        elsewhere = find_elsewhere(table, finding.layer, finding.last, corpora[1:])
        unseen = find_unseen(table, finding.layer) if left_out else None
        writer.add_utterances({part: table for part, table in tables.items() if part != "train"})
        writer.add_heads(
            "linear",
            {
                f"layer_{layer:02d}.{name}": np.asarray(value)
                for layer, probe in heads.items()
                for name, value in (("weight", probe.weight), ("bias", [probe.bias]))
            },
            {
                "head": "linear",
                "input": "pooled mean and standard deviation, (2 * dim) features, not standardised",
                "score": "log odds of bona fide",
                "cache": cache.id,
                "backbone": cache.about["backbone"],
                "strength": {str(layer): probe.strength for layer, probe in heads.items()},
            },
        )
        say(
            f"Trained {len(heads)} layers x {n_probes} labellings x {len(options.strengths)} strengths in "
            f"{duration(time.perf_counter() - started)}."
        )
        return writer.finish(
            table,
            {
                **configuration,
                "about": cache.about,
                "fingerprint": cache.fingerprint,
                "cache_folder": str(cache.folder),
                "corpora": corpora,
                "caches": {
                    part: {"folder": str(split.cache.folder), "id": split.cache.id, "corpus": split.corpus}
                    for part, split in splits.items()
                },
                "leaks": as_records(leaks),
                "unusable": {str(folder): one.failure_counts for folder, one in caches.items()},
                "conditions": {
                    corpus: {one.name: one.counts for one in by_condition if evaluations[one.part].corpus == corpus}
                    for corpus in corpora
                },
                "intervals": drawn[EVAL],
                "intervals_by_part": drawn,
                "counts": {part: _counts(split) for part, split in splits.items()},
                "finding": finding.as_dict(),
                "mlp_finding": mlp.as_dict() if mlp else None,
                "elsewhere": elsewhere.as_dict() if elsewhere else None,
                "unseen_attacks": unseen.as_dict() if unseen else None,
                "depth_finding": depth_finding.as_dict() if depth_finding else None,
                "seconds": round(time.perf_counter() - started, 3),
            },
        )


def _add_mlp(
    cache: Cache,
    splits: dict[str, Split],
    labellings: list[Labelling],
    options: SweepOptions,
    results: Results,
    device: str,
) -> dict[int, NDArray[np.float64]]:
    """Add the rows of MLP probes if they are asked for; gives layer -> (R,) their EER on the first corpus."""
    boots: dict[int, NDArray[np.float64]] = {}
    if options.probe != "mlp":
        return boots
    with progress_line("MLP probes", len(cache.layers), "layers") as line:
        for layer, probes in probe_with_mlp(cache, splits, labellings, device):
            boots[layer] = results.add(MLP, layer, probes[0])
            for seed, probe in zip(options.control_seeds, probes[1:], strict=True):
                results.add_control(layer, seed, probe, MLP_CONTROL)
            line.advance(1, f"layer {layer}")
    return boots


def finished_run(cache: Cache, run: str | Path, options: SweepOptions) -> Run | None:
    """The run of a folder if it is what this sweep would make again."""
    try:
        found = Run(run)
    except ProbeError:
        return None
    return found if made_with(found.record, _configuration(options, options.splits(cache))) else None


def _configuration(options: SweepOptions, splits: dict[str, Split]) -> dict[str, Any]:
    """What makes one run another."""
    cache = splits["train"].cache
    return {"options": _plain(options, splits), "cache": cache.id, "utterances": identity(splits)}


def _of_training(options: SweepOptions) -> str:
    """What intervals say of the training, as an end of their description."""
    if TRAINING in options.interval_includes:
        return f"; of linear probes by layer also over training sets ({REFITS} refits)"
    return "; of what was trained once: other training speakers or first weights are not in it"


def _trivial(splits: dict[str, Split]) -> dict[str, NDArray[Any]]:
    return {part: split.table[list(MEASURES)].to_numpy(np.float64) for part, split in splits.items()}


def _plain(options: SweepOptions, splits: Mapping[str, Split]) -> dict[str, Any]:
    """Options as JSON has them; splits by their names, wherever their caches lie."""
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(options).items()}
    for name, usual in (("probe", "linear"), ("interval_includes", [])):  # runs of earlier versions do not say them
        if plain[name] == usual:
            del plain[name]
    reports = [split.split for split in splits.values() if split.name == EVAL]
    return {**plain, "train": splits["train"].split, "dev": splits["dev"].split, EVAL: reports}


def _counts(split: Split) -> dict[str, int]:
    return {"bonafide": int(split.bonafide.sum()), "spoof": int((~split.bonafide).sum())}


def _describe(split: Split, several: bool) -> str:
    counts, of = _counts(split), f" of {split.corpus}" if several else ""
    return f"{split.name}{of} {counts['bonafide']} bona fide + {counts['spoof']} spoof"

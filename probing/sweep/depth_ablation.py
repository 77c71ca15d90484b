"""The depth experiment of a sweep: heads, their contributions, and the finding on depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cache import Cache
from probing.progress import progress_line
from probing.runs import RunWriter
from probing.sweep.best_head import find_best
from probing.sweep.contributions import contributions
from probing.sweep.depth_finding import DepthFinding, find_depth
from probing.sweep.depths import FittedHead, fit_depths
from probing.sweep.dividing import rows_by_training
from probing.sweep.head_sources import open_source
from probing.sweep.linear import sampled
from probing.sweep.localisation import add_localisation, localises
from probing.sweep.options import DepthOptions
from probing.sweep.results import CONTRIBUTIONS, DepthFigures, Results
from probing.sweep.scores import add_scores
from probing.sweep.split import Split
from probing.sweep.training_log import training_table


def ablate(
    cache: Cache,
    splits: dict[str, Split],
    options: DepthOptions,
    margin: float | str,
    writer: RunWriter,
    results: Results,
    device: str = "cpu",
    memory_gb: float = 2.0,
    saved: dict[int, float] | None = None,
    rankings: Sequence[Sequence[int]] = (),
    max_units: int = 50_000,
) -> DepthFinding:
    """Train every head on every depth, add rows, scores and heads to the run, and give the finding.

    Args:
        cache: an open cache.
        splits: train, dev, eval, and others to evaluate on.
        options: which heads, one or more.
        margin: see `find_depth`.
        writer: of the run.
        results: of the run.
        device: cpu or cuda.
        memory_gb: see `fit_depths`.
        saved: depth -> share of multiply-accumulates that a backbone of that depth saves.
        rankings: see `fit_depths`.
        max_units: likewise; contributions are of no more units either.
    """
    fitted: dict[tuple[str, int], list[FittedHead]] = {}
    recipe = options.training()
    n_layers = sum(k > 0 for k in cache.layers)
    per_head = len(options.chosen(n_layers)) * len(options.seeds)
    n_folds = len(rows_by_training(splits["eval"]))
    total = (
        n_folds
        * len(options.heads)
        * per_head
        * len(recipe.learning_rates)
        * len(recipe.weight_decays)
    )
    with progress_line("Heads by depth", total * recipe.epochs, "model epochs") as line:
        for member in fit_depths(
            cache,
            splits,
            options,
            writer.training,
            device=device,
            memory_gb=memory_gb,
            rankings=rankings,
            max_units=max_units,
            said=line.advance,
        ):
            fitted.setdefault((member.model.head, member.model.depth), []).append(member)
    logs = [log for members in fitted.values() for member in members for log in member.logs]
    writer.add_training(training_table(logs, recipe, results.task.metric))
    figures: dict[str, dict[int, DepthFigures]] = {}
    for (name, depth), members in fitted.items():
        found = figures.setdefault(name, {})[depth] = results.add_depth(members)
        called = found.best.heads[0].name
        add_scores(splits, writer, called, found.best.scores)
        if localises(splits["train"]):
            add_localisation(
                results,
                splits,
                found.best.scores,
                head=name,
                depth=depth,
                seed=found.best.model.seed,
            )
        if splits["train"].folds is None:  # there every fold has a head of its own
            writer.add_heads(called, found.best.heads[0].tensors(), found.best.heads[0].config())
    full = max(depth for _, depth in fitted)
    for name, of in figures.items():
        for depth in sorted(set(of) - {full}):
            results.add_excess(name, depth, of[depth], of[full])
    shown = splits["eval"]
    if shown.folds is None:
        shown = shown.take(sampled(shown, max_units).rows)
    sources = [
        (
            open_source(
                shown.take(rows),
                options.tier,
                recipe=recipe,
                memory_gb=memory_gb / 4,
                folder=writer.training,
            ),
            rows,
        )
        for rows in rows_by_training(shown)
    ]
    for name in options.heads:
        for member in fitted[name, full]:
            row: dict[str, Any] = {
                "experiment": CONTRIBUTIONS,
                "head": name,
                "depth": full,
                "seed": member.model.seed,
            }
            row["corpus"] = shown.corpus
            heads = [(head, *of) for head, of in zip(member.heads, sources, strict=True)]
            for found_here in contributions(heads, shown, scaled_init=recipe.scaled_init):
                results.append({**row, **found_here})
    task = results.task
    head = min(options.heads, key=lambda name: task.metric.loss(figures[name][full].rates["dev"]))
    rates = {depth: of.rates["eval"] for depth, of in figures[head].items()}
    resampled = {depth: of.resampled["eval"] for depth, of in figures[head].items()}
    finding = find_depth(
        cache.about["backbone"],
        head,
        rates=rates,
        resampled=resampled,
        margin=margin,
        resamples=results.resamples["eval"],
        saved=saved,
        task=task,
    )
    every = {(name, depth): one for name, of in figures.items() for depth, one in of.items()}
    best = find_best(
        {key: one.rates["dev"] for key, one in every.items()},
        {key: one.resampled["dev"] for key, one in every.items()},
        evaluated={key: one.rates["eval"] for key, one in every.items()},
        eval_resampled={key: one.resampled["eval"] for key, one in every.items()},
        resamples=results.resamples["eval"],
        task=task,
    )
    return replace(finding, best=best)

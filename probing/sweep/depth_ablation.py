"""The depth experiment of a sweep: heads, their contributions, and the finding on depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cache import Cache
from probing.progress import progress_line
from probing.runs import RunWriter
from probing.sweep.best_head import BestHead, Key, find_best
from probing.sweep.contributions import contributions
from probing.sweep.depth_finding import DepthFinding, find_depth
from probing.sweep.depth_results import DepthFigures, add_depth, add_excess
from probing.sweep.depths import FittedHead, fit_depths
from probing.sweep.dividing import rows_by_training
from probing.sweep.experiments import CONTRIBUTIONS
from probing.sweep.head_sources import open_source
from probing.sweep.linear import sampled
from probing.sweep.localisation import add_localisation, localises
from probing.sweep.options import DepthOptions
from probing.sweep.results import Results
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
    """Train heads at every depth; add figures, scores and weights to the run; give the finding.

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
    recipe = options.training()
    fitted = _trained(
        cache,
        splits,
        options=options,
        folder=writer.training,
        device=device,
        memory_gb=memory_gb,
        rankings=rankings,
        max_units=max_units,
    )
    logs = [log for members in fitted.values() for member in members for log in member.logs]
    writer.add_training(training_table(logs, recipe, results.task.metric))
    figures = _add_heads(fitted, splits, writer, results)
    full = max(depth for _, depth in fitted)
    for head, depth in fitted:
        if depth != full:
            add_excess(results, head, depth, figures[head, depth], figures[head, full])
    _add_contributions(
        {head: fitted[head, full] for head in options.heads},
        splits["eval"],
        options=options,
        results=results,
        memory_gb=memory_gb / 4,
        folder=writer.training,
        max_units=max_units,
    )
    finding = _find(
        cache.about["backbone"],
        figures,
        full=full,
        margin=margin,
        results=results,
        saved=saved,
    )
    return replace(finding, best=_best_of(figures, results))


def _trained(
    cache: Cache,
    splits: dict[str, Split],
    options: DepthOptions,
    folder: Path,
    device: str,
    memory_gb: float,
    rankings: Sequence[Sequence[int]],
    max_units: int,
) -> dict[Key, list[FittedHead]]:
    """The heads of each kind and depth, one a seed."""
    recipe = options.training()
    n_layers = sum(k > 0 for k in cache.layers)
    n_constants = len(recipe.learning_rates) * len(recipe.weight_decays)
    n_heads = len(options.heads) * len(options.chosen(n_layers)) * len(options.seeds)
    n_models = len(rows_by_training(splits["eval"])) * n_heads * n_constants
    fitted: dict[Key, list[FittedHead]] = {}
    with progress_line("Heads by depth", n_models * recipe.epochs, "model epochs") as line:
        for member in fit_depths(
            cache,
            splits,
            options=options,
            folder=folder,
            device=device,
            memory_gb=memory_gb,
            rankings=rankings,
            max_units=max_units,
            advance=line.advance,
        ):
            fitted.setdefault((member.model.head, member.model.depth), []).append(member)
    return fitted


def _add_heads(
    fitted: Mapping[Key, Sequence[FittedHead]],
    splits: dict[str, Split],
    writer: RunWriter,
    results: Results,
) -> dict[Key, DepthFigures]:
    """Add the figures of heads to the results, scores and weights of the best to the run."""
    figures = {}
    for (head, depth), members in fitted.items():
        found = figures[head, depth] = add_depth(results, members)
        best = found.best
        name = best.heads[0].name
        add_scores(splits, writer, name, best.scores)
        if localises(splits["train"]):
            add_localisation(
                results, splits, best.scores, head=head, depth=depth, seed=best.model.seed
            )
        if splits["train"].folds is None:  # there every fold has a head of its own
            writer.add_heads(name, best.heads[0].tensors(), best.heads[0].config())
    return figures


def _add_contributions(
    fitted: Mapping[str, Sequence[FittedHead]],
    evaluated: Split,
    options: DepthOptions,
    results: Results,
    memory_gb: float,
    folder: Path,
    max_units: int,
) -> None:
    """Add what each layer contributes to the heads of full depth, which are given by their kind."""
    recipe = options.training()
    shown = evaluated
    if shown.folds is None:
        shown = shown.take(sampled(shown, max_units).rows)
    by_training = rows_by_training(shown)
    sources = [
        open_source(
            shown.take(rows), options.tier, recipe=recipe, memory_gb=memory_gb, folder=folder
        )
        for rows in by_training
    ]
    for name, members in fitted.items():
        for member in members:
            row: dict[str, Any] = {
                "experiment": CONTRIBUTIONS,
                "head": name,
                "depth": member.model.depth,
                "seed": member.model.seed,
                "corpus": shown.corpus,
            }
            heads = list(zip(member.heads, sources, by_training, strict=True))
            for found in contributions(heads, shown, scaled_init=recipe.scaled_init):
                results.append({**row, **found})


def _find(
    backbone: str,
    figures: Mapping[Key, DepthFigures],
    full: int,
    margin: float | str,
    results: Results,
    saved: dict[int, float] | None,
) -> DepthFinding:
    """The finding on the head that is best on dev at full depth."""
    task = results.task
    at_full = {head: of for (head, depth), of in figures.items() if depth == full}
    head = min(at_full, key=lambda name: task.metric.loss(at_full[name].rates["dev"]))
    of_head = {depth: of for (name, depth), of in figures.items() if name == head}
    return find_depth(
        backbone,
        head,
        rates={depth: of.rates["eval"] for depth, of in of_head.items()},
        resampled={depth: of.resampled["eval"] for depth, of in of_head.items()},
        margin=margin,
        resamples=results.resamples["eval"],
        saved=saved,
        task=task,
    )


def _best_of(figures: Mapping[Key, DepthFigures], results: Results) -> BestHead:
    """The best of all heads and depths on dev."""
    return find_best(
        {key: of.rates["dev"] for key, of in figures.items()},
        {key: of.resampled["dev"] for key, of in figures.items()},
        evaluated={key: of.rates["eval"] for key, of in figures.items()},
        eval_resampled={key: of.resampled["eval"] for key, of in figures.items()},
        resamples=results.resamples["eval"],
        task=results.task,
    )

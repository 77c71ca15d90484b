"""What the runs of the demo say, in three sentences: what learning does, what early layers do, which backbone leads.

Each says what was found, with its paired interval, and what was not shown, which may be there nevertheless. The figures
are those of the runs and of their comparison; nothing here knows how they come out.
"""

from __future__ import annotations

from collections.abc import Sequence

from analysis.runs.comparison import Comparison
from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import Runs
from cache.manifest import describe_layers
from probing.runs import Run
from probing.runs.simultaneous import layer_gains
from probing.sweep.finding import difference_in_words
from probing.sweep.margin import Margin


def sentences(comparison: Comparison) -> tuple[str, str, str]:
    """The three sentences of some runs, of which one is of random weights.

    Args:
        comparison: of the runs; those of pretrained weights in the order to be told in, their random twin the second.
    """
    runs = comparison.runs
    pretrained = Runs([run for run in runs if not run.record["about"].get("random_weights")])
    random = next(run for run in runs if run.record["about"].get("random_weights"))
    return learning(pretrained[0], random), early_layers(pretrained), backbones(comparison)


def learning(run: Run, random: Run) -> str:
    """What the weights of a model have learned that the same model with random ones has not, at any layer."""
    gains = layer_gains(run, random)
    metric = run.metric
    most = int(gains["gain"].idxmax())
    value, low, high = (metric.number(metric.scale * gains.loc[most, name]) for name in ("gain", "low", "high"))
    largest = (
        f"the largest gain over random weights is {value} {metric.step} of {metric.called} at layer {most} "
        f"[{low}, {high}]"
    )
    how = f"paired, 95 % for all {len(gains)} layers at once"
    better = gains.index[gains["low"] > 0].tolist()
    if better:
        where = f"layer{'s' * (len(better) > 1)} {describe_layers(better)} of {gains.index.max()}"
        return f"Found: {run.backbone} has learned what tells spoofs at {where}; {largest} ({how})."
    return f"Not shown: that {run.backbone} has learned what tells spoofs; {largest}, which may be chance ({how})."


def early_layers(runs: Sequence[LoadedRun]) -> str:
    """Whether early layers are better than the last one, and whether the first k are as good as all."""
    found: list[str] = []
    missing: list[str] = []
    for run in runs:
        _add_depth(run, found, missing)
        _add_layer(run, found, missing)
    return _told(found, missing, "paired, 95 % each")


def _add_depth(run: LoadedRun, found: list[str], missing: list[str]) -> None:
    """Whether heads on the first layers are as good as on all of them."""
    finding = run.record.depth_finding
    if finding is None:
        return
    if finding.excess is None:
        why = f" ({finding.head} on all of them is not shown to beat chance)" if finding.by_chance else ""
        missing.append(f"that fewer than {finding.full} layers of {run.backbone} are enough{why}")
        return
    within = Margin.of(finding.margin).in_words(run.metric.called)
    found.append(
        f"the first {finding.depth} of {finding.full} layers of {run.backbone} are not worse than all of them within "
        f"{within} ({finding.head}: {difference_in_words(run.metric, finding.excess)})"
    )


def _add_layer(run: LoadedRun, found: list[str], missing: list[str]) -> None:
    """Whether the layer chosen on dev is better than the last one."""
    finding = run.record.finding
    if finding.layer == finding.last:
        missing.append(f"that a layer of {run.backbone} before the last, which is the one chosen on dev, is better")
        return
    claim = (
        f"layer {finding.layer} of {finding.last} of {run.backbone}, chosen on dev, is better than the last, which has "
        f"{difference_in_words(run.metric, finding.difference)}"
    )
    if finding.difference.low > 0:
        found.append(claim)
    else:
        missing.append(f"that {claim}")


def backbones(comparison: Comparison) -> str:
    """Which backbones differ at the layer of each chosen on dev."""
    found: list[str] = []
    missing: list[str] = []
    for row in comparison.pairs.itertuples():
        by = f"{comparison.gain(row)}, p {row.p_adjusted:.2g}"
        if row.shown:
            found.append(f"{row.first} is better than {row.second} ({by})")
        else:
            missing.append(f"that {row.first} is better than {row.second} ({by})")
    return _told(found, missing, "paired, each at its layer chosen on dev, p adjusted by Holm's procedure")


def _told(found: Sequence[str], missing: Sequence[str], how: str) -> str:
    parts = [f"{name}: {'; '.join(those)}" for name, those in (("Found", found), ("not shown", missing)) if those]
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]} ({how})."

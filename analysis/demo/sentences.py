"""What the runs of the demo say, in three sentences: what learning does, what early layers do,
which backbone leads.

Each says what was found, with its paired interval, and what was not shown, which may be there
nevertheless. The figures are those of the runs and of their comparison; nothing here knows how they
come out.
"""

from __future__ import annotations

from collections.abc import Sequence

from analysis.runs.comparison import Comparison
from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import Runs
from cache.manifest import describe_layers
from probing.runs.simultaneous import layer_gains
from probing.sweep.finding import difference_in_words
from probing.sweep.margin import Margin


def sentences(comparison: Comparison) -> tuple[str, str, str]:
    """The three sentences of runs of a pretrained model, its random twin and others.

    >>> from analysis import compare
    >>> len(sentences(compare(["results/demo.run", "results/random.run"])))
    3
    """
    runs = comparison.runs
    pretrained = Runs([run for run in runs if not run.record["about"].get("random_weights")])
    random = next(run for run in runs if run.record["about"].get("random_weights"))
    return learning(pretrained, random), early_layers(pretrained), backbones(comparison)


def learning(runs: Sequence[LoadedRun], random: LoadedRun) -> str:
    """Which layers tell spoofs better than chance, and than those of the random twin.

    >>> from analysis import load
    >>> learning([load("results/demo.run")], load("results/random.run")).endswith(".")
    True
    """
    found: list[str] = []
    missing: list[str] = []
    for run in (*runs, random):
        _add_chance(run, found, missing)
    _add_gain(runs[0], random, found, missing)
    return _sentence(found, missing, "95 % for all layers of a run at once, gains paired")


def _add_chance(run: LoadedRun, found: list[str], missing: list[str]) -> None:
    """Which layers are better than chance."""
    table = run.layers_at_once
    better = table.loc[table["better_than_chance"].astype(bool), "layer"].astype(int).tolist()
    if better:
        found.append(
            f"{_layers(better, run.n_blocks)} of {run.backbone} "
            f"tell{_s(better)} spoofs better than chance"
        )
    else:
        missing.append(f"that any layer of {run.backbone} tells them better than chance")


def _add_gain(run: LoadedRun, random: LoadedRun, found: list[str], missing: list[str]) -> None:
    """What the weights have learned that random ones have not, at any layer."""
    gains = layer_gains(run, random)
    metric = run.metric
    most = int(gains["gain"].idxmax())
    gain, *ends = (metric.scale * float(gains.loc[most, name]) for name in ("gain", "low", "high"))
    sign = -1 if gain < 0 else 1  # below 0 at every layer
    low, high = (metric.number(sign * end) for end in ends[::sign])
    by = f"{metric.number(abs(gain))} {metric.step} of {metric.called}"
    largest = f"by up to {by} over random weights [{low}, {high}], at layer {most}"
    if gain < 0:
        largest = (
            f"as random weights are better at every layer, by {by} "
            f"or more [{low}, {high}, at layer {most}]"
        )
    better = gains.index[gains["low"] > 0].tolist()
    if better:
        found.append(
            f"{_layers(better, run.n_blocks)} of {run.backbone} "
            f"gain{_s(better)} by learning, {largest}"
        )
    else:
        missing.append(f"that {run.backbone} gains by learning, {largest}")


def _layers(numbers: list[int], last: int) -> str:
    if len(numbers) == 1:
        return f"layer {numbers[0]} of {last}"
    return (
        "all layers" if len(numbers) == last + 1 else f"layers {describe_layers(numbers)} of {last}"
    )


def _s(subjects: Sequence[object]) -> str:
    """The ending of a verb."""
    return "s" * (len(subjects) == 1)


def early_layers(runs: Sequence[LoadedRun]) -> str:
    """Whether early layers are better than the last one, and the first k as good as all.

    >>> from analysis import load
    >>> early_layers([load("results/demo.run")]).endswith(".")
    True
    """
    found: list[str] = []
    missing: list[str] = []
    for run in runs:
        _add_depth(run, found, missing)
        _add_layer(run, found, missing)
    return _sentence(found, missing, "paired, 95 % each")


def _add_depth(run: LoadedRun, found: list[str], missing: list[str]) -> None:
    """Whether heads on the first layers are as good as on all of them."""
    finding = run.record.depth_finding
    if finding is None:
        return
    if finding.excess is None or finding.bound is None:
        why = (
            f" ({finding.head} on all of them is not shown to beat chance)"
            if finding.by_chance
            else ""
        )
        missing.append(f"that fewer than {finding.full} layers of {run.backbone} are enough{why}")
        return
    margin = Margin.of(finding.margin)
    found.append(
        f"the first {finding.depth} of {finding.full} layers of {run.backbone} are not worse "
        f"than all of them within {margin.in_words(run.metric.called)} ({finding.head}: "
        f"{difference_in_words(run.metric, finding.excess)}; at most "
        f"{margin.excess(finding.bound)}, one-sided)"
    )


def _add_layer(run: LoadedRun, found: list[str], missing: list[str]) -> None:
    """Whether the layer chosen on dev is better than the last one."""
    finding = run.record.finding
    if finding.layer == finding.last:
        missing.append(
            f"that a layer of {run.backbone} before the last, "
            "which is the one chosen on dev, is better"
        )
        return
    claim = (
        f"layer {finding.layer} of {finding.last} of {run.backbone}, chosen on dev, is better "
        f"than the last, which has {difference_in_words(run.metric, finding.difference)}"
    )
    if finding.difference.low > 0:
        found.append(claim)
    else:
        missing.append(f"that {claim}")


def backbones(comparison: Comparison) -> str:
    """Which backbones differ at the layer of each chosen on dev.

    >>> from analysis import compare
    >>> backbones(compare(["results/demo.run", "results/random.run"])).endswith(".")
    True
    """
    found: list[str] = []
    missing: list[str] = []
    step = comparison.metric.step
    for row, words in zip(
        comparison.pairs.itertuples(), comparison.differences.itertuples(index=False), strict=True
    ):
        _, _, gain, ends, p, _ = words
        by = f"{gain} {step} [{ends.replace(' .. ', ', ')}], p {p}"
        if row.shown:
            found.append(f"{row.first} is better than {row.second} ({by})")
        else:
            missing.append(f"that {row.first} is better than {row.second} ({by})")
    return _sentence(
        found, missing, "paired, each at its layer chosen on dev, p adjusted by Holm's procedure"
    )


def _sentence(found: Sequence[str], missing: Sequence[str], how: str) -> str:
    parts = [
        f"{name}: {'; '.join(those)}"
        for name, those in (("Found", found), ("not shown", missing))
        if those
    ]
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]} ({how})."

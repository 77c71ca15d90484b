"""The sweep: one cache in, a run folder out."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache import Cache, ProbeError
from probing.audio import MEASURES
from probing.metrics import Interval, Resamples, draw, percentile_interval
from probing.progress import console, duration, progress_line
from probing.runs import Run, RunWriter
from probing.sweep.depth_ablation import ablate
from probing.sweep.depths import DepthOptions
from probing.sweep.finding import Finding
from probing.sweep.linear import Probe, fit_probes, probe_layers, shuffled
from probing.sweep.results import CONTROL, LAYERS, TRIVIAL, Results
from probing.sweep.savings import depth_costs, saved_shares
from probing.sweep.splits import Split, read_splits


@dataclass(frozen=True)
class SweepOptions:
    """What a sweep does; part of the run record.

    strengths: values of C (inverse penalty) to choose from on dev.
    control_seeds: seeds of the shuffled-label control.
    depths: the heads trained on the first k layers. margin: relative EER that a smaller depth may be worse by.
    resamples: of the bootstrap. seed: of the bootstrap. interval_by: auto, speaker or utterance.
    train, dev, eval: which split of the cache plays which part.
    """

    strengths: tuple[float, ...] = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    control_seeds: tuple[int, ...] = (0, 1, 2)
    depths: DepthOptions = field(default_factory=DepthOptions)
    margin: float = 0.1
    resamples: int = 1000
    seed: int = 0
    interval_by: str = "auto"
    train: str = "train"
    dev: str = "dev"
    eval: str = "eval"

    def __post_init__(self) -> None:
        if not self.strengths or min(self.strengths) <= 0:
            raise ProbeError(f"--strengths {self.strengths}: expected one or more numbers above zero")
        if not 0 <= self.margin < 10:
            raise ProbeError(f"--margin {self.margin}: expected a relative EER, as 0.1 for ten per cent")
        if self.resamples < 100:
            raise ProbeError(f"--resamples {self.resamples}: expected 100 or more; fewer say nothing about the ends")
        if self.interval_by not in ("auto", "speaker", "utterance"):
            raise ProbeError(f"--interval-by {self.interval_by}: expected auto, speaker or utterance")
        if len({self.train, self.dev, self.eval}) < 3:
            raise ProbeError(
                f"--train {self.train} --dev {self.dev} --eval {self.eval}: expected three different splits; a probe "
                "chosen or measured on what it was trained on says nothing"
            )

    def splits(self, cache: Cache) -> dict[str, Split]:
        """The utterances of a cache that play each part."""
        return read_splits(cache, {"train": self.train, "dev": self.dev, "eval": self.eval})


def identity(splits: dict[str, Split]) -> dict[str, int]:
    """A number for each part that tells one set of utterances from another."""
    columns = ["utterance_id", "label", "speaker"]
    return {
        part: int(pd.util.hash_pandas_object(split.table[columns], index=False).sum()) for part, split in splits.items()
    }


def sweep(
    cache: str | Path | Cache,
    run: str | Path,
    options: SweepOptions | None = None,
    *,
    device: str = "cpu",
    memory_gb: float = 2.0,
    overwrite: bool = False,
    say: Callable[[str], None] = console.print,
) -> Run:
    """Train a linear probe per layer with its controls, and heads on the first k layers; write the run folder.

    Args:
        cache: a cache with a pooled tier.
        run: folder of the results; appears when it is whole.
        options: what to do.
        device: where to train, cpu or cuda.
        memory_gb: most memory for features; as many layers are solved beside each other as fit.
        overwrite: replace a run that was made another way.
        say: where to put what a person should know.

    Raises:
        ProbeError: a split is missing or one-sided, or the run folder holds something else.
    """
    options, started = options or SweepOptions(), time.perf_counter()
    cache = cache if isinstance(cache, Cache) else Cache(cache)
    if not cache.finished:
        say(f"Warning: the cache is unfinished, {len(cache)} of {cache.n_planned} utterances; probe extract goes on.")
    splits = options.splits(cache)
    configuration = {"options": _plain(options), "cache": cache.id, "utterances": identity(splits)}
    writer = RunWriter(Path(run), configuration, overwrite=overwrite)
    say("Sweep: " + ", ".join(_describe(split) for split in splits.values()))
    resamples = {
        part: draw(
            splits[part].bonafide, splits[part].clusters(options.interval_by), n=options.resamples, seed=options.seed
        )
        for part in ("dev", "eval")
    }
    truth = {part: split.bonafide for part, split in splits.items()}
    labellings = [truth, *shuffled(splits, options.control_seeds)]
    results, boots = Results(splits, resamples), {}
    heads: dict[int, Probe] = {}

    with progress_line("Probing", len(cache.layers), "layers") as line:
        for layer, probes in probe_layers(cache, splits, labellings, options.strengths, device, memory_gb):
            heads[layer] = probes[0]
            boots[layer] = results.add(LAYERS, layer, probes[0])
            for seed, probe in zip(options.control_seeds, probes[1:], strict=True):
                results.add_control(layer, seed, probe)
            line.advance(1, f"layer {layer}")
        trivial = fit_probes(_trivial(splits), splits, [truth], options.strengths, device)[0]
        results.add(TRIVIAL, None, trivial)

    saved = None
    if options.depths.heads and (costs := depth_costs(cache, device, say)) is not None:
        results.add_costs(costs)
        saved = saved_shares(costs)
    depth_finding = ablate(cache, splits, options.depths, options.margin, writer, results, device, memory_gb, saved)
    table = results.table()
    finding = _finding(cache, table, boots, resamples["eval"], len(splits["eval"]))
    tables = {part: split.table for part, split in splits.items()}
    for layer, probe in heads.items():
        writer.add_scores(f"linear-layer-{layer:02d}", tables, probe.scores)
    writer.add_scores(TRIVIAL, tables, trivial.scores)
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
        f"Trained {len(heads)} layers x {len(labellings)} labellings x {len(options.strengths)} strengths in "
        f"{duration(time.perf_counter() - started)}."
    )
    return writer.finish(
        table,
        {
            **configuration,
            "about": cache.about,
            "fingerprint": cache.fingerprint,
            "cache_folder": str(cache.folder),
            "intervals": f"95 %, bootstrap over {resamples['eval'].unit}s within class, {options.resamples} resamples",
            "counts": {part: _counts(split) for part, split in splits.items()},
            "finding": finding.as_dict(),
            "depth_finding": depth_finding.as_dict() if depth_finding else None,
            "seconds": round(time.perf_counter() - started, 3),
        },
    )


def _trivial(splits: dict[str, Split]) -> dict[str, NDArray[Any]]:
    return {part: split.table[list(MEASURES)].to_numpy(np.float64) for part, split in splits.items()}


def _finding(
    cache: Cache, table: pd.DataFrame, boots: dict[int, NDArray[np.float64]], resamples: Resamples, n_eval: int
) -> Finding:
    def interval(experiment: str, layer: int | None = None) -> Interval:
        rows = table[(table["experiment"] == experiment) & (table["split"] == "eval")]
        row = (rows if layer is None else rows[rows["layer"] == layer]).iloc[0]
        return Interval(float(row["value"]), float(row["low"]), float(row["high"]))

    dev = table[(table["experiment"] == LAYERS) & (table["split"] == "dev")]
    layer, last = int(dev.loc[dev["value"].idxmin(), "layer"]), cache.layers[-1]
    best, at_last = interval(LAYERS, layer), interval(LAYERS, last)
    control = table[(table["experiment"] == CONTROL) & (table["split"] == "eval")]["value"]
    return Finding(
        backbone=cache.about["backbone"],
        random_weights=cache.about["random_weights"],
        layer=layer,
        last=last,
        best=best,
        last_layer=at_last,
        difference=percentile_interval(at_last.value - best.value, boots[last] - boots[layer]),
        trivial=interval(TRIVIAL),
        shuffled=float(control.mean()) if len(control) else float("nan"),
        n_eval=n_eval,
        unit=resamples.unit,
    )


def _plain(options: SweepOptions) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(options).items()}


def _counts(split: Split) -> dict[str, int]:
    return {"bonafide": int(split.bonafide.sum()), "spoof": int((~split.bonafide).sum())}


def _describe(split: Split) -> str:
    counts = _counts(split)
    return f"{split.name} {counts['bonafide']} bona fide + {counts['spoof']} spoof"

"""What early exit saves and costs, found from the scores that a run has of its heads by depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cache.errors import OptionError, ProbeError
from probing.exits.exits import LINEAR, Exits
from probing.exits.policy import CONFIDENCES, ExitPolicy, fit_policies
from probing.metrics import Interval, Resamples, compare, eer, eer_resamples
from probing.metrics.decomposition import POOLED, conditions, too_few
from probing.options import one_of
from probing.runs import Run
from probing.runs.headline import headline
from probing.sweep.margin import Margin
from probing.targets.metrics import BINARY


def find_exits(
    run: Run,
    head: str | None = None,
    *,
    depths: Sequence[int] = (),
    confidence: str = "probability",
    margin: float | str = 0.1,
    corpus: str | None = None,
    resamples: int | None = None,
    seed: int | None = None,
) -> Exits:
    """Choose a policy of early exit on dev, and say what it does on eval.

    Nothing is computed anew: a run has the scores of its heads at every depth. Each exit is
    calibrated on dev, both classes weighing alike, so that scores of different exits can be
    compared; of all thresholds that keep the dev EER within the margin, the one is taken that
    computes least.

    Args:
        run: of two classes.
        head: kind of the heads at the exits, such as `weighted-sum+linear`, or `linear`, the probe
            of each layer; default that of the finding.
        depths: of the exits; default all there are.
        confidence: one of CONFIDENCES.
        margin: how much higher than that of the last exit the dev EER may be: relative, as 0.1, or
            points, as `1pt`.
        corpus: of those evaluated on; default the first.
        resamples: of the bootstrap; default as many as the run's.
        seed: of the bootstrap; default the run's.

    Raises:
        OptionError: no such head, depth or confidence.
        ProbeError: a run of another task, or of one exit only.

    Source: BranchyNet (Teerapittayanon et al. 2016); for anti-spoofing Pan et al., WIFS 2024.

    >>> from probing.runs import Run
    >>> 0 <= find_exits(Run("results/demo.run"), "linear").blocks <= 1
    True
    """
    if confidence not in CONFIDENCES:
        raise OptionError("confidence", confidence, f"expected {one_of(CONFIDENCES)}")
    Margin.of(margin)  # refuses one that cannot be read
    if run.task.name != BINARY:
        raise ProbeError(
            f"{run.folder}: its target is {run.task.target}. Early exit takes a run of two classes"
        )
    if run.record.unit:
        raise ProbeError(
            f"{run.folder}: its trials are {run.record.unit}s. "
            "Early exit takes a run of whole utterances"
        )
    kind, found = _depths(run, head, depths)
    part = "eval" if corpus in (None, run.corpora[0]) else f"eval.{corpus}"
    run.rows("layer", corpus=corpus)  # refuses an unknown corpus
    dev, evaluated = _Scored.of(run, kind, found, "dev"), _Scored.of(run, kind, found, part)
    costs = _Costs.of(run, found)
    fitted = fit_policies(
        kind, found, positive=dev.positive, scores=dev.scores, confidence=confidence, margin=margin
    )
    curve = pd.DataFrame(
        [
            {
                "split": name,
                "threshold": np.nan if policy.threshold is None else policy.threshold,
                **costs.means(at),
            }
            | {"eer": eer(scored.positive, scores), "chosen": policy == fitted.chosen}
            for name, scored in (("dev", dev), ("eval", evaluated))
            for policy in fitted.tried
            for at, scores in (policy.apply(scored.scores),)
        ]
    )
    alone = pd.DataFrame(
        [
            {
                "split": name,
                **costs.means(np.array([k])),
                "eer": eer(scored.positive, scored.scores[k]),
            }
            for name, scored in (("dev", dev), ("eval", evaluated))
            for k in range(len(found))
        ]
    )
    return _evaluated(
        run,
        fitted.chosen,
        margin=margin,
        curve=curve,
        alone=alone,
        evaluated=evaluated,
        costs=costs,
        resamples=resamples,
        seed=seed,
    )


def _evaluated(
    run: Run,
    policy: ExitPolicy,
    margin: float | str,
    curve: pd.DataFrame,
    alone: pd.DataFrame,
    evaluated: _Scored,
    costs: _Costs,
    resamples: int | None,
    seed: int | None,
) -> Exits:
    at, scores = policy.apply(evaluated.scores)
    drawn = run.draw(evaluated.trials, resamples, seed)
    full = evaluated.scores[-1]
    means = costs.means(at)
    on_dev = curve[(curve["split"] == "dev") & curve["chosen"]]
    cheaper = alone[
        (alone["split"] == "dev") & (alone["blocks"] <= float(on_dev["blocks"].iloc[0]) + 1e-12)
    ]
    rival = None if cheaper.empty else int(cheaper.loc[cheaper["eer"].idxmin(), "depth"])
    over = None if rival is None else evaluated.scores[policy.depths.index(rival)]
    positive = evaluated.positive
    return Exits(
        run.backbone,
        policy,
        margin=margin,
        curve=curve,
        alone=alone,
        at_exits=_interval(run, positive, scores, drawn),
        at_full=_interval(run, positive, full, drawn),
        difference=compare(positive, scores, full, drawn).difference,
        blocks=means["blocks"],
        macs=means["macs"],
        rival=rival,
        over_rival=None if over is None else compare(positive, scores, over, drawn).difference,
        leaving=_leaving(policy, at, positive),
        by_attack=_by_attack(
            run, evaluated, at=at, scores=scores, costs=costs, resamples=resamples, seed=seed
        ),
        run=run.folder.resolve().name,
        run_id=run.id,
    )


def exit_trials(run: Run, policy: ExitPolicy, part: str = "eval") -> pd.DataFrame:
    """Trials of a part as `Run.trials` gives them, each with the score of the exit where it leaves.

    Raises:
        ProbeError: the run has no scores of an exit.

    >>> found = find_exits(Run("results/demo.run"), "linear")
    >>> exit_trials(Run("results/demo.run"), found.policy)["utterance_id"].is_unique
    True
    """
    scored = _Scored.of(run, policy.head, policy.depths, part)
    return scored.trials.assign(score=policy.apply(scored.scores)[1])


@dataclass(frozen=True)
class _Scored:
    """Trials of a part with the scores (E, N) of all exits."""

    trials: pd.DataFrame
    positive: NDArray[np.bool_]
    scores: NDArray[np.float64]

    @classmethod
    def of(cls, run: Run, kind: str, depths: Sequence[int], part: str) -> _Scored:
        tables = [run.trials(_name(kind, depth), part) for depth in depths]
        trials = tables[0]
        ids = trials["utterance_id"]
        scores = [
            table.set_index("utterance_id")["score"].reindex(ids).to_numpy(np.float64)
            for table in tables
        ]
        return cls(trials, run.positive(trials), np.stack(scores))


@dataclass(frozen=True)
class _Costs:
    """What each exit computes, (E,): its depth, and shares of what the last one does."""

    depths: NDArray[np.intp]
    macs: NDArray[np.float64]

    @classmethod
    def of(cls, run: Run, depths: Sequence[int]) -> _Costs:
        rows = run.results[
            (run.results["experiment"] == "cost") & (run.results["metric"] == "macs")
        ]
        macs = rows.set_index("depth")["value"].astype(float).reindex(depths).to_numpy(np.float64)
        return cls(np.array(depths), macs / macs[-1])

    def means(self, at: NDArray[np.intp]) -> dict[str, float]:
        """Means over utterances that leave at these exits."""
        depth = float(self.depths[at].mean())
        return {
            "depth": depth,
            "blocks": depth / float(self.depths[-1]),
            "macs": float(self.macs[at].mean()),
        }


def _depths(run: Run, head: str | None, wanted: Sequence[int]) -> tuple[str, tuple[int, ...]]:
    """Kind of the heads, and the depths that there are scores of."""
    rows = run.results[
        run.results["experiment"].isin(["layer", "depth"]) & (run.results["condition"] == "all")
    ]
    depth = rows["depth"].where(rows["experiment"] == "depth", rows["layer"])
    there = {str(kind): sorted({int(k) for k in of}) for kind, of in depth.groupby(rows["head"])}
    kind = head or headline(run)[0]
    if kind not in there:
        raise OptionError("head", kind, f"{run.folder} has {one_of(sorted(there))}")
    lacking = sorted(set(wanted) - set(there[kind]))
    if lacking:
        raise OptionError(
            "depths",
            ",".join(map(str, wanted)),
            f"{kind} has the depths {', '.join(map(str, there[kind]))}",
        )
    depths = tuple(sorted(set(wanted)) or there[kind])
    if len(depths) < 2 and wanted:
        raise OptionError(
            "depths", ",".join(map(str, wanted)), "early exit needs two depths or more"
        )
    if len(depths) < 2:
        raise ProbeError(
            f"{run.folder}: {kind} is at one depth only, and early exit needs two. Name another "
            "head, or sweep with all depths"
        )
    return kind, depths


def _name(kind: str, depth: int) -> str:
    return f"linear-layer-{depth:02d}" if kind == LINEAR else f"{kind}-depth-{depth:02d}"


def _interval(
    run: Run, positive: NDArray[np.bool_], scores: NDArray[np.float64], drawn: Resamples
) -> Interval:
    return run.task.interval(eer(positive, scores), eer_resamples(positive, scores, drawn), drawn)


def _leaving(policy: ExitPolicy, at: NDArray[np.intp], positive: NDArray[np.bool_]) -> pd.DataFrame:
    n = len(policy.depths)
    shares = {
        name: np.bincount(at[rows], minlength=n) / max(int(rows.sum()), 1)
        for name, rows in (
            ("all", np.ones_like(positive)),
            ("bonafide", positive),
            ("spoof", ~positive),
        )
    }
    return pd.DataFrame({"depth": policy.depths, **shares})


def _by_attack(
    run: Run,
    evaluated: _Scored,
    at: NDArray[np.intp],
    scores: NDArray[np.float64],
    costs: _Costs,
    resamples: int | None,
    seed: int | None,
) -> pd.DataFrame:
    if not run.task.is_spoofing or "attack" not in evaluated.trials:
        return pd.DataFrame()
    table = evaluated.trials.assign(
        position=np.arange(len(at)), attack=evaluated.trials["attack"].astype(str)
    )
    rows = []
    for condition, chosen in conditions(table, ["attack"]):
        if condition["attack"] == POOLED:
            continue
        here = chosen["position"].to_numpy()
        positive = evaluated.positive[here]
        spoofs = here[~positive]
        row = {"attack": condition["attack"], "n_spoof": len(spoofs), **costs.means(at[spoofs])}
        if not too_few(chosen["label"]):
            drawn = run.draw(evaluated.trials.iloc[here].reset_index(drop=True), resamples, seed)
            full = evaluated.scores[-1][here]
            difference = compare(positive, scores[here], full, drawn).difference
            row |= {"eer": eer(positive, scores[here]), "eer_full": eer(positive, full)}
            row |= {"difference": difference.value, "low": difference.low, "high": difference.high}
        rows.append(row)
    return pd.DataFrame(rows)

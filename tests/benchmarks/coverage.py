"""How often 95 % intervals of an equal error rate hold the true one: methods beside each other on
the same corpora.

Every corpus has normal scores whose true EER is known, a third of their variance being of the
speaker (and, in the rows of attacks, a fifth of the variance of spoofs being of the attack); each
row of the table is one kind of corpus:

    OMP_NUM_THREADS=1 python tests/benchmarks/coverage.py [--repeats 200] \
        [--only plain] > coverage.md

Methods: percentile; BCa (bias-corrected and accelerated); probit t (the standard error over
resamples on the probit scale, Student's t); studentised (bootstrap t on the probit scale); ours
(`probing.metrics.rate_interval`). Differences of two equally good systems whose scores share half
of their variance: percentile and ours (`difference_interval`).
"""

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from probing.metrics import (
    Interval,
    Resamples,
    difference_interval,
    draw,
    eer,
    eer_resamples,
    rate_interval,
)
from probing.metrics.clusters import SPOOF, Clusters, Factor
from probing.metrics.eer import eer_of_counts
from probing.progress import progress_line

METHODS = ("percentile", "BCa", "probit t", "studentised", "ours")
DIFFERENCES = ("difference: percentile", "difference: ours")
OF_SPEAKER, OF_ATTACK, SHARED = 1 / 3, 1 / 5, 1 / 2
TRIALS = {0.002: 100, 0.01: 50, 0.02: 20, 0.05: 20}  # a cluster; 10 at other rates
Rows = tuple[float, ...]
Array = NDArray[np.float64]
Labels = NDArray[np.bool_]


@dataclass(frozen=True)
class Kind:
    """A kind of corpus.

    group: which part of the table.
    rate: true EER without ties.
    clusters: bona fide and spoof.
    trials: a cluster, on average.
    step: scores are cut to multiples of it; 0 leaves them.
    uneven: clusters differ in size as in a log-normal with sigma 0.7.
    attacks: number of attacks, crossed with the spoofs' speakers.
    by: what is drawn.
    """

    group: str
    rate: float
    clusters: tuple[int, int]
    trials: int
    step: float = 0.0
    uneven: bool = False
    attacks: int = 0
    by: str = "speaker"

    @property
    def name(self) -> str:
        """As the table has it."""
        n = (
            str(self.clusters[0])
            if len(set(self.clusters)) == 1
            else f"{self.clusters[0]} and {self.clusters[1]}"
        )
        what = {
            "plain": "",
            "ties": "tied scores",
            "uneven": "uneven speakers",
            "utterance": "by utterance",
        }
        told = what.get(self.group, f"{self.attacks} attacks, drawn by {self.by}")
        return f"{100 * self.rate:g} | {n} | {self.trials} | {told}"


def kinds() -> Iterator[Kind]:
    """Every kind of corpus."""
    for rate in (0.002, 0.01, 0.02, 0.05, 0.2, 0.4):
        for n in (4, 8, 12, 20, 50, 100):
            yield Kind("plain", rate, (n, n), TRIALS.get(rate, 10))
    for rate, n in (
        (0.01, (9, 62)),
        (0.05, (9, 62)),
        (0.2, (9, 62)),
        (0.01, (67, 48)),
        (0.3, (48, 62)),
    ):
        yield Kind("plain", rate, n, TRIALS.get(rate, 10))
    for rate in (0.01, 0.05, 0.2, 0.4):
        for n in (8, 20):
            yield Kind("ties", rate, (n, n), TRIALS.get(rate, 10), step=0.5)
            yield Kind("uneven", rate, (n, n), TRIALS.get(rate, 10), uneven=True)
    for rate, n in ((0.002, 3000), (0.01, 1000), (0.05, 100), (0.05, 1000), (0.2, 50), (0.4, 50)):
        yield Kind("utterance", rate, (n, n), 1)
    for rate in (0.02, 0.1, 0.3):
        for attacks in (8, 13):
            for by in ("speaker", "speaker,attack"):
                yield Kind("attacks", rate, (40, 40), 2, attacks=attacks, by=by)


def true_rate(kind: Kind) -> float:
    """The EER of endless trials, ties interpolated as the metric does."""
    if not kind.step:
        return kind.rate
    apart = -2 * norm.ppf(kind.rate)
    edges = np.arange(-9, 9 + apart + kind.step, kind.step)
    bonafide, spoof = np.diff(norm.cdf(edges - apart)), np.diff(norm.cdf(edges))
    return float(eer_of_counts(bonafide[None], spoof[None])[0])


def corpus(kind: Kind, generator: np.random.Generator) -> tuple[Labels, list[Array], Clusters]:
    """Labels, scores of two systems, and what is drawn."""
    n = sum(kind.clusters)
    sizes = np.full(n, kind.trials)
    if kind.uneven:
        sizes = np.maximum(1, np.round(kind.trials * generator.lognormal(-0.245, 0.7, n))).astype(
            int
        )
    speaker = np.repeat(np.arange(n), sizes)
    attack = np.full(len(speaker), -1)
    if kind.attacks:  # as many trials of each speaker and attack
        spoofed = np.repeat(np.arange(kind.clusters[0], n), kind.attacks * kind.trials)
        speaker = np.concatenate(
            [np.repeat(np.arange(kind.clusters[0]), kind.attacks * kind.trials), spoofed]
        )
        attack = np.concatenate(
            [
                np.full(len(speaker) - len(spoofed), -1),
                np.tile(np.arange(kind.attacks), len(spoofed) // kind.attacks),
            ]
        )
    bonafide = speaker < kind.clusters[0]
    of_speaker = 0.0 if kind.by == "utterance" or kind.trials == 1 else OF_SPEAKER

    def noise() -> Array:
        of_attack = np.where(bonafide | (kind.attacks == 0), 0.0, OF_ATTACK)
        rest = generator.normal(size=len(speaker)) * np.sqrt(1 - of_speaker - of_attack)
        of = generator.normal(size=n)[speaker] * np.sqrt(of_speaker)
        return rest + of + generator.normal(size=max(kind.attacks, 1))[attack] * np.sqrt(of_attack)

    common, apart = noise(), -2 * norm.ppf(kind.rate) * bonafide
    systems = [np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * noise() + apart for _ in range(2)]
    if kind.step:
        systems = [np.floor(scores / kind.step) for scores in systems]
    factors = [Factor("speaker", speaker)] if kind.group != "utterance" else []
    if "attack" in kind.by:
        factors.append(Factor("attack", attack, (SPOOF,)))
    return bonafide, systems, Clusters(tuple(factors))


def intervals(
    bonafide: Labels,
    scores: Array,
    value: float,
    resampled: Array,
    of: Resamples,
) -> list[Interval]:
    """The interval of every method."""
    n = min(int(bonafide.sum()), int((~bonafide).sum()))
    error = on_probit(resampled, n).std(ddof=1) * of.correction
    half, at = student.ppf(0.975, of.degrees) * error, on_probit(value, n)
    return [
        Interval(value, *np.quantile(resampled, [0.025, 0.975])),
        bca(bonafide, scores, value, resampled, of),
        Interval(value, float(norm.cdf(at - half)), float(norm.cdf(at + half))),
        studentised(bonafide, scores, value, resampled, of, n),
        rate_interval(value, resampled, of),
    ]


def on_probit(rates: float | Array, n: int) -> Array:
    """Rates on the probit scale; none is below half a trial of `n`."""
    return norm.ppf(np.clip(rates, 0.5 / n, 1 - 0.5 / n))


def bca(
    bonafide: Labels,
    scores: Array,
    value: float,
    resampled: Array,
    of: Resamples,
) -> Interval:
    """Bias-corrected and accelerated (Efron 1987), the acceleration by leaving out each cluster in
    turn.
    """
    if len(of.cluster) == sum(of.sizes) > 400 or any(len(level.sizes) > 1 for level in of.levels):
        return Interval(value, np.nan, np.nan)
    n = sum(of.sizes)
    without = eer_resamples(
        bonafide, scores, replace(of, n=n, stored=(1 - np.eye(n)).astype(np.int16))
    )
    cubes = squares = 0.0
    for part in np.split(without, [of.sizes[0]]):
        away = (part.mean() - part) * (len(part) - 1) / len(part)
        cubes, squares = cubes + (away**3).sum(), squares + (away**2).sum()
    acceleration = cubes / (6 * squares**1.5) if squares else 0.0
    below = np.clip(
        (resampled < value).mean() + (resampled == value).mean() / 2, 1 / of.n, 1 - 1 / of.n
    )
    bias, z = norm.ppf(below), norm.ppf([0.025, 0.975])
    return Interval(
        value,
        *np.quantile(resampled, norm.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))),
    )


def studentised(
    bonafide: Labels,
    scores: Array,
    value: float,
    resampled: Array,
    of: Resamples,
    n: int,
) -> Interval:
    """Bootstrap t on the probit scale; standard errors by the variance of cluster sums at each
    threshold.
    """
    if len(of.cluster) == sum(of.sizes) or any(len(level.sizes) > 1 for level in of.levels):
        return Interval(value, np.nan, np.nan)
    counts = np.concatenate([np.ones((1, sum(of.sizes))), of.counts])
    rates = np.append(value, resampled)
    order = np.argsort(scores[bonafide], kind="stable")
    ascending, cluster = scores[bonafide][order], of.cluster[bonafide][order]
    drawn = np.cumsum(counts[:, cluster], axis=1)
    at = np.array(
        [np.searchsorted(row, rate * row[-1]) for row, rate in zip(drawn, rates, strict=True)]
    )
    threshold = ascending[np.minimum(at, len(ascending) - 1)]
    variance = np.zeros(len(rates))
    for kind, first, size, wrong in (
        (bonafide, 0, of.sizes[0], lambda x: np.searchsorted(x, threshold)),
        (~bonafide, of.sizes[0], of.sizes[1], lambda x: len(x) - np.searchsorted(x, threshold)),
    ):
        values, where = scores[kind], of.cluster[kind] - first
        errors = np.stack([wrong(np.sort(values[where == c])) for c in range(size)], axis=1)
        total, times = np.bincount(where, minlength=size), counts[:, first : first + size]
        all_trials = times @ total
        share = (times * errors).sum(1) / all_trials
        variance += (times * (errors - share[:, None] * total) ** 2).sum(1) / all_trials**2 / 4
    at_rate = on_probit(rates, n)
    error = np.sqrt(np.maximum(variance, 1 / (4 * n**2))) / norm.pdf(at_rate)
    low, high = np.quantile((at_rate[1:] - at_rate[0]) / error[1:], [0.025, 0.975])
    ends = norm.cdf(at_rate[0] - np.array([high, low]) * error[0])
    return Interval(value, float(ends[0]), float(ends[1]))


def covered(arguments: tuple[Kind, int, int, int]) -> tuple[Kind, Rows, Rows]:
    """How often the intervals of each method and of differences hold the truth, and their median
    width in points.
    """
    kind, repeats, n_resamples, seed = arguments
    truth, found = true_rate(kind), []
    seeds = [
        seed,
        int(1e5 * kind.rate),
        *kind.clusters,
        kind.trials,
        kind.attacks,
        int(kind.uneven),
        int(kind.step > 0),
    ]
    generator = np.random.default_rng(seeds)
    for repeat in range(repeats):
        bonafide, systems, clusters = corpus(kind, generator)
        of = draw(bonafide, clusters, n=n_resamples, seed=repeat)
        rates = [eer(bonafide, scores) for scores in systems]
        resampled = [eer_resamples(bonafide, scores, of) for scores in systems]
        difference, differences = rates[0] - rates[1], resampled[0] - resampled[1]
        rows = [
            (interval, truth)
            for interval in intervals(bonafide, systems[0], rates[0], resampled[0], of)
        ]
        rows.append((Interval(difference, *np.quantile(differences, [0.025, 0.975])), 0.0))
        rows.append((difference_interval(difference, differences, of), 0.0))
        found.append(
            [
                (np.nan, np.nan)
                if np.isnan(interval.low)
                else (interval.low <= true <= interval.high, interval.high - interval.low)
                for interval, true in rows
            ]
        )
    table = np.array(found, float)
    return kind, tuple(table[:, :, 0].mean(0)), tuple(100 * np.median(table[:, :, 1], axis=0))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=200, help="corpora a row")
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--only", help="rows of this group: plain, ties, uneven, utterance, attacks"
    )
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()

    wanted = [kind for kind in kinds() if arguments.only in (None, kind.group)]
    work = [(kind, arguments.repeats, arguments.resamples, arguments.seed) for kind in wanted]
    print(
        "| EER % | clusters | trials each | | "
        + " | ".join((*METHODS, *DIFFERENCES, "width: percentile, ours"))
        + " |"
    )
    print("|" + " --- |" * (4 + len(METHODS) + len(DIFFERENCES) + 1))
    with (
        ProcessPoolExecutor(arguments.processes) as pool,
        progress_line("Coverage", len(work), "rows") as line,
    ):
        for kind, shares, widths in pool.map(covered, work):
            cells = ["" if np.isnan(share) else f"{share:.3f}".lstrip("0") for share in shares]
            print(
                f"| {kind.name} | " + " | ".join(cells) + f" | {widths[0]:.1f}, {widths[4]:.1f} |",
                flush=True,
            )
            line.advance(1, kind.name)


if __name__ == "__main__":
    main()

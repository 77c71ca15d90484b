"""What limits the paired intervals of the demo corpus: how wide they are with fewer of its speakers
and attacks.

    python tests/benchmarks/demo_width.py results/demo.run results/moonshine.run [--draws 20]

Of the eval trials of each run a share of the speakers of either class is kept, drawn anew each
time, with all their clips, or all speakers with a share of their clips; the interval is that of the
layer chosen on dev less the last one, by the resampling that the runs use. If width falls as 1 /
sqrt(n) with speakers and hardly with clips a speaker, more speakers are what is lacking, and as
many more as the figure at the end says.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from figures import figure

from probing.metrics import draw, eer, eer_resamples
from probing.metrics.clusters import AUTO
from probing.metrics.intervals import difference_interval
from probing.runs import Run
from probing.targets.task import SPOOFING

AIM = 2 / 3


def width(trials: pd.DataFrame, resamples: int = 500) -> float:
    """Points between the ends of the paired interval of two scores of the same trials."""
    bonafide = (trials["label"] == "bonafide").to_numpy()
    clusters = SPOOFING.clusters(trials, AUTO)
    drawn = draw(bonafide, clusters, n=resamples, seed=0, words=SPOOFING.words)
    first, last = (trials[name].to_numpy() for name in ("first", "last"))
    value = eer(bonafide, last) - eer(bonafide, first)
    found = difference_interval(
        value, eer_resamples(bonafide, last, drawn) - eer_resamples(bonafide, first, drawn), drawn
    )
    return 100 * (found.high - found.low)


def fewer(trials: pd.DataFrame, share: float, column: str, seed: int) -> pd.DataFrame:
    """A share of the speakers of either class; or of the clips of each speaker, one at least."""
    generator = np.random.default_rng(seed)
    kept = []
    for _, of_class in trials.groupby("label"):
        if column == "speaker":
            names = of_class["speaker"].unique()
            some = generator.permutation(names)[: max(4, round(share * len(names)))]
            kept.append(of_class[of_class["speaker"].isin(some)])
            continue
        for _, of_speaker in of_class.groupby("speaker"):
            n = max(1, round(share * len(of_speaker)))
            kept.append(of_speaker.iloc[np.sort(generator.permutation(len(of_speaker))[:n])])
    return pd.concat(kept)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--draws", type=int, default=20)
    given = parser.parse_args()
    for folder in given.runs:
        run = Run(folder)
        finding = run.record.finding
        trials = run.trials(f"linear-layer-{finding.layer:02d}")
        trials["first"] = trials["score"]
        trials["last"] = run.trials(f"linear-layer-{finding.last:02d}")["score"].to_numpy()
        whole = width(trials)
        print(f"{folder}: layer {finding.layer} against {finding.last}, {whole:.1f} points wide")
        for column in ("speaker", "clips"):
            shares = (0.25, 0.5, 0.75)
            widths = [
                np.median(
                    [width(fewer(trials, share, column, seed)) for seed in range(given.draws)]
                )
                for share in shares
            ]
            told = ", ".join(
                f"{100 * share:.0f} %: {wide:.1f}"
                for share, wide in zip(shares, widths, strict=True)
            )
            slope = np.polyfit(np.log([*shares, 1.0]), np.log([*widths, whole]), 1)[0]
            figure(f"{folder.stem}: width by share of {column}, exponent", slope, told)
            if slope < -0.05:
                figure(
                    f"{folder.stem}: as many more {column} for two thirds of the width",
                    AIM ** (1 / slope),
                )


if __name__ == "__main__":
    main()

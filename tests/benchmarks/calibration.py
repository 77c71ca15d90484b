"""What calibration gains on published scores: Cllr and actDCF on one half before and after, made on
the other half.

The scores are those of RawGAT-ST on ASVspoof 2019 LA eval (../shared/data/scores). Their files name
no speakers: halves are drawn by trial, and by attack, so that those of the half that is measured
are unseen; with `--protocol ASVspoof2019.LA.cm.eval.trl.txt` by speaker as well.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from probing.calibration import calibrate
from probing.metrics import act_dcf, cllr, eer, min_dcf
from probing.metrics.calibration import min_cllr
from probing.scores.files import read_scores
from probing.scores.forms import read_keys

SCORES = Path(__file__).parents[3] / "shared" / "data" / "scores" / "rawgat_mul.eval.txt.gz"
SEEDS = range(5)


def halves_by(
    values: NDArray[np.object_], bonafide: NDArray[np.bool_], seed: int
) -> NDArray[np.bool_]:
    """Which trials a calibration is made on: half of the values of each class, whole."""
    generator = np.random.default_rng(seed)
    chosen = np.zeros(len(values), bool)
    for of_class in (bonafide, ~bonafide):
        place, names = pd.factorize(values[of_class], sort=True)
        half = generator.permutation(len(names)) < len(names) // 2
        chosen[of_class] = half[place]
    return chosen


def measure(
    bonafide: NDArray[np.bool_], scores: NDArray[np.float64], made_on: NDArray[np.bool_]
) -> dict[str, float]:
    """Figures of the other half before and after."""
    made = calibrate(bonafide[made_on], scores[made_on])
    of, raw = bonafide[~made_on], scores[~made_on]
    ratios = made.apply(raw)
    return {
        "EER %": 100 * eer(of, raw),
        "minCllr": min_cllr(of, raw),
        "Cllr": cllr(of, raw),
        "Cllr calibrated": cllr(of, ratios),
        "minDCF": min_dcf(of, raw),
        "actDCF": act_dcf(of, raw),
        "actDCF calibrated": act_dcf(of, ratios),
    }


def main() -> None:
    """Print a table: a row a way of halving, means over five draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", type=Path, default=SCORES)
    parser.add_argument(
        "--protocol", type=Path, help="the official protocol of 2019 LA eval, for its speakers"
    )
    given = parser.parse_args()
    table = read_scores(given.scores)
    bonafide = table["label"].eq("bonafide").to_numpy()
    scores = table["score"].to_numpy()
    names = table["utterance_id"].to_numpy(object)
    ways = {"trial": names, "attack": np.where(bonafide, names, table["attack"].to_numpy(object))}
    if given.protocol:
        speakers = read_keys(given.protocol).set_index("utterance_id")["speaker"]
        ways["speaker"] = speakers[table["utterance_id"]].to_numpy(object)
    rows = {
        f"by {way}": pd.DataFrame(
            [measure(bonafide, scores, halves_by(values, bonafide, seed)) for seed in SEEDS]
        )
        for way, values in ways.items()
    }
    found = pd.DataFrame({way: of.mean() for way, of in rows.items()}).T
    print(found.round(4).to_string())
    spread = pd.DataFrame({way: of.std(ddof=1) for way, of in rows.items()}).T
    print("\nstandard deviation over draws\n" + spread.round(4).to_string())


if __name__ == "__main__":
    main()

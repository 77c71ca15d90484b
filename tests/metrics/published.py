"""Published scores with known figures, and where the project's tests find them."""

import gzip
from pathlib import Path

import numpy as np
import pytest

SCORES = Path(__file__).parents[3] / "shared" / "data" / "scores"
needs_scores = pytest.mark.skipif(not SCORES.exists(), reason="published scores are not here")
ATTACKS = {
    "A07": 0.3429,
    "A08": 0.5297,
    "A09": 0.0815,
    "A10": 0.3905,
    "A11": 0.2852,
    "A12": 0.3429,
    "A13": 0.3022,
    "A14": 0.2852,
    "A15": 0.2682,
    "A16": 0.8149,
    "A17": 1.7452,
    "A18": 3.0898,
    "A19": 0.7096,
}


def countermeasure() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Attack, whether bona fide, and score of each trial."""
    with gzip.open(SCORES / "rawgat_mul.eval.txt.gz", "rt") as file:
        _, attack, key, score = zip(*(line.split() for line in file), strict=True)
    return np.array(attack), np.array(key) == "bonafide", np.array(score, float)


def verification() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Source, key and score of each trial of the speaker verification system."""
    with gzip.open(SCORES / "asvspoof2019_la.asv.eval.txt.gz", "rt") as file:
        source, key, score = zip(*(line.split() for line in file), strict=True)
    return np.array(source), np.array(key), np.array(score, float)

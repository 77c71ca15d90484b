"""How well features without speech separate the classes: the floor for any result."""

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from probing.audio import MEASURES, measure
from probing.metrics import eer
from probing.probes import LinearProbe


def trivial_features(samples: np.ndarray) -> tuple[float, ...]:
    """Return what `probing.audio.measure` measures, in the order of MEASURES."""
    return tuple(measure(samples.astype(np.float32)).values())


def trivial_baseline(table: pd.DataFrame, features: np.ndarray) -> pd.DataFrame:
    """AUC and EER by split, overall, by feature and by attack, of a probe trained on train.

    Args:
        table: demo.csv with columns split, label, attack.
        features: (clips, 4), in the order of MEASURES.
    """
    bonafide, split, attacks = (table[name].to_numpy() for name in ("label", "split", "attack"))
    bonafide = bonafide == "bonafide"
    train = split == "train"
    results = []
    inputs = {"all four": features} | {
        name.removeprefix("audio_"): features[:, [i]] for i, name in enumerate(MEASURES)
    }
    for name, columns in inputs.items():
        scores = LinearProbe().fit(columns[train], bonafide[train]).decision_function(columns)
        for part in ("train", "dev", "eval"):
            here = split == part
            chosen = sorted(set(attacks[here & ~bonafide])) if name == "all four" else []
            for attack in ("all", *chosen):
                rows = here & (bonafide | (attacks == attack) | (attack == "all"))
                result = {
                    "features": name,
                    "split": part,
                    "attack": attack,
                    "n": int((rows & ~bonafide).sum()),
                }
                auc = float(roc_auc_score(bonafide[rows], scores[rows]))
                results.append({**result, "auc": auc, "eer": eer(bonafide[rows], scores[rows])})
    return pd.DataFrame(results)

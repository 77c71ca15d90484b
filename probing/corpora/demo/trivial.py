"""How well features that know nothing of synthesis separate the classes: the floor that any result has to beat."""

import numpy as np
import pandas as pd

from probing.corpora.demo.channel import FRAME, RATE, frame_db

FEATURES = ("duration", "level", "bandwidth", "noise_floor")


def trivial_features(samples: np.ndarray) -> tuple[float, ...]:
    """Return duration (s), level (dBFS RMS), 95 % spectral roll-off (Hz) and noise floor (10th percentile, dB)."""
    db = frame_db(samples)
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME) * np.hanning(FRAME)
    power = np.cumsum(np.sum(np.abs(np.fft.rfft(frames)) ** 2, axis=0))
    rolloff = np.searchsorted(power, 0.95 * power[-1]) * RATE / FRAME
    level = 10 * np.log10(np.mean(samples**2) + 1e-12)
    return len(samples) / RATE, float(level), float(rolloff), float(np.percentile(db, 10))


def equal_error_rate(is_spoof: np.ndarray, scores: np.ndarray) -> float:
    """Return the rate at which misses and false alarms are nearest, their mean; higher score = more like spoof."""
    from sklearn.metrics import roc_curve

    false_alarm, hit, _ = roc_curve(is_spoof, scores)
    i = int(np.argmin(np.abs(false_alarm - (1 - hit))))
    return float((false_alarm[i] + 1 - hit[i]) / 2)


def trivial_baseline(table: pd.DataFrame, features: np.ndarray) -> pd.DataFrame:
    """Train logistic regression on train; return AUC and EER on dev and eval, overall, per feature and per attack.

    Args:
        table: demo.csv with columns split, label, attack.
        features: (clips, 4), in the order of `FEATURES`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    spoof, train = table["label"].to_numpy() == "spoof", table["split"].to_numpy() == "train"
    results = []
    inputs = {"all four": features} | {name: features[:, [i]] for i, name in enumerate(FEATURES)}
    for name, columns in inputs.items():
        model = make_pipeline(StandardScaler(), LogisticRegression()).fit(columns[train], spoof[train])
        scores = model.decision_function(columns)
        for split in ("train", "dev", "eval"):
            here = table["split"].to_numpy() == split
            attacks = sorted(set(table["attack"][here & spoof])) if name == "all four" else []
            for attack in ("all", *attacks):
                rows = here & (~spoof | (table["attack"].to_numpy() == attack) | (attack == "all"))
                auc = float(roc_auc_score(spoof[rows], scores[rows]))
                eer = equal_error_rate(spoof[rows], scores[rows])
                result = {"features": name, "split": split, "attack": attack, "n": int((rows & spoof).sum())}
                results.append({**result, "auc": auc, "eer": eer})
    return pd.DataFrame(results)

#!/usr/bin/env bash
# torchmetrics gives another EER and AUROC for the same ranking when scores are log-likelihood ratios.
#
# Guess before: both depend on the order of the scores only, so BinaryEER and BinaryAUROC agree with scikit-learn to
# rounding, whatever the scale of the scores.
# Seen, torchmetrics 1.9.0 beside scikit-learn 1.9.1, torch 2.13.0: scores beyond [0, 1] go through a sigmoid in float32,
# which gives 1.0 for everything above about 17. On 2,000 trials whose log-likelihood ratios have a spread of 40 the AUROC
# falls from 0.773 to 0.732 and the EER rises from 29.4 to 30.1 %; at a spread of 1 both agree to 0.001. Detectors of
# spoofed speech do give such ratios. Besides, every batch is judged by itself: one that happens to lie within [0, 1] stays
# as it is and is pooled with batches that were squashed. 400 trials in one update have an AUROC of 0.893, in ten 0.873.
# torch.sigmoid in float64 before the call, or scikit-learn, keeps the order.
#
# Exit code 0: as described. 1: it changed. Needs python3 and pip; works in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "torch==2.13.0" "torchmetrics==1.9.0" "scikit-learn==1.9.1"
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import numpy as np
import torch
from sklearn.metrics import roc_auc_score, roc_curve
from torchmetrics.classification import BinaryAUROC, BinaryEER

drawn = np.random.default_rng(0)
found = {}
for spread in (1, 40):
    labels = drawn.integers(0, 2, 2000)
    scores = spread * (drawn.normal(0, 1, 2000) + labels)
    false, true, _ = roc_curve(labels, scores)
    eer = false[np.argmin(abs(false + true - 1))]
    given = torch.tensor(scores, dtype=torch.float32), torch.tensor(labels)
    found[spread] = eer, float(BinaryEER()(*given)), roc_auc_score(labels, scores), float(BinaryAUROC()(*given))
    print("spread {}: EER {:.3f} and {:.3f}, AUROC {:.3f} and {:.3f}".format(spread, *found[spread]))

labels = drawn.integers(0, 2, 400)
scores = torch.tensor(drawn.normal(0.3, 0.2, 400) + 0.3 * labels, dtype=torch.float32)
order = torch.argsort(((scores < 0) | (scores > 1)).int(), stable=True)
scores, labels = scores[order], torch.tensor(labels)[order]
whole, batches = BinaryAUROC(), BinaryAUROC()
whole.update(scores, labels)
for start in range(0, 400, 40):
    batches.update(scores[start : start + 40], labels[start : start + 40])
once, many = float(whole.compute()), float(batches.compute())
print(f"in one update {once:.3f}, in ten {many:.3f}, scikit-learn {roc_auc_score(labels, scores):.3f}")

small, large = found[1], found[40]
agrees = abs(small[0] - small[1]) < 0.002 and abs(small[2] - small[3]) < 0.002
differs = large[1] - large[0] > 0.005 and large[2] - large[3] > 0.03
if not (agrees and differs and abs(once - many) > 0.002):
    sys.exit("changed")
PYTHON

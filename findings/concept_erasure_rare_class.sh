#!/usr/bin/env bash
# concept-erasure's LEACE erases nothing of a class that is rare, and does not say so.
#
# Guess before: after LEACE no linear probe tells the classes of the frames that it was fitted on, however rare one is
# and whatever two numbers stand for them: that is its theorem.
# Seen, concept-erasure 0.2.4 with torch 2.13.0: a phone that 1 of 10 or 1 of 100 frames has is erased (AUROC along the
# difference of the means 0.92 before, 0.50 after). If 1 of 250 has it, the eraser gives every frame back as it was:
# 0.93 and 0.93. With labels of 0 and 100 for 0 and 1 it erases that phone too, as with svd_tol=1e-4. Directions whose
# covariance with the label, in whitened features, is below svd_tol = 0.01 are dropped; the docstring says that this may
# leave "trace correlations". But that covariance shrinks with the share of the class and grows with the scale of the
# label, so all of a rare phone, speaker or attack is left, and what a probe then finds "after erasure" means nothing.
#
# Exit code 0: as described. 1: it changed. Needs python3 and pip; works in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "concept-erasure==0.2.4" "torch==2.13.0" "numpy==2.3.5"
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import torch
from concept_erasure import LeaceFitter


def auroc(frames, labels):
    scores = frames @ (frames[labels == 1].mean(0) - frames[labels == 0].mean(0))
    ranks = scores.argsort().argsort().double() + 1
    n = labels.sum()
    return float((ranks[labels == 1].sum() - n * (n + 1) / 2) / (n * (len(labels) - n)))


drawn = torch.Generator().manual_seed(0)
noise = torch.randn(50_000, 64, generator=drawn, dtype=torch.float64)
ERASED = ((10, 1, {}), (100, 1, {}), (250, 100, {}), (250, 1, {"svd_tol": 1e-4}))
LEFT = ((250, 1, {}),)
for every, scale, options in (*ERASED, *LEFT):
    labels = (torch.arange(len(noise)) % every == 0).double()
    frames = noise + 0.25 * labels[:, None]
    erased = LeaceFitter.fit(frames, scale * labels[:, None], **options).eraser(frames)
    before, after = auroc(frames, labels), auroc(erased, labels)
    moved = float((erased - frames).abs().max())
    case = f"1 of {every}, labels 0 and {scale}, {options or 'default tolerance'}"
    print(f"{case}: AUROC {before:.2f} before, {after:.2f} after, frames moved by up to {moved:.3f}")
    left = (every, scale, options) in LEFT
    as_described = moved < 1e-9 and after > 0.9 if left else moved > 0.1 and abs(after - 0.5) < 0.02
    if before < 0.9 or not as_described:
        sys.exit("changed")
PYTHON

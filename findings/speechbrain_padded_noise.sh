#!/usr/bin/env bash
# speechbrain's AddNoise adds less white noise to a clip the more padding it has in its batch: 20 dB for 10 asked for.
#
# Guess before: with snr_low = snr_high = 10 and the relative lengths that it is given, every clip has 10 dB.
# Seen, speechbrain 1.1.2: white noise is drawn for the padded batch, and its energy over all of it is divided by the
# length of the clip, so its level is taken for higher than it is. Clips of 100, 50, 25 and 10 % of the longest have 10,
# 13, 16 and 20 dB. Where one class is shorter (spoofs that were cut, say), the level of the noise tells the class. In
# batches of one length the SNR is as asked for, and so it is of noise from files if they are longer than the batch.
#
# Exit code 0: as described. 1: it changed. Needs python3 and pip; works in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "speechbrain==1.1.2" "torch==2.13.0" "torchaudio==2.11.1" "numpy==2.3.5"
# The compiled part of torchaudio loads only beside a torch for CUDA; torchaudio works without it, and so does AddNoise.
rm -f "$folder"/venv/lib/python3*/site-packages/torchaudio/lib/*.so
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import torch
from speechbrain.augment.time_domain import AddNoise

torch.manual_seed(0)
shares = torch.tensor([1.0, 0.5, 0.25, 0.1])
clips = 0.1 * torch.randn(len(shares), 160_000)
lengths = (shares * clips.shape[1]).round().int().tolist()
for clip, n in zip(clips, lengths):
    clip[n:] = 0
noisy = AddNoise(snr_low=10, snr_high=10)(clips.clone(), shares)
found = []
for clip, mixture, n in zip(clips, noisy, lengths):
    scale = (mixture[:n] @ clip[:n]) / (clip[:n] @ clip[:n])
    noise = mixture[:n] - scale * clip[:n]
    found.append(float(20 * torch.log10((scale * clip[:n]).norm() / noise.norm())))
    print(f"{n} samples of {clips.shape[1]}: {found[-1]:.1f} dB")
if not torch.allclose(torch.tensor(found), 10 - 10 * torch.log10(shares), atol=0.3):
    sys.exit("changed")
PYTHON

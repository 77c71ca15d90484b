#!/usr/bin/env bash
# audiomentations gives every clip that went through an impulse response the same peak, 0.5, whatever its level was.
#
# Guess before: an impulse response of a single 1 gives the clip back; one of half the height gives half the level.
# Seen, audiomentations 0.43.1: ApplyImpulseResponse scales what comes out to a peak of 0.5. Clips of peak 0.9 and 0.009
# both come out at 0.5 through a response that is a single sample. The peak is taken before the tail is cut off, so with
# a real room it is a little less. In training against spoofs, where quiet and loud classes differ, "has been through a
# room" can then be read off the level; gains set before this transform have no effect.
#
# Exit code 0: as described. 1: it changed. Needs python3 and pip; works in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "audiomentations==0.43.1" "numpy==2.3.5" "soundfile==0.14.0"
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import numpy as np
import soundfile
from audiomentations import ApplyImpulseResponse

clip = np.random.default_rng(0).normal(size=16_000)
clip = (clip / np.abs(clip).max()).astype(np.float32)
peaks = []
for height in (1.0, 0.5):
    soundfile.write("response.wav", np.array([height], np.float32), 16_000, subtype="FLOAT")
    through = ApplyImpulseResponse("response.wav", p=1.0)
    for level in (0.9, 0.009):
        peaks.append(float(np.abs(through(level * clip, 16_000)).max()))
        print(f"response of a single {height}: peak {level} before, {peaks[-1]:.4f} after")
if not np.allclose(peaks, 0.5, atol=1e-3):
    sys.exit("changed")
PYTHON

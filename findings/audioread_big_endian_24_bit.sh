#!/usr/bin/env bash
# audioread gives noise for AIFF and AU files of 24 bits, and WAV files of 8 bits, without a word.
#
# Guess before: audioread gives 16-bit samples of whatever PCM it opens, within 1/32768 of what libsndfile reads.
# Seen, audioread 3.1.0 beside soundfile 0.14.0: so it does for WAV of 16, 24 and 32 bits and AIFF and AU of 16 bits.
# Of big-endian files with more bits it keeps two bytes a sample before it swaps them, and these are the low ones: of a
# tone in AIFF or AU of 24 bits comes noise at full scale (correlation with the tone 0.2). In WAV of 8 bits, which are
# unsigned, silence is at -1. Length, rate and channels are right. Studio corpora have 24 bits, old telephone speech 8.
#
# Exit code 0: as described. 1: it changed. Needs python3 and pip; works in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "audioread==3.1.0" "soundfile==0.14.0" "numpy==2.3.5"
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import numpy as np
import soundfile
from audioread.rawread import RawAudioFile

RIGHT = (("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "PCM_32"), ("AIFF", "PCM_16"), ("AU", "PCM_16"))
WRONG = (("AIFF", "PCM_24"), ("AIFF", "PCM_32"), ("AU", "PCM_24"), ("WAV", "PCM_U8"))
tone = 0.3 * np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000)
for kind, subtype in (*RIGHT, *WRONG):
    soundfile.write("tone", tone, 16_000, format=kind, subtype=subtype)
    expected, _ = soundfile.read("tone")
    with RawAudioFile("tone") as file:
        samples = np.frombuffer(b"".join(file), "<i2") / 32_768
    error = float(np.abs(samples - expected).max())
    correlation = float(np.corrcoef(samples, expected)[0, 1])
    print(f"{kind} {subtype}: {len(samples)} samples, error up to {error:.5f}, correlation {correlation:.2f}")
    as_described = error < 2 / 32_768 if (kind, subtype) in RIGHT else error > 0.5 and correlation < 0.5
    if not as_described or len(samples) != len(tone):
        sys.exit("changed")
PYTHON

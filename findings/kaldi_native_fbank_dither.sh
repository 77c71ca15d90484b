#!/usr/bin/env bash
# kaldi-native-fbank gives other features each time that the same waveform is asked for, unless dither is set to 0.
#
# Guess before: the same samples give the same log-mel bands, as with torchaudio's fbank, whose dither is 0 by default.
# Seen, kaldi-native-fbank 1.23.0: FbankOptions().frame_opts.dither is 3e-5, of samples between -1 and 1, drawn from a
# generator that no option seeds. Noise at -20 dBFS differs from itself by up to a few thousandths of a log band between
# two computations, digital silence by more than 1: pauses, where edited speech shows, are not reproducible, and a cache
# of such features cannot be made twice. With dither 0 two computations are alike to the bit.
#
# Exit code 0: as described. 1: it changed. Needs python3 and pip; works in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "kaldi-native-fbank==1.23.0" "numpy==2.3.5"
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import kaldi_native_fbank
import numpy as np


def bands(waveform, dither=None):
    options = kaldi_native_fbank.FbankOptions()
    if dither is not None:
        options.frame_opts.dither = dither
    fbank = kaldi_native_fbank.OnlineFbank(options)
    fbank.accept_waveform(16_000, waveform.tolist())
    fbank.input_finished()
    return np.stack([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])


print("dither by default:", kaldi_native_fbank.FbankOptions().frame_opts.dither)
noise = np.random.default_rng(0).normal(scale=0.1, size=16_000).astype(np.float32)
apart = {}
for name, waveform in (("noise", noise), ("silence", np.zeros(16_000, np.float32))):
    for dither in (None, 0.0):
        apart[name, dither] = float(np.abs(bands(waveform, dither) - bands(waveform, dither)).max())
        print(f"{name}, dither {dither}: two computations differ by up to {apart[name, dither]:.4f}")
as_described = 0 < apart["noise", None] < 0.1 and apart["silence", None] > 0.5
if not as_described or apart["noise", 0.0] or apart["silence", 0.0]:
    sys.exit("changed")
PYTHON

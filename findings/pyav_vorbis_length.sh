#!/usr/bin/env bash
# PyAV decodes another number of samples from Ogg Vorbis than the file holds: more, or fewer, by what a block has.
#
# Guess before: PyAV gives as many samples as libsndfile of the same file, as it does of Ogg Opus, MP3 and FLAC.
# Seen, PyAV 18.1.0 and soundfile 0.14.0: a Vorbis file of 8,000 samples at 16 kHz decodes to 8,192, one of 12,345 to
# 12,544, and one of 16,000 samples at 44.1 kHz to 15,872, though the stream's own duration says the right number. The
# end is concerned, not the beginning. What is too long should be cut to `stream.duration`; what is too short lacks the
# end of the utterance. Labels by time stay right but at the end; two loaders of one corpus disagree in their frames.
#
# Exit code 0: as described. 1: it changed. Needs python3 and pip; works in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "av==18.1.0" "soundfile==0.14.0" "numpy==2.3.5"
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import av
import numpy as np
import soundfile

print("libsndfile", soundfile.__libsndfile_version__, "PyAV", av.__version__)
found = []
for n, rate in ((8_000, 16_000), (12_345, 16_000), (16_000, 44_100)):
    clip = np.random.default_rng(0).normal(scale=0.1, size=n).astype(np.float32)
    for kind, subtype in (("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")):
        soundfile.write("clip", clip, rate, format=kind, subtype=subtype)
        expected, _ = soundfile.read("clip", dtype="float32")
        with av.open("clip") as file:
            stated = file.streams.audio[0].duration
            decoded = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])
        start = float(np.abs(decoded[:4_000] - expected[:4_000]).max())
        print(f"{subtype}, {n} samples at {rate} Hz: soundfile {len(expected)}, PyAV {len(decoded)}, first 4,000 differ by {start:.1e}")
        found.append((subtype, len(expected), len(decoded), start < 1e-3, subtype != "VORBIS" or stated == n))
lengths = [(n, m) for kind, n, m, alike, said in found if kind == "VORBIS"]
others = [n == m for kind, n, m, *_ in found if kind != "VORBIS"]
if lengths != [(8_000, 8_192), (12_345, 12_544), (16_000, 15_872)] or not all(others):
    sys.exit("changed")
if not all(alike and said for *_, alike, said in found):
    sys.exit("changed")
PYTHON

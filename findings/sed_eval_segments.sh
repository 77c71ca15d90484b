#!/usr/bin/env bash
# sed_eval counts one segment too many of events whose end, divided by the resolution, is not exact in binary.
#
# Guess before: an event from 0 to 0.07 s is active in 7 segments of 10 ms, as one of 0.06 s is in 6.
# Seen, sed_eval 0.2.1 with dcase_util 0.2.20: 0.06 s gives 6, but 0.07 gives 8, 0.14 gives 15 and 0.28 gives 29, since
# the end over the resolution is rounded up as it is computed (7.000000000000001). A detector that ends such an event at
# 0.06 s misses two segments, and one that ends it at 0.08 s is exact. At the resolutions at which spoofed stretches are
# found (10 to 40 ms) a segment is a seventh of a phone of 70 ms.
#
# Exit code 0: as described. 1: it changed. Needs python3 and pip; works in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "sed_eval==0.2.1" "dcase_util==0.2.20" "numpy==2.3.5" "setuptools<81"
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import dcase_util
import sed_eval

found = {}
for hundredths in (6, 7, 14, 28, 57):
    event = {"filename": "a.wav", "event_label": "spoof", "onset": 0.0, "offset": hundredths / 100}
    events = dcase_util.containers.MetaDataContainer([event])
    metrics = sed_eval.sound_event.SegmentBasedMetrics(event_label_list=["spoof"], time_resolution=0.01)
    metrics.evaluate(events, events, evaluated_length_seconds=1.0)
    found[hundredths] = int(metrics.overall["Nref"])
    print(f"an event of {10 * hundredths} ms: {found[hundredths]} active segments of 10 ms")
if found != {6: 6, 7: 8, 14: 15, 28: 29, 57: 57}:
    sys.exit("changed")
PYTHON

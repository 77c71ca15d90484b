#!/usr/bin/env bash
# praatio drops the last interval of a short TextGrid whose last line does not end, without a word.
#
# Guess before: praatio reads the intervals that Praat reads, or says that it cannot.
# Seen, praatio 6.2.0 beside Praat 6.1.38 itself (praat-parselmouth 0.4.7): a short TextGrid with two intervals and no
# newline after the last quotation mark has two intervals in Praat and one in praatio, no error and no warning; with the
# newline both have two. A corpus of such files loses the last phone of every utterance.
#
# Exit code 0: as described. 1: it changed. Needs python3 and pip; works in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "praatio==6.2.0" "praat-parselmouth==0.4.7"
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import parselmouth
from parselmouth.praat import call
from praatio import textgrid

LINES = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "0", "1", "<exists>", "1"]
LINES += ['"IntervalTier"', '"phones"', "0", "1", "2", "0", "0.5", '"a"', "0.5", "1", '"b"']
print("Praat", parselmouth.PRAAT_VERSION)
found = {}
for ending in ("\n", ""):
    with open("short.TextGrid", "w") as file:
        file.write("\n".join(LINES) + ending)
    praat = int(call(parselmouth.read("short.TextGrid"), "Get number of intervals", 1))
    tier = textgrid.openTextgrid("short.TextGrid", True, "error").getTier("phones")
    found[ending] = praat, len(tier.entries)
    print(f"last line ends {ending!r}: {praat} intervals in Praat, {len(tier.entries)} in praatio")
if found != {"\n": (2, 2), "": (2, 1)}:
    sys.exit("changed")
PYTHON

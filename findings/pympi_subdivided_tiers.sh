#!/usr/bin/env bash
# pympi gives words of a subdivided ELAN tier the time of the whole utterance, or none, and its TextGrid drops them.
#
# Guess before: three words that divide an utterance in ELAN have a third of its time each, as ELAN draws them.
# Seen, pympi-ling 1.71: on a tier of stereotype Symbolic_Subdivision, each of three words of an utterance from 1 to 2 s
# lasts from 1,000 to 2,000 ms. On one of Time_Subdivision, whose inner time slots have no value in the file, as ELAN
# writes them until they are aligned, the times are (1000, None), (None, None) and (None, 2000). to_textgrid() neither
# raises nor warns: of the first tier it keeps one word of three, which lasts a second; of the second it keeps none.
# Frames labelled from such a TextGrid have the wrong word, or no word, for the whole utterance.
#
# Exit code 0: as described. 1: it changed. Needs python3 and pip; works in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "pympi-ling==1.71"
cd "$folder"
cat > words.eaf <<'XML'
<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2026-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/>
<TIME_ORDER>
  <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1000"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1000"/>
  <TIME_SLOT TIME_SLOT_ID="ts3"/><TIME_SLOT TIME_SLOT_ID="ts4"/>
  <TIME_SLOT TIME_SLOT_ID="ts5" TIME_VALUE="2000"/><TIME_SLOT TIME_SLOT_ID="ts6" TIME_VALUE="2000"/>
</TIME_ORDER>
<TIER LINGUISTIC_TYPE_REF="utterance" TIER_ID="utterance">
  <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts6">
    <ANNOTATION_VALUE>we were away</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
</TIER>
<TIER LINGUISTIC_TYPE_REF="symbolic" PARENT_REF="utterance" TIER_ID="symbolic">
  <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a2" ANNOTATION_REF="a1">
    <ANNOTATION_VALUE>we</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
  <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a3" ANNOTATION_REF="a1" PREVIOUS_ANNOTATION="a2">
    <ANNOTATION_VALUE>were</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
  <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a4" ANNOTATION_REF="a1" PREVIOUS_ANNOTATION="a3">
    <ANNOTATION_VALUE>away</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
</TIER>
<TIER LINGUISTIC_TYPE_REF="time" PARENT_REF="utterance" TIER_ID="time">
  <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a5" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3">
    <ANNOTATION_VALUE>we</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a6" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts4">
    <ANNOTATION_VALUE>were</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a7" TIME_SLOT_REF1="ts4" TIME_SLOT_REF2="ts5">
    <ANNOTATION_VALUE>away</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
</TIER>
<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="utterance" GRAPHIC_REFERENCES="false" TIME_ALIGNABLE="true"/>
<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="symbolic" CONSTRAINTS="Symbolic_Subdivision" GRAPHIC_REFERENCES="false"
  TIME_ALIGNABLE="false"/>
<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="time" CONSTRAINTS="Time_Subdivision" GRAPHIC_REFERENCES="false"
  TIME_ALIGNABLE="true"/>
<CONSTRAINT DESCRIPTION="a sequence of annotations without times" STEREOTYPE="Symbolic_Subdivision"/>
<CONSTRAINT DESCRIPTION="time intervals without gaps" STEREOTYPE="Time_Subdivision"/>
</ANNOTATION_DOCUMENT>
XML
"$folder/venv/bin/python" - <<'PYTHON'
import sys

from pympi import Elan

eaf = Elan.Eaf("words.eaf")
textgrid = eaf.to_textgrid()
found = []
for name in ("symbolic", "time"):
    words = [entry[:3] for entry in eaf.get_annotation_data_for_tier(name)]
    found += [words, list(textgrid.get_tier(name).get_intervals())]
    print(f"subdivision {name}: {words}; in the TextGrid: {found[-1]}")
whole = [(1000, 2000, word) for word in ("we", "were", "away")]
unknown = [(1000, None, "we"), (None, None, "were"), (None, 2000, "away")]
if found != [whole, [(1.0, 2.0, "we")], unknown, []]:
    sys.exit("changed")
PYTHON

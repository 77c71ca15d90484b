"""Inspection of one utterance: which part of it made the head say what it says."""

from analysis.inspection.evidence import Evidence, frame_evidence
from analysis.inspection.pictures import activation_curve, activation_picture
from analysis.inspection.utterance import Inspection, inspect

__all__ = [
    "Evidence",
    "Inspection",
    "activation_curve",
    "activation_picture",
    "frame_evidence",
    "inspect",
]

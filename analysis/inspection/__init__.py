"""Inspection of one utterance: which part of it made the head say what it says."""

from analysis.inspection.evidence import Evidence, frame_evidence
from analysis.inspection.pictures import activation_picture
from analysis.inspection.utterance import Inspection, class_activation, inspect

__all__ = ["Evidence", "Inspection", "activation_picture", "class_activation", "frame_evidence", "inspect"]

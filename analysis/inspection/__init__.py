"""Inspection of one utterance: which part of it made the head say what it says."""

from typing import TYPE_CHECKING

from cache.lazy import lazy

if TYPE_CHECKING:
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

_HOME = {
    "Evidence": "evidence",
    "Inspection": "utterance",
    "activation_curve": "pictures",
    "activation_picture": "pictures",
    "frame_evidence": "evidence",
    "inspect": "utterance",
}

__getattr__, __dir__ = lazy(__name__, _HOME)

"""Serving: trained heads applied to audio and caches, verdicts on clips, and exports with the
blocks they need.
"""

from probing.serving.exit_heads import ExitHeads
from probing.serving.export import Exported, export, open_exported, write_exported
from probing.serving.heads import ChosenHead, LayerProbe, ServingError, choose_head
from probing.serving.inputs import Result, audio_files, score_inputs
from probing.serving.reference import Reference, reference_of
from probing.serving.score import Server, score_audio, score_cache
from probing.serving.verdict import Verdict, Verdicts, judge

__all__ = [
    "ChosenHead",
    "ExitHeads",
    "Exported",
    "LayerProbe",
    "Reference",
    "Result",
    "Server",
    "ServingError",
    "Verdict",
    "Verdicts",
    "audio_files",
    "choose_head",
    "export",
    "judge",
    "open_exported",
    "reference_of",
    "score_audio",
    "score_cache",
    "score_inputs",
    "write_exported",
]

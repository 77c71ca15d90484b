"""Serving: trained heads on audio and caches, verdicts on clips, and exported models."""

from typing import TYPE_CHECKING

from cache.lazy import lazy

if TYPE_CHECKING:
    from probing.serving.candidates import ServingError
    from probing.serving.exit_heads import ExitHeads
    from probing.serving.exported import Exported, open_exported, write_exported
    from probing.serving.exporting import export
    from probing.serving.heads import ChosenHead, choose_head
    from probing.serving.inputs import Result, score_inputs
    from probing.serving.judging import judge
    from probing.serving.layer_probe import LayerProbe
    from probing.serving.named_audio import audio_files
    from probing.serving.reference import Reference, reference_of
    from probing.serving.score import score_audio, score_cache
    from probing.serving.server import Server
    from probing.serving.verdict import Verdict, Verdicts

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

_HOME = {
    "ChosenHead": "heads",
    "ExitHeads": "exit_heads",
    "Exported": "exported",
    "LayerProbe": "layer_probe",
    "Reference": "reference",
    "Result": "inputs",
    "Server": "server",
    "ServingError": "candidates",
    "Verdict": "verdict",
    "Verdicts": "verdict",
    "audio_files": "named_audio",
    "choose_head": "heads",
    "export": "exporting",
    "judge": "judging",
    "open_exported": "exported",
    "reference_of": "reference",
    "score_audio": "score",
    "score_cache": "score",
    "score_inputs": "inputs",
    "write_exported": "exported",
}

__getattr__, __dir__ = lazy(__name__, _HOME)

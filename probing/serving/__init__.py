"""Serving: trained heads applied to audio and caches, and exported with the blocks they need."""

from probing.serving.export import Exported, export, open_exported
from probing.serving.heads import ChosenHead, LayerProbe, ServingError, choose_head
from probing.serving.score import Scored, Server, audio_files, score_audio, score_cache, score_inputs

__all__ = [
    "ChosenHead",
    "Exported",
    "LayerProbe",
    "Scored",
    "Server",
    "ServingError",
    "audio_files",
    "choose_head",
    "export",
    "open_exported",
    "score_audio",
    "score_cache",
    "score_inputs",
]

"""What layers and heads keep when audio is noisy, coded, reverberant or attacked."""

from analysis.robustness.attack_finding import sentence_of_attacks
from analysis.robustness.attack_pictures import attack_map
from analysis.robustness.attacking import Attacks, attack_run
from analysis.robustness.figures import (
    Robustness,
    RobustnessTable,
    eval_cache,
    measure,
)
from analysis.robustness.finding import CHANGES, layers_table, sentence_of
from analysis.robustness.pictures import robustness_map, snr_curve, snr_kinds
from analysis.robustness.stored import read_attacks, read_robustness, read_table
from probing.robustness.attacked import chosen_layers
from probing.serving.candidates import known_heads

__all__ = [
    "CHANGES",
    "Attacks",
    "Robustness",
    "RobustnessTable",
    "attack_map",
    "attack_run",
    "chosen_layers",
    "eval_cache",
    "known_heads",
    "layers_table",
    "measure",
    "read_attacks",
    "read_robustness",
    "read_table",
    "robustness_map",
    "sentence_of",
    "sentence_of_attacks",
    "snr_curve",
    "snr_kinds",
]

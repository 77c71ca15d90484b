"""What layers and heads keep of what they know when the audio is noisy, coded or reverberant."""

from analysis.robustness.finding import layers_table, sentence_of
from analysis.robustness.measuring import Robustness, measure
from analysis.robustness.pictures import robustness_map, snr_curve, snr_kinds

__all__ = ["Robustness", "layers_table", "measure", "robustness_map", "sentence_of", "snr_curve", "snr_kinds"]

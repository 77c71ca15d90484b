"""Similarity of layers with each other, across models, and with what is known of the utterances."""

from analysis.similarity.cca import cca_with
from analysis.similarity.cka import cka
from analysis.similarity.maps import similarity_map, target_curves
from analysis.similarity.pwcca import pwcca
from analysis.similarity.targets import TARGETS

__all__ = ["TARGETS", "cca_with", "cka", "pwcca", "similarity_map", "target_curves"]

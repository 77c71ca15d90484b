"""Evaluation of score files: read, joined with what is known of the utterances, and measured."""

from probing.evaluation.evaluate import Evaluation, evaluate
from probing.evaluation.sasv import SasvEvaluation, evaluate_sasv
from probing.scores.files import read_scores, read_trials
from probing.scores.forms import read_keys, read_verification
from probing.scores.joining import join
from probing.scores.sasv import (
    are_of_sasv,
    read_verification_trials,
    sasv_trials,
    utterances_of,
    verification_of,
)

__all__ = [
    "Evaluation",
    "SasvEvaluation",
    "are_of_sasv",
    "evaluate",
    "evaluate_sasv",
    "join",
    "read_keys",
    "read_scores",
    "read_trials",
    "read_verification",
    "read_verification_trials",
    "sasv_trials",
    "utterances_of",
    "verification_of",
]

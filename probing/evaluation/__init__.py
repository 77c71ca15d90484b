"""Evaluation of score files: read them, join them with what is known of the utterances, and compute every figure."""

from probing.evaluation.evaluate import Evaluation, evaluate
from probing.scores.files import read_scores
from probing.scores.forms import read_keys, read_verification
from probing.scores.joining import join

__all__ = ["Evaluation", "evaluate", "join", "read_keys", "read_scores", "read_verification"]

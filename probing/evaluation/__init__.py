"""Evaluation of score files: read them, join them with what is known of the utterances, and compute every figure."""

from probing.evaluation.evaluate import Evaluation, evaluate
from probing.evaluation.forms import read_keys, read_verification
from probing.evaluation.join import join
from probing.scores import read_scores

__all__ = ["Evaluation", "evaluate", "join", "read_keys", "read_scores", "read_verification"]

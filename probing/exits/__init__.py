"""Early exit: utterances leave the backbone at the depth whose head is sure of them."""

from probing.exits.exits import Exits, find_exits
from probing.exits.policy import CONFIDENCES, ExitPolicy, FittedPolicies, confidences, fit_policies

__all__ = ["CONFIDENCES", "ExitPolicy", "Exits", "FittedPolicies", "confidences", "find_exits", "fit_policies"]

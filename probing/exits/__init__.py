"""Early exit: utterances leave the backbone at the depth whose head is sure of them."""

from probing.exits.exits import Exits
from probing.exits.finding import exit_trials, find_exits
from probing.exits.policy import (
    CONFIDENCES,
    ExitPolicy,
    FittedPolicies,
    confidences,
    fit_policies,
    read_policy,
)
from probing.exits.stored import read_exits, write_exits

__all__ = [
    "CONFIDENCES",
    "ExitPolicy",
    "Exits",
    "FittedPolicies",
    "confidences",
    "exit_trials",
    "find_exits",
    "fit_policies",
    "read_exits",
    "read_policy",
    "write_exits",
]

"""The experiments of a sweep: what the column `experiment` of the results says was done.

What each holds is at the top of `probing.sweep.results`.
"""

LAYERS = "layer"
TRIVIAL = "trivial-features"
CONTROL = "shuffled-labels"
DEPTHS = "depth"
EXCESS = "depth-excess"
LAYER_EXCESS = "layer-excess"
AT_ONCE = "layer-at-once"
CONTRIBUTIONS = "contribution"
COSTS = "cost"
MLP = "mlp"
MLP_CONTROL = "mlp-shuffled-labels"
BY_CONDITION = "by-condition"
BY_CLASS = "by-class"
UNSEEN = "unseen-attack"
CONTROL_TASK = "control-task"
SELECTIVITY = "selectivity"
ERASED = "erased"
ERASED_RANDOM = "erased-random"

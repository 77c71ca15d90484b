"""Linear probes: what can be read off a layer without help, of two classes, many, or a number."""

from probing.probes.linear import LinearProbe, LinearProbeCV
from probing.probes.logistic import Solution, fit_logistic, fit_multinomial
from probing.probes.newton import NotConverged
from probing.probes.number import NumberProbe, NumberProbeCV
from probing.probes.ridge import fit_ridge
from probing.probes.scaling import Scaling
from probing.probes.selections import fit_selections

__all__ = [
    "LinearProbe",
    "LinearProbeCV",
    "NotConverged",
    "NumberProbe",
    "NumberProbeCV",
    "Scaling",
    "Solution",
    "fit_logistic",
    "fit_multinomial",
    "fit_ridge",
    "fit_selections",
]

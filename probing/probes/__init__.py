"""Linear probes: how well a layer separates the classes without help."""

from probing.probes.linear import LinearProbe, LinearProbeCV
from probing.probes.logistic import NotConverged, Solution, fit_logistic
from probing.probes.scaling import Scaling
from probing.probes.selections import fit_selections

__all__ = ["LinearProbe", "LinearProbeCV", "NotConverged", "Scaling", "Solution", "fit_logistic", "fit_selections"]

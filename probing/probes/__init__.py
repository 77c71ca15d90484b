"""Linear probes: how well a layer separates the classes without help."""

from probing.probes.linear import LinearProbe, LinearProbeCV
from probing.probes.logistic import NotConverged, Solution, fit_logistic
from probing.probes.scaling import Scaling

__all__ = ["LinearProbe", "LinearProbeCV", "NotConverged", "Scaling", "Solution", "fit_logistic"]

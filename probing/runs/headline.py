"""The headline of a run: which head its finding names."""

from probing.runs.run import Run


def headline(run: Run) -> tuple[str, int]:
    """Kind and depth of the head that the finding of a run names.

    At the smaller depth, if there is one, else at full depth; if that is not shown to be better
    than chance, the best of all heads and depths on dev; and if that is not either, and the probe
    of the layer chosen on dev is, that probe.

    >>> headline(Run("results/demo.run"))[0].split("+")[-1]
    'linear'
    """
    found = run.record.depth_finding
    if not found:
        return "linear", run.record.finding.layer
    if not found.by_chance or not found.best:
        return found.head, found.depth or found.full
    if found.best_by_chance and run.record.finding.best.high < 0.5:
        return "linear", run.record.finding.layer
    return found.best

"""Tables on a terminal, never with a figure cut off."""

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

WIDEST = 1000


def print_whole(out: Console, table: Table) -> None:
    """Print a table as wide as it is; a terminal that is narrower wraps its lines."""
    needed = Measurement.get(out, out.options.update(max_width=WIDEST), table).maximum
    wide = Console(file=out.file, width=max(out.width, needed), highlight=False, soft_wrap=True)
    wide.print(table)

"""Files that the main table of a command is written to beside the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from analysis.commands.files import check_not_given, check_suffix
from analysis.commands.printing import out
from probing.options import option

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TableFiles:
    """Files of the main table of a command, by format.

    csv: every digit. tex: a tabular with the rules of booktabs. md: Markdown.
    """

    csv: str | None = option(
        None, "Write the table here too, every digit.", metavar="FILE", is_path=True
    )
    tex: str | None = option(
        None, "Likewise, as LaTeX with booktabs.", metavar="FILE", is_path=True
    )
    md: str | None = option(None, "Likewise, as Markdown.", metavar="FILE", is_path=True)

    def check(self, corpus: str = "") -> None:
        """Refuse names of other suffixes, in folders that are not there, or of what is read, before
        any work is done.

        `corpus` is the one that a cache was made of, where it is known.
        """
        for name in ("csv", "tex", "md"):
            if getattr(self, name):
                check_suffix(Path(getattr(self, name)), (f".{name}",), name)
                check_not_given(Path(getattr(self, name)), name, corpus)

    @property
    def wanted(self) -> list[Path]:
        """The files that were asked for."""
        return [Path(file) for file in (self.csv, self.tex, self.md) if file]

    def write(
        self, table: pd.DataFrame, shown: Table | pd.DataFrame | None = None, title: str = ""
    ) -> None:
        """Write the files that were asked for, and say where.

        Args:
            table: every digit, without an index of its own.
            shown: what the terminal shows; default the table with its intervals in brackets.
            title: a line above the table, but for csv.
        """
        if not self.wanted:
            return
        from analysis.tables import save_table, with_intervals

        texts = frame_of(shown) if isinstance(shown, Table) else shown
        for file in self.wanted:
            save_table(table, file, title, None if texts is None else with_intervals(texts))
        out.print(f"Table: {' and '.join(map(str, self.wanted))}", markup=False)


def frame_of(shown: Table) -> pd.DataFrame:
    """A table of the terminal as texts."""
    import pandas as pd

    cells: list[list[Any]] = [[str(cell) for cell in column.cells] for column in shown.columns]
    found = pd.DataFrame(dict(enumerate(cells)), dtype=object)
    return found.set_axis([str(column.header) for column in shown.columns], axis=1)

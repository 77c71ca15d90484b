"""Files that the main table of a command is written to beside the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from analysis.commands.files import check_not_corpus, check_suffix
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

    def check(self) -> None:
        """Refuse names of other suffixes, or in folders that are not there, before any work."""
        for name, file in self._given():
            check_suffix(file, (f".{name}",), name)

    def check_not_corpus(self, corpus: str) -> None:
        """Refuse the corpus that a cache was made of, which is known once the cache is open."""
        for name, file in self._given():
            check_not_corpus(file, name, corpus)

    def _given(self) -> list[tuple[str, Path]]:
        """Each file that was given, after the name of its option."""
        files = {"csv": self.csv, "tex": self.tex, "md": self.md}
        return [(name, Path(file)) for name, file in files.items() if file]

    @property
    def wanted(self) -> list[Path]:
        """The files that were given."""
        return [file for _, file in self._given()]

    def write(
        self, table: pd.DataFrame, shown: Table | pd.DataFrame | None = None, title: str = ""
    ) -> None:
        """Write the files that were given, and say where.

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

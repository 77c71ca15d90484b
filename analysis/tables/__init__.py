"""Tables for papers: data frames as LaTeX, Markdown or csv."""

from analysis.tables.formats import as_latex, as_markdown, save_table, with_intervals

__all__ = ["as_latex", "as_markdown", "save_table", "with_intervals"]

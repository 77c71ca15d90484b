"""Tables for papers: how a data frame is written as LaTeX, Markdown or csv, and the tables behind
the figures.
"""

from analysis.tables.formats import as_latex, as_markdown, save_table, with_intervals

__all__ = ["as_latex", "as_markdown", "save_table", "with_intervals"]

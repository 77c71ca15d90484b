"""Runs as a notebook reads them: tidy tables, comparisons, and what makes them again."""

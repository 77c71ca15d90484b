"""Heads: what turns many layers into one score.

Merges x back-ends, many models trained side by side.
"""

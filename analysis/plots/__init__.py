"""Plots: one file a family, all in one style."""

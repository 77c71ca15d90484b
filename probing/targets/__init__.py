"""Targets: what is to be read from a layer, and the task that they make of it."""

"""The command line: one file a command, each a thin skin over a function.

The functions are those of `probing` and `analysis`.
"""

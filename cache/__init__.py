"""The store of hidden states: what is on disk, how it is written, read and verified."""

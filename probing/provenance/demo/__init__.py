"""The makers of the embedded demo corpus (`probing.corpora.demo`): texts, voices, vocoders,
channels, attribution.
"""

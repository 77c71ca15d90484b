"""The embedded demo corpus: human speech and several real synthesisers, small enough to ship (see
ATTRIBUTION.md).
"""

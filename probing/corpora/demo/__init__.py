"""The embedded demo corpus: human speech and real synthesisers (see ATTRIBUTION.md)."""

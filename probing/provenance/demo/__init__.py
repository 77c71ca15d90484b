"""The makers of the demo corpus: texts, voices, vocoders, channels, attribution."""

"""What computes: audio, corpora, backbones, extraction, probes, metrics, sweep."""

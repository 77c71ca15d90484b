"""Self-supervised pretraining of the embedded WavLM, in one resumable command."""

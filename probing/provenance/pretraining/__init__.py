"""Self-supervised pretraining of the bundled WavLM: masked prediction of units, in one resumable
command.
"""

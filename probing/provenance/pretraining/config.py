"""The recipe of a pretraining run; it travels whole into every checkpoint and the model card."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a run computes.

    Attributes:
        start: SHA-256 of the weights the run begins with; empty if they are drawn by the seed.
        seed: of weights, clusters, crops, masks and mixtures.
        units: kinds of units to predict, each by a head of its own; their losses are summed.
        n_clusters: units of each kind.
        dropout: share of the values set to 0 at the places where WavLM drops out, but for the
            attention weights.
        balance: how far speakers with much speech are held back, 0 (not at all: crops are drawn by
            duration) to 1 (all speakers alike).
        batch, n_frames: crops per step and their length (100 frames are 2 s).
        n_spans, span: masked spans per crop and their length in frames; they may overlap.
        mix_speech, mix_noise: probability of overlapping a crop with another utterance, or with
            noise.
        unmasked_weight: weight of the loss at frames that are not masked.
        front_end_steps: first steps, in which only the convolutional front end learns, to say the
            log-mel bands of its own frame; without them the units are learned from the waveform
            only after hundreds of steps on a plateau.
        learning_rate, weight_decay, warm_up, decay_share: AdamW; in each of the two stages the rate
            rises over `warm_up` steps, holds, and falls linearly to 0 over the last `decay_share`
            of the stage; twice as high in the first.
        clip_norm: the gradient is scaled down to this norm.
    """

    seed: int = 0
    units: tuple[str, ...] = ("mfcc", "whisper")
    n_clusters: int = 200
    dropout: float = 0.1
    balance: float = 0.25
    batch: int = 16
    n_frames: int = 100
    n_spans: int = 8
    span: int = 10
    mix_speech: float = 0.2
    mix_noise: float = 0.1
    unmasked_weight: float = 0.5
    front_end_steps: int = 600
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warm_up: int = 100
    decay_share: float = 0.3
    clip_norm: float = 1.0
    start: str = ""

    def in_front_end(self, step: int) -> bool:
        """Say whether a step teaches the front end only."""
        return step < self.front_end_steps

    def rate(self, step: int, steps: int) -> float:
        """Give the learning rate of step `step` (from 0) of `steps`."""
        peak = self.learning_rate
        if self.in_front_end(step):
            peak = 2 * peak
            steps = self.front_end_steps
        else:
            step = step - self.front_end_steps
            steps = steps - self.front_end_steps
        rising = (step + 1) / max(1, self.warm_up)
        falling = (steps - step) / max(1.0, self.decay_share * steps)
        return peak * min(1.0, rising, falling)

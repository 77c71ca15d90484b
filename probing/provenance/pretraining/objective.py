"""The objective: say, for every masked frame, which unit it is."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from probing.audio.mel import N_BANDS, mel_bands

from .batches import Batch

# of log-mel bands of speech normalised to variance 1, over bands and clips
MEL_MEAN = 1.2
MEL_SPREAD = 3.8


class Objective(nn.Module):
    """One linear head per kind of units on the last hidden state; not exported."""

    def __init__(self, dim: int, n_clusters: int, n_kinds: int, unmasked_weight: float) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(dim, n_clusters) for _ in range(n_kinds))
        self.mel = nn.Linear(dim, N_BANDS)
        self.unmasked_weight = unmasked_weight

    def front_end_loss(self, features: Tensor, waveforms: Tensor) -> Tensor:
        """Squared error of log-mel bands read off projected features (batch, frames, dim).

        The bands are brought to about variance 1, so that about 1 is the loss of knowing nothing.
        """
        bands = np.stack([mel_bands(waveform) for waveform in waveforms.cpu().numpy()])
        target = torch.from_numpy(bands).to(features.device)
        target = (target - MEL_MEAN) / MEL_SPREAD
        return functional.mse_loss(self.mel(features).float(), target)

    def forward(self, states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Compute the loss and what it is made of.

        Args:
            states: (batch, frames, dim), the final hidden state.
            batch: targets and mask.

        Returns:
            The loss, and (kinds, 2): cross-entropy in nats and accuracy of each kind at the masked
            frames.
        """
        loss = states.new_zeros((), dtype=torch.float32)
        figures = []
        masked = batch.mask.reshape(-1)
        for head, targets in zip(self.heads, batch.targets, strict=True):
            logits = head(states).float().flatten(0, 1)
            losses = functional.cross_entropy(logits, targets.reshape(-1), reduction="none")
            at_masked = losses[masked].mean()
            loss = loss + at_masked + self.unmasked_weight * losses[~masked].mean()
            right = logits.detach()[masked].argmax(-1) == targets.reshape(-1)[masked]
            figures.append(torch.stack([at_masked.detach(), right.float().mean()]))
        return loss, torch.stack(figures)

"""What the layers learned, on held-out speakers, against random weights."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import normalized_mutual_info_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from probing.audio.mel import mel_bands
from probing.progress import progress_line

from .batches import Batches
from .forward import half_precision, hidden_states
from .objective import Objective
from .recordings import Recordings
from .units import Units

CLIPS_PER_SPEAKER = 5  # a speaker with fewer clips is not used to tell speakers apart
FRAMES_PER_CLIP = 200
SPEAKER_FRAMES = 5_000
CLUSTERED_FRAMES = 6_000
N_CLUSTERS = 100
Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Targets:
    """What the frames drawn from held-out clips are judged by.

    Attributes:
        mel: (n, 40).
        units: one (n,) per kind.
        clip_of: (n,).
        speaker: (clips,).
    """

    mel: Matrix
    units: list[NDArray[np.uint16]]
    clip_of: NDArray[np.int64]
    speaker: NDArray[np.object_]


def compare(
    models: dict[str, Any],
    recordings: Recordings,
    units: Sequence[Units],
    seed: int,
    device: torch.device,
) -> pd.DataFrame:
    """Measure every layer of some models on the held-out speakers.

    Measures: `mel_r2`, variance of 40 log-mel bands explained by a ridge regression from one frame
    of the layer, speakers of the test half not in the fitted half; `speaker_accuracy`, accuracy of
    a linear probe that names the speaker from one frame, five folds that share no clip;
    `nmi_<kind>` and `purity_<kind>`, agreement of a k-means of the layer's frames with the units.

    Args:
        models: transformers WavLMModels by name.
        recordings: the clips.
        units: of every kind.
        seed: of the frames drawn and of k-means.
        device: where the models run.

    Returns:
        One row per (model, measure, layer): value, chance.
    """
    targets, drawn = _targets(recordings, units, seed)
    found = []
    for name, model in models.items():
        layers = _layers(model, recordings, drawn, device)
        with progress_line(f"measuring {name}", len(layers), "layers") as line:
            for layer, frames in enumerate(layers):
                for measure, value, chance in _measures(
                    frames, targets, [kind.kind for kind in units], seed
                ):
                    found.append((name, measure, layer, value, chance))
                line.advance(1)
    return pd.DataFrame(found, columns=["model", "measure", "layer", "value", "chance"])


def head_accuracy(
    model: Any,
    batches: Batches,
    heldout: Batches,
    device: torch.device,
    steps: int = 300,
    n_heldout: int = 20,
) -> list[float]:
    """Accuracy at masked frames of held-out speakers, of new heads on a frozen model.

    It asks of any weights, random ones too, how much of a masked frame can be read off its
    surroundings.
    """
    recipe = batches.recipe
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)
        heads = Objective(model.config.hidden_size, recipe.n_clusters, len(recipe.units), 0.0).to(
            device
        )
    optimizer = torch.optim.AdamW(heads.parameters(), lr=3e-3)

    def last_state(batch: Any) -> torch.Tensor:
        with torch.no_grad(), half_precision(device):
            return hidden_states(model, batch.waveforms, batch.mask)[-1].float()

    with progress_line("new heads", steps, "steps") as line:
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = 3e-3 * (1 - step / steps)
            batch = batches.at(step).to(device)
            heads(last_state(batch), batch)[0].backward()
            optimizer.step()
            optimizer.zero_grad()
            line.advance(1)
    with torch.no_grad():
        drawn = [heldout.at(step).to(device) for step in range(n_heldout)]
        figures = torch.stack([heads(last_state(batch), batch)[1] for batch in drawn]).mean(0)
    return [float(accuracy) for accuracy in figures[:, 1]]


def _targets(
    recordings: Recordings, units: Sequence[Units], seed: int
) -> tuple[Targets, list[tuple[int, Any]]]:
    generator = np.random.default_rng(seed)
    drawn = []
    mel = []
    labels = []
    clip_of = []
    for i, row in enumerate(recordings.rows("heldout")):
        bands = mel_bands(recordings.clip(int(row)))
        frames = np.sort(generator.permutation(len(bands))[:FRAMES_PER_CLIP])
        drawn.append((int(row), frames))
        mel.append(bands[frames])
        labels.append([kind.clip(int(row))[frames] for kind in units])
        clip_of.append(np.full(len(frames), i))
    speaker = recordings.table["speaker"].to_numpy()[[row for row, _ in drawn]]
    by_kind = [np.concatenate(parts) for parts in zip(*labels, strict=True)]
    return Targets(np.concatenate(mel), by_kind, np.concatenate(clip_of), speaker), drawn


@torch.inference_mode()
def _layers(
    model: Any, recordings: Recordings, drawn: list[tuple[int, Any]], device: torch.device
) -> list[Matrix]:
    """Compute the hidden states (n, dim) of the frames drawn, one matrix per layer."""
    frames = []
    with progress_line("hidden states", len(drawn), "clips") as line:
        for row, wanted in drawn:
            waveform = torch.from_numpy(recordings.clip(row))[None].to(device)
            # raw outputs of the blocks
            states = torch.stack(hidden_states(model, waveform)[:-1])[:, 0]
            frames.append(states[:, wanted].cpu().numpy())
            line.advance(1)
    return list(np.concatenate(frames, axis=1))


def _measures(
    frames: Matrix, targets: Targets, kinds: list[str], seed: int
) -> list[tuple[str, float, float]]:
    found = [("mel_r2", _mel_r2(frames, targets), 0.0)]
    names, counts = np.unique(targets.speaker.astype(str), return_counts=True)
    several = names[counts >= CLIPS_PER_SPEAKER]
    if len(several) > 1:
        found.append(
            (
                "speaker_accuracy",
                _speaker_accuracy(frames, targets, several, seed),
                1 / len(several),
            )
        )
    drawn = np.random.default_rng(seed).permutation(len(frames))[:CLUSTERED_FRAMES]
    scaled = StandardScaler().fit_transform(frames[drawn])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on threads and memory of k-means under MKL
        kmeans = MiniBatchKMeans(
            N_CLUSTERS, random_state=seed, batch_size=2048, n_init=1, max_iter=30
        )
        clusters = kmeans.fit_predict(scaled)
    shuffled = np.random.default_rng(seed).permutation(clusters)
    for kind, every_label in zip(kinds, targets.units, strict=True):
        labels = every_label[drawn]
        found.append(
            (
                f"nmi_{kind}",
                *(normalized_mutual_info_score(labels, c) for c in (clusters, shuffled)),
            )
        )
        found.append((f"purity_{kind}", purity(labels, clusters), purity(labels, shuffled)))
    return found


def _speaker_accuracy(
    frames: Matrix, targets: Targets, speakers: NDArray[np.str_], seed: int
) -> float:
    """Name the speaker from one frame: of whole clips, random weights do it too."""
    of_frame = targets.speaker.astype(str)[targets.clip_of]
    chosen = np.flatnonzero(np.isin(of_frame, speakers))
    chosen = np.random.default_rng(seed).permutation(chosen)[:SPEAKER_FRAMES]
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    folds = StratifiedGroupKFold(CLIPS_PER_SPEAKER, shuffle=True, random_state=seed)
    x = frames[chosen]
    y = of_frame[chosen]
    groups = targets.clip_of[chosen]
    return float(cross_val_score(probe, x, y, groups=groups, cv=folds).mean())


def purity(labels: NDArray[np.uint16], clusters: NDArray[np.int64]) -> float:
    """Give the share of frames whose label is the commonest one of their cluster."""
    return float(pd.crosstab(clusters, labels).max(axis=1).sum() / len(labels))


def _mel_r2(frames: Matrix, targets: Targets) -> float:
    """Fit on the speakers at even places of the sorted names, test on the others."""
    names = np.unique(targets.speaker.astype(str))
    fitted = np.isin(targets.speaker.astype(str), names[::2])[targets.clip_of]
    ridge = make_pipeline(StandardScaler(), Ridge(alpha=10.0)).fit(
        frames[fitted], targets.mel[fitted]
    )
    return float(ridge.score(frames[~fitted], targets.mel[~fitted]))

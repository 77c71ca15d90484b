"""Whether hidden states are made as those that a head was trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from probing.serving.heads import ServingError

CHOSEN = {
    "crop": "cropping",
    "backbone_family": "family of the backbone",
    "backbone_architecture": "architecture of the backbone",
    "backbone_normalization": "normalisation of the waveform",
    "pooling": "pooling",
    "backbone_layers": "numbering of layers",
    "backbone_frames": "valid frames",
}
ROUNDING = {
    "backbone_precision": "precision",
    "decoder": "decoder",
    "resampler": "resampler",
    "tiers": "types on disk",
    "torch": "torch",
    "transformers": "transformers",
}


def check_matching(found: Mapping[str, Any], trained_on: Mapping[str, Any], where: str, head_of: str) -> list[str]:
    """Refuse hidden states that are made another way than those a head was trained on.

    Args:
        found: fingerprint of the states.
        trained_on: fingerprint of the cache that the head was trained on.
        where: whose states they are, for messages.
        head_of: whose head it is, for messages.

    A fingerprint of an earlier version may lack entries of the architecture; those count where both have them.

    Returns:
        Differences that change no more than rounding, such as versions, each as a line for people.

    Raises:
        ServingError: cropping, architecture, normalisation, pooling or layers differ; both values are named.
    """
    found, trained_on = _architectures_shared(found, trained_on)
    differing = [key for key in (*CHOSEN, *ROUNDING) if found.get(key) != trained_on.get(key)]
    refused = [f"{CHOSEN[key]}: {found.get(key)}, not {trained_on.get(key)}" for key in differing if key in CHOSEN]
    if refused:
        raise ServingError(
            f"{where}: made another way than what the head of {head_of} was trained on ({'; '.join(refused)}). Extract "
            "it with the options of that cache (probe cache info), or train a head on it: probe sweep"
        )
    return [f"{ROUNDING[key]} of {where}: {found.get(key)}; of {head_of}: {trained_on.get(key)}" for key in differing]


def _architectures_shared(
    found: Mapping[str, Any], trained_on: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Two fingerprints, their architectures cut down to the entries in which they differ, of those both have."""
    name = "backbone_architecture"
    try:
        one, two = (json.loads(str(fingerprint[name])) for fingerprint in (found, trained_on))
        differing = sorted(key for key in one.keys() & two.keys() if one[key] != two[key])
    except (KeyError, ValueError, AttributeError):
        return found, trained_on
    shown = (", ".join(f"{key} {values[key]}" for key in differing) for values in (one, two))
    return {**found, name: next(shown)}, {**trained_on, name: next(shown)}

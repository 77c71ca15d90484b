"""Whether hidden states are made as those that a head was trained on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cache.fingerprint import differences
from probing.serving.candidates import ServingError

if TYPE_CHECKING:
    from cache import Cache

# What a person calls the entries of a fingerprint that every version wrote and that must agree.
# Entries that are named nowhere here must agree too, where both have them.
CHOSEN = {
    "crop": "cropping",
    "backbone_family": "family of the backbone",
    "backbone_architecture": "architecture of the backbone",
    "backbone_normalization": "normalisation of the waveform",
    "pooling": "pooling",
    "backbone_layers": "numbering of layers",
    "backbone_frames": "valid frames",
    "backbone_dim": "width of the layers",
}
# What may differ, and is noted.
ROUNDING = {
    "backbone_precision": "precision",
    "decoder": "decoder",
    "resampler": "resampler",
    "tiers": "types on disk",
    "torch": "torch",
    "transformers": "transformers",
}
# What may differ: how the same weights came there, which are compared by their hash, and which
# layers are kept.
ELSEWHERE = {
    "backbone_adapter_sha256",
    "backbone_base_sha256",
    "backbone_blocks",
    "backbone_n_layers",
    "backbone_normalization_source",
    "backbone_padding",
    "backbone_random",
    "backbone_revision",
    "backbone_seed",
    "backbone_stored_blocks",
    "backbone_weights_sha256",
    "layers",
}
# entries of an architecture with a value a block, of which an export has the first
BY_BLOCK = {"sliding_windows"}


def check_cache(
    cache: Cache,
    dim: int | None,
    weights: Sequence[object],
    fingerprint: Mapping[str, Any],
    where: str,
    say: Callable[[str], None] = lambda text: None,
) -> None:
    """Refuse a cache whose states are not made as those that a head was trained on.

    Args:
        cache: whose states are to be scored.
        dim: width of the layers that the head takes; None if it is not known yet.
        weights: sha256 of backbones that the head is for.
        fingerprint: of the cache that the head was trained on.
        where: what the head belongs to, for messages.
        say: called with what differs and does not matter, such as versions.

    Raises:
        ServingError: the cache is of another backbone, or cropped, normalised, pooled or computed
            another way.
    """
    found = cache.fingerprint.get("backbone_weights_sha256")
    if found not in weights or dim not in (None, cache.dim):
        wide = "" if dim is None else f", {dim} wide"
        raise ServingError(
            f"{cache.folder}: of another backbone, {cache.about.get('backbone')} "
            f"({str(found)[:12]}, {cache.dim} wide); the head of {where} is for weights "
            f"{str(weights[0])[:12]}{wide}. Give a cache of that backbone, or the audio itself"
        )
    for difference in check_matching(cache.fingerprint, fingerprint, str(cache.folder), where):
        say(f"Note: {difference}")


def check_matching(
    found: Mapping[str, Any], trained_on: Mapping[str, Any], where: str, head_of: str
) -> list[str]:
    """Refuse hidden states that are made another way than those a head was trained on.

    Whatever is in the fingerprints counts, but for weights, which the caller compares, and
    `ELSEWHERE`. A fingerprint of an earlier version may lack entries; those are noted, and count
    where both have them.

    Args:
        found: fingerprint of the states.
        trained_on: fingerprint of the cache that the head was trained on.
        where: whose states they are, for messages.
        head_of: whose head it is, for messages.

    Returns:
        Differences that change no more than rounding, such as versions, and what only one of them
        says, each as a line for people.

    Raises:
        ServingError: cropping, architecture, normalisation, pooling or layers differ; both values
            are named.
    """
    found, trained_on, unsaid = _architectures_shared(found, trained_on)
    notes = [
        f"architecture of the backbone: {name} is stated only for one of {where} and {head_of}"
        for name in unsaid
    ]
    refused = []
    for difference in differences(found, trained_on, sorted({*found, *trained_on} - ELSEWHERE)):
        name, first, second = difference.name, difference.first, difference.second
        if name in ROUNDING:
            notes.append(f"{ROUNDING[name]} of {where}: {first}; of {head_of}: {second}")
        elif name in CHOSEN or difference.in_both:
            refused.append(f"{CHOSEN.get(name, name)}: {first}, not {second}")
        else:
            notes.append(f"{difference.name} is stated only for one of {where} and {head_of}")
    if refused:
        raise ServingError(
            f"{where}: made another way than what the head of {head_of} was trained on "
            f"({'; '.join(refused)}). Extract it with the options of that cache (probe cache "
            "info), or train a head on it: probe sweep"
        )
    return notes


def _architectures_shared(
    found: Mapping[str, Any], trained_on: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Mapping[str, Any], list[str]]:
    """Two fingerprints, of whose architectures only the shared entries that differ are left.

    The third value names the entries that only one of them has.
    """
    name = "backbone_architecture"
    try:
        one, two = (json.loads(str(fingerprint[name])) for fingerprint in (found, trained_on))
        shared = one.keys() & two.keys()
        for key in BY_BLOCK & shared:
            n = min(len(one[key]), len(two[key]))
            one[key], two[key] = one[key][:n], two[key][:n]
        differing = sorted(key for key in shared if one[key] != two[key])
    except (KeyError, ValueError, AttributeError, TypeError):
        return found, trained_on, []
    shown = (", ".join(f"{key} {values[key]}" for key in differing) for values in (one, two))
    return (
        {**found, name: next(shown)},
        {**trained_on, name: next(shown)},
        sorted(one.keys() ^ two.keys()),
    )

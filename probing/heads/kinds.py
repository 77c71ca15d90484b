"""The kinds of merges and back-ends that a head is made of, by name.

No torch is needed to read them.

A head is asked for as MERGE+BACKEND. To add one, see CONTRIBUTING.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from probing.registry import PATH, NotImported, RegistryError, import_own

from .kind import BackendKind, Kind, Kinds, LayerWeights, MergeKind

__all__ = [
    "BACKENDS",
    "MERGES",
    "BackendKind",
    "Kind",
    "Kinds",
    "LayerWeights",
    "MergeKind",
    "check_head",
    "heads_help",
    "import_heads",
    "split_head",
    "weighs_layers",
]

_MERGES = "probing.heads.merges"
_BACKENDS = "probing.heads.backends"
_CHOICES = "probing.heads.choices"
_SUM = f"{_MERGES}:WeightedSum"
_ATTENTIVE = "probing.heads.attentive:AttentiveMerge"

MERGES = Kinds(
    "merge",
    f"{_MERGES}:Merge",
    MergeKind(
        "single", "layer k alone", _SUM, {"fixed": "single"}, layer_weights="fixed", linear=True
    ),
    MergeKind(
        "mean", "all layers alike", _SUM, {"fixed": "mean"}, layer_weights="fixed", linear=True
    ),
    MergeKind(
        "weighted-sum", "learned weights, as SUPERB", _SUM, layer_weights="weights", linear=True
    ),
    MergeKind(
        "weighted-sum-norm",
        "every layer normalised before",
        _SUM,
        {"normalize": True},
        layer_weights="weights",
    ),
    MergeKind(
        "sls", "a gate a layer from its mean over time", f"{_MERGES}:SLS", decays=("weight",)
    ),
    MergeKind(
        "se",
        "squeeze-excitation: gates from the mean of each layer",
        f"{_CHOICES}:SqueezeExcitation",
    ),
    MergeKind(
        "gumbel",
        "one layer, learned",
        f"{_CHOICES}:GumbelChoice",
        layer_weights="weights",
        linear=True,
    ),
    MergeKind(
        "selected",
        "weights of the four layers of the best linear probes on dev",
        f"{_CHOICES}:SelectedLayers",
        layer_weights="weights",
        linear=True,
    ),
    MergeKind(
        "weighted-sum-kv",
        "two weighted sums, for mhfa",
        f"{_CHOICES}:KeyValueSum",
        layer_weights="weights",
        linear=True,
    ),
    MergeKind(
        "attentive",
        "of the paper; large",
        _ATTENTIVE,
        {"rank": None},
        decays=("query",),
        depth_groups=0,
    ),
    # Four groups of depths save more products than the further stacks cost, and give every core
    # some.
    MergeKind(
        "attentive-compact",
        "the same, small",
        _ATTENTIVE,
        decays=("query",),
        ranked=True,
        depth_groups=4,
    ),
)

BACKENDS = Kinds(
    "back-end",
    f"{_BACKENDS}:BackEnd",
    BackendKind(
        "linear",
        "one linear layer, on frames of mean and deviation",
        f"{_BACKENDS}:Linear",
        linear=True,
    ),
    BackendKind("mlp", "one hidden layer on the mean", f"{_BACKENDS}:MLP"),
    BackendKind("lstm", "of the paper", f"{_BACKENDS}:LSTM", needs_frames=True, two_logits=True),
    BackendKind(
        "asp",
        "attentive statistics",
        f"{_BACKENDS}:AttentiveStatistics",
        needs_frames=True,
        two_logits=True,
    ),
    BackendKind(
        "mhfa",
        "multi-head attention; behind weighted-sum-kv as published",
        "probing.heads.attention:FactorisedAttention",
        needs_frames=True,
        two_logits=True,
    ),
    BackendKind(
        "sls",
        "of SLS, for 201 frames",
        "probing.heads.fixed_length:FixedLength",
        needs_frames=True,
        two_logits=True,
    ),
    BackendKind("nes2net", "Nes2Net-X", "probing.heads.nes2net:Nes2NetX", needs_frames=True),
    BackendKind(
        "conformer",
        "with class token",
        "probing.heads.conformer:Conformer",
        needs_frames=True,
        two_logits=True,
    ),
    BackendKind(
        "aasist",
        "graph attention",
        "probing.heads.aasist:AASIST",
        needs_frames=True,
        two_logits=True,
    ),
)


def split_head(head: str) -> tuple[str, str]:
    """Merge and back-end of MERGE+BACKEND.

    >>> split_head("weighted-sum+linear")
    ('weighted-sum', 'linear')
    """
    merge, _, backend = head.partition("+")
    return merge, backend


def check_head(head: str) -> BackendKind | None:
    """The kind of a head's back-end; None if that is of a module that is not imported yet.

    Raises:
        RegistryError: not MERGE+BACKEND of known kinds, or of classes of one's own.

    >>> check_head("weighted-sum+lstm").needs_frames
    True
    """
    merge, backend = split_head(head)
    if not merge or not backend:
        raise RegistryError(
            f"expected MERGE+BACKEND, one of {', '.join(MERGES)} and one of "
            f"{', '.join(BACKENDS)}, as weighted-sum+linear; or your own as module:Class"
        )
    if not _to_import(merge):
        MERGES.find(merge)
    return None if _to_import(backend) else BACKENDS.find(backend)


def _to_import(name: str) -> bool:
    return PATH.fullmatch(name) is not None and name.partition(":")[0] not in sys.modules


def not_imported(config: Mapping[str, Any]) -> tuple[str, NotImported] | None:
    """The part of a stored head whose module is not imported, as messages call it, and its refusal.

    None if there is no such part. `config` is what the file of the head says.

    >>> found = not_imported({"form": "head", "merge": "mine:NormGate", "backend": "linear"})
    >>> found[0], found[1].module
    ('merge', 'mine')
    """
    if config.get("form") != "head":
        return None
    for part, kinds in (("merge", MERGES), ("backend", BACKENDS)):
        name = str(config[part])
        own = config.get("own", {}).get(part, name)
        if name not in kinds and _to_import(own):
            return kinds.noun, NotImported(own)
    return None


def import_heads(heads: Iterable[str]) -> None:
    """Import the modules of heads whose merge or back-end was given as `module:Class`."""
    for part in (part for head in heads for part in split_head(head) if PATH.fullmatch(part)):
        import_own(part.partition(":")[0])


def weighs_layers(head: str) -> bool:
    """Whether a head has weights or gates of its own for layers.

    A head of a module that is not imported is taken to have some.

    >>> weighs_layers("attentive-compact+linear"), weighs_layers("mean+linear")
    (True, False)
    """
    kind = MERGES.get(split_head(head)[0])
    return kind is None or kind.layer_weights != "fixed"


def heads_help() -> str:
    """What the command line says of heads."""
    frames = ", ".join(name for name, kind in BACKENDS.items() if kind.needs_frames)
    return (
        "Heads trained on the first k layers for every k, as MERGE+BACKEND with commas between; "
        f"'none' for linear probes only. MERGE: {MERGES.listed()}. BACKEND: {BACKENDS.listed()}; "
        f"{frames} need the frames tier. Your own: module:Class for either, as "
        "my_module:MyMerge+linear."
    )

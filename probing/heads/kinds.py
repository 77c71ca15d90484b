"""The kinds of merges and back-ends that a head is made of, by name; no torch is needed to read
them.

A head is asked for as MERGE+BACKEND. To add one, see CONTRIBUTING.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Literal, TypeVar

from probing.options import nearest
from probing.registry import PATH, Registry, RegistryError, import_own, imported

LayerWeights = Literal["fixed", "weights", "gates"]


@dataclass(frozen=True)
class Kind:
    """What merges and back-ends have in common.

    name: what it is asked for by.
    help: what it is, in one line.
    made_by: its class, or where that is, as `module:Class`.
    options: what the class is called with beside sizes.
    decays: its parameters that are a vector a model and that weight decay acts on; matrices decay
        anyway, biases and layer weights do not.
    """

    name: str
    help: str = ""
    made_by: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    decays: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Where its class is, as `module:Class`."""
        return (
            self.made_by
            if isinstance(self.made_by, str)
            else f"{self.made_by.__module__}:{self.made_by.__name__}"
        )

    def load(self) -> Any:
        """Its class."""
        if not isinstance(self.made_by, str):
            return self.made_by
        module, _, name = self.made_by.partition(":")
        return getattr(import_module(module), name)


@dataclass(frozen=True)
class MergeKind(Kind):
    """How a head makes one vector a frame out of many layers; see `merges.Merge`.

    layer_weights: `gates` for each utterance; learned `weights`, the same for all; or `fixed`,
    which rank no layers. linear: the merged vector is a sum of layers as they are, each times its
    weight. ranked: the class takes the bottleneck `rank` of a stack. depth_groups: models of one
    stack are computed to the depth of its deepest; so many groups of depths have stacks of
        their own. 0: every depth has, as its parameters have a size of their own.
    """

    layer_weights: LayerWeights = "gates"
    linear: bool = False
    ranked: bool = False
    depth_groups: int = 1

    def group(self, depth: int, n_layers: int) -> int:
        """The greatest depth of the group that a depth belongs to."""
        step = -(-n_layers // self.depth_groups) if self.depth_groups else 1
        return min(n_layers, -(-depth // step) * step)


@dataclass(frozen=True)
class BackendKind(Kind):
    """How a head makes a score out of merged frames; see `backends.BackEnd`.

    needs_frames: it makes no sense on one vector an utterance, as the pooled tier has it.
    two_logits: it gives two, of spoof and bona fide.
    linear: the score of one vector is linear in it.
    """

    needs_frames: bool = False
    two_logits: bool = False
    linear: bool = False


C = TypeVar("C", bound=type)
K = TypeVar("K", bound=Kind)


class Kinds(Registry[K]):
    """Kinds by name.

    Args:
        noun: see `Registry`.
        base: what classes of one's own inherit from, as `module:Class`.
        entries: see `Registry`.
    """

    def __init__(self, noun: str, base: str, *entries: K) -> None:
        super().__init__(noun, *entries)
        self.base = base
        self.kind: type[K] = type(entries[0])

    def own(self, kind: K) -> Callable[[C], C]:
        """Register a class of one's own: `@MERGES.own(MergeKind("mine", "what it does"))` above the
        class.
        """

        def registered(made_by: C) -> C:
            self._check(made_by, kind.name)
            self.register(replace(kind, help=kind.help or _first_line(made_by), made_by=made_by))
            return made_by

        return registered

    def find(self, name: str) -> K:
        """The kind of a name, or of a class `module:Class` of a module that has been imported.

        Raises:
            RegistryError: there is none, or its module has not been imported.
        """
        if name in self:
            return self[name]
        if not PATH.fullmatch(name):
            hint = nearest(name, self)
            names = ", ".join(self)
            raise RegistryError(
                f"{self.noun} {name!r}: expected one of {names}, or your own as module:Class{hint}"
            )
        made_by = imported(name)
        self._check(made_by, name)
        known = next((kind for kind in self.values() if kind.made_by is made_by), None)
        return (
            replace(known, name=name) if known else self.kind(name, _first_line(made_by), made_by)
        )

    def _check(self, made_by: Any, name: str) -> None:
        module, _, base = self.base.partition(":")
        if not isinstance(made_by, type) or not issubclass(
            made_by, getattr(import_module(module), base)
        ):
            raise RegistryError(
                f"{self.noun} {name}: {made_by!r} is no class that inherits from {module}.{base}"
            )


def _first_line(made_by: type) -> str:
    return (made_by.__doc__ or made_by.__name__).strip().splitlines()[0]


_MERGES = "probing.heads.merges"
_BACKENDS = "probing.heads.backends"
_CHOICES = "probing.heads.choices"
_SUM = f"{_MERGES}:WeightedSum"
_ATTENTIVE = f"{_MERGES}:AttentiveMerge"

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


def import_heads(heads: Iterable[str]) -> None:
    """Import the modules of those heads whose merge or back-end the user of the command line gave
    as `module:Class`.
    """
    for part in (part for head in heads for part in split_head(head) if PATH.fullmatch(part)):
        import_own(part.partition(":")[0])


def weighs_layers(head: str) -> bool:
    """Whether a head has weights or gates of its own for layers; one of a module that is not
    imported is taken to.
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

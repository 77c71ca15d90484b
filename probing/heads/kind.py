"""The kind of a merge or back-end: what is declared of it, and the registry of such kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Literal, TypeVar

from probing.options import nearest
from probing.registry import PATH, Registry, RegistryError, imported

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
        which rank no layers.
    linear: the merged vector is a sum of layers as they are, each times its weight.
    ranked: the class takes the bottleneck `rank` of a stack.
    depth_groups: models of one stack are computed to the depth of its deepest; so many groups of
        depths have stacks of their own. 0: every depth has, as its parameters have a size of their
        own.
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
        """Register a class of one's own: `@MERGES.own(MergeKind("mine", "what it does"))`."""

        def registered(made_by: C) -> C:
            self._check(made_by, kind.name)
            self.register(replace(kind, help=kind.help or _summary(made_by), made_by=made_by))
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
        return replace(known, name=name) if known else self.kind(name, _summary(made_by), made_by)

    def _check(self, made_by: Any, name: str) -> None:
        module, _, base = self.base.partition(":")
        if not isinstance(made_by, type) or not issubclass(
            made_by, getattr(import_module(module), base)
        ):
            raise RegistryError(
                f"{self.noun} {name}: {made_by!r} is no class that inherits from {module}.{base}"
            )


def _summary(made_by: type) -> str:
    """The first paragraph of a class's docstring on one line, or its name if it has none."""
    first = (made_by.__doc__ or made_by.__name__).strip().split("\n\n")[0]
    return " ".join(first.split())

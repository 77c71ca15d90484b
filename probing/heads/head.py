"""A trained head: one model, stored with its configuration, applied to layers of its width.

It is stored as safetensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from cache.bounds import check_regular
from cache.errors import ProbeError
from cache.manifest import read_json
from probing.sealing import check_file

from .kinds import BACKENDS, MERGES, not_imported
from .merges import RANK
from .stack import HeadStack, Model

MOST_CLASSES = 1_000_000
UNIT = "unit"


class HeadUnusable(ProbeError, ValueError):
    """A head that cannot be read, or not be applied to what it was given."""


class Head:
    """One trained head.

    Args:
        stack: of one model, over layers 1..depth.
        n_frames: frames tier: it scores the first so many frames; None all.
        about: what it was trained on, for people.
        prior: of bona fide, that its log odds are at; None in heads of an earlier version, where it
            is that which the weights of the classes made in training.
        unit: of a number, the mean and deviation that it was trained in units of.
        inside: whether it reads units inside utterances, one vector each.

    Attributes:
        layers: numbers of the layers it needs, 1..depth.
        tier: `pooled` or `frames` of utterances; `unit` of vectors of frames or segments.
    """

    def __init__(
        self,
        stack: HeadStack,
        n_frames: int | None = None,
        about: Mapping[str, Any] | None = None,
        prior: float | None = 0.5,
        unit: tuple[float, float] = (0.0, 1.0),
        inside: bool = False,
    ) -> None:
        assert len(stack.models) == 1
        self.stack = stack.eval()
        self.n_frames = n_frames
        self.about = dict(about or {})
        self.prior = prior
        self.unit = unit
        self.model = stack.models[0]
        self.layers = list(range(1, stack.n_layers + 1))
        self.tier = UNIT if inside else "frames" if stack.frames else "pooled"
        self.dim = stack.dim // 2 if self.tier == "pooled" else stack.dim

    @property
    def name(self) -> str:
        """`MERGE+BACKEND-depth-KK`."""
        return f"{self.model.head}-depth-{self.model.depth:02d}"

    @property
    def note(self) -> str:
        """A sentence if its scores differ from those that its run stored; else empty."""
        if (
            self.prior is not None
            or self.stack.outputs is not None
            or not self.stack.backend_kind.two_logits
        ):
            return ""
        return (
            f"{self.name} was trained by an earlier version, which scored by the logit of bona "
            "fide: it scores by log odds here, and the scores and figures of its run differ. "
            "Sweep again to have both alike"
        )

    def score(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Score utterances: log odds of bona fide at even prior, which is the log-likelihood ratio;
        see `prior`.

        Args:
            x: layers 1..depth; pooled (depth, N, 2, D), the frames of one utterance (depth, T, D),
                or units (depth, N, D).

        Returns:
            (N,), or (1,) for frames; of M classes their logits (N, M), of a number that number.

        Raises:
            HeadUnusable: other layers, tier or width than it was trained on.
        """
        tail = {"pooled": ("N", 2, self.dim), "frames": ("T", self.dim), UNIT: ("N", self.dim)}[
            self.tier
        ]
        if x.shape[0] != len(self.layers) or x.ndim != len(tail) + 1 or x.shape[2:] != tail[1:]:
            raise HeadUnusable(
                f"{self.name}: layers of shape {x.shape}; expected ({len(self.layers)}, "
                f"{', '.join(map(str, tail))}), layers 1 to "
                f"{len(self.layers)} of the {self.tier} tier."
            )
        values = torch.from_numpy(np.asarray(x, np.float32))
        if self.tier == "frames":
            return self._score(values[None, :, : self.n_frames])
        blocks = values.flatten(2).transpose(0, 1)[:, :, None].split(1024)
        return np.concatenate([self._score(block) for block in blocks])

    def _score(self, x: torch.Tensor) -> NDArray[np.float64]:
        return self.read(self.stack.score(x)[0])

    def read(self, scores: torch.Tensor) -> NDArray[np.float64]:
        """Scores of its stack as its own: numbers in the unit of the target."""
        level, step = self.unit
        return (
            scores.double().numpy() * step + level
            if self.stack.outputs == 1
            else scores.double().numpy()
        )

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Its parameters and standardisation by name."""
        return {
            name: value.detach().cpu().numpy() for name, value in self.stack.state_dict().items()
        }

    def config(self) -> dict[str, Any]:
        """Everything but the tensors."""
        return {
            "form": "head",
            **asdict(self.model),
            "tier": self.tier,
            "dim": self.dim,
            "layers": self.layers,
            "n_frames": self.n_frames,
            "rank": self.stack.rank,
            "parameters": self.stack.n_parameters(),
            "score": "log odds of "
            f"{'the positive class' if 'target' in self.about else 'bona fide'}",
            "prior": self.prior,
            "about": self.about,
            **({} if self.stack.outputs is None else self._of_target()),
            **({"own": own} if (own := self._own()) else {}),
        }

    def _of_target(self) -> dict[str, Any]:
        """What the configuration says of a target that is not of two classes."""
        score = "the number" if self.stack.outputs == 1 else "logits of the classes at equal priors"
        return {
            "outputs": self.stack.outputs,
            "unit": list(self.unit),
            "score": score,
            "prior": None,
        }

    def _own(self) -> dict[str, str]:
        """Where the classes of a merge and a back-end are that are not of this package."""
        own = {}
        if MERGES.is_own(self.stack.merge_kind):
            own["merge"] = self.stack.merge_kind.path
        if BACKENDS.is_own(self.stack.backend_kind):
            own["backend"] = self.stack.backend_kind.path
        return own


UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    SafetensorError,
)


def load_head(path: Path) -> Head:
    """Load a head from `NAME.safetensors` with `NAME.json` beside it.

    Raises:
        HeadUnusable: files missing, or not those of a head.
        Damaged: they are of a run or an export, and not as they were written.

    >>> load_head(Path("results/demo.run/heads/mean+linear-depth-04.safetensors")).layers
    [1, 2, 3, 4]
    """
    try:
        check_file(path)
        check_file(path.with_suffix(".json"))
        config = read_json(path.with_suffix(".json"))
        check_regular(path)
        _check_own(path, config)
        return head_of(config, load_file(path))
    except HeadUnusable:
        raise
    except UNREADABLE as error:
        raise HeadUnusable(
            f"{path}: no head that can be read ({error}). Train one: "
            "probe sweep CACHE, then look into RUN/heads"
        ) from None


def head_of(config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> Head:
    """Make a head of its configuration and tensors.

    Raises:
        any of UNREADABLE: they are not those of a head.
    """
    if config.get("form") != "head":
        raise ValueError("its configuration is not that of a head")
    fields = {name: config[name] for name in Model.__dataclass_fields__}
    width = config["dim"] * (2 if config["tier"] == "pooled" else 1)
    depth = int(config["depth"])
    rank = int(config["rank"])
    # before any are made
    if tensors["mean"].shape != (depth, width) or not 0 < rank <= max(RANK, width):
        raise ValueError(
            f"its tensors are not of {depth} layers of {width} values, or not of rank {rank}"
        )
    outputs = config.get("outputs")
    if outputs is not None and not 1 <= int(outputs) <= MOST_CLASSES:
        raise ValueError(f"its outputs are {outputs}")
    stack = HeadStack(
        [Model(**fields)],
        depth,
        dim=width,
        frames=config["tier"] == "frames",
        rank=rank,
        outputs=outputs,
    )
    stack.load_state_dict(tensors)
    prior = config.get("prior")
    level, step = config.get("unit", (0.0, 1.0))
    unit = float(level), float(step)
    inside = config["tier"] == UNIT
    return Head(
        stack,
        config["n_frames"],
        about=config["about"],
        prior=None if prior is None else float(prior),
        unit=unit,
        inside=inside,
    )


def _check_own(path: Path, config: Mapping[str, Any]) -> None:
    """Refuse a head of a user's kind whose module is not imported, and say what to type."""
    if (found := not_imported(config)) is not None:
        part, missing = found
        raise HeadUnusable(f"{path}: its {part} is not of this package. {missing}") from missing

"""What of a backbone learns: parameters by group, each group with a rate of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cache.errors import OptionError
from probing.options import whole_numbers

if TYPE_CHECKING:  # at run time it costs torch
    from torch import nn

    from probing.backbones import Trainable

EXPECTED = "expected head, all, last:N, blocks:LIST (as blocks:2:5,8) or lora:R"
FRONT_END = "front-end"
# feature projection, positions and what else a frame passes before the first block
BEFORE = "before-blocks"
MOST = 10_000


@dataclass(frozen=True)
class Trained:
    """What learns beside the head.

    what: `head`, `all`, `last`, `blocks` or `lora`.
    number: N or R.
    blocks: of a list, their numbers from 1.

    >>> Trained.parse("blocks:2:3,6").blocks
    (2, 3, 6)
    """

    what: str
    number: int = 0
    blocks: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Trained:
        """What a text names.

        Raises:
            OptionError: another form.
        """
        what, colon, rest = text.partition(":")
        if what in ("head", "all") and not colon:
            return cls(what)
        try:
            if what == "blocks":
                blocks = tuple(sorted(whole_numbers(rest)))
                if blocks and blocks[0] >= 1:
                    return cls(what, 0, blocks)
            elif what in ("last", "lora") and 1 <= int(rest) <= MOST:
                return cls(what, int(rest))
        except (ValueError, IndexError):
            pass
        raise OptionError("train", text, EXPECTED)

    def blocks_of(self, n_blocks: int) -> tuple[int, ...]:
        """Numbers of the blocks that learn, of a backbone of so many.

        Raises:
            OptionError: it has no such blocks.
        """
        if self.what == "last" and self.number > n_blocks:
            raise OptionError(
                "train",
                f"last:{self.number}",
                f"the model has {n_blocks} blocks here. Expected no more",
            )
        if self.blocks and self.blocks[-1] > n_blocks:
            raise OptionError(
                "train", f"blocks:{self.blocks[-1]}", f"the model has blocks 1:{n_blocks} here"
            )
        every = tuple(range(1, n_blocks + 1))
        return {"head": (), "last": every[n_blocks - self.number :], "blocks": self.blocks}.get(
            self.what, every
        )


@dataclass(frozen=True)
class Group:
    """Parameters that have a rate in common.

    name: `front-end`, `before-blocks`, `block-07`.
    below: blocks above it, of which each multiplies the rate by the decay of layers.
    parameters: by their names in the backbone.
    """

    name: str
    below: int
    parameters: dict[str, nn.Parameter]


def groups_of(backbone: Trainable, trained: Trained, front_end: bool) -> list[Group]:
    """The groups of a backbone's parameters that learn, the deepest first.

    With adapters, these alone learn.

    Args:
        backbone: whose parameters all have names.
        trained: what of it learns.
        front_end: whether its convolutional front end does too.

    Raises:
        OptionError: it has no such blocks, or no convolutional front end of its own.
    """
    n_blocks = len(backbone.blocks)
    chosen = trained.blocks_of(n_blocks)
    of_block = {
        id(parameter): k
        for k, block in enumerate(backbone.blocks, 1)
        for parameter in block.parameters()
    }
    in_front = {id(parameter) for parameter in backbone.front_end.parameters()}
    if front_end and not in_front:
        raise OptionError(
            "front_end",
            True,
            "this model has no convolutional front end with weights. Leave it out",
        )
    found: dict[str, Group] = {}
    for name, parameter in backbone.named_parameters():
        block = of_block.get(id(parameter))
        if trained.what == "lora":
            learns = "lora_" in name
        elif block is not None:
            learns = block in chosen
        else:
            learns = trained.what == "all" and id(parameter) not in in_front
        if id(parameter) in in_front:
            learns = front_end
        if not learns:
            continue
        called = (
            FRONT_END
            if id(parameter) in in_front
            else BEFORE
            if block is None
            else f"block-{block:02d}"
        )
        group = found.setdefault(called, Group(called, n_blocks - (block or 0), {}))
        group.parameters[name] = parameter
    return sorted(found.values(), key=lambda group: (group.below, group.name != BEFORE))

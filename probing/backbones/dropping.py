"""Which blocks of a backbone to leave out.

The strategies are those of Sajjad, Dalvi, Durrani & Nakov (On the effect of dropping layers of
pre-trained transformer models, Computer Speech & Language 77, 2023). Keeping the first k blocks is
`top`; every other strategy changes what the later blocks receive, so that its layers are not those
of a cache of the whole model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cache.errors import argument
from cache.manifest import describe_layers

from .errors import BlocksUnknown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from cache import Cache

STRATEGIES = ("top", "bottom", "alternate", "symmetric", "contribution")
FORM = (
    "top:K, bottom:K, alternate:K, symmetric:K, contribution:K:CACHE to drop K blocks, or "
    "blocks:1,2,5 to keep these"
)


def parsed(spec: str) -> tuple[str, list[int], str]:
    """Strategy, numbers and folder of a drop specification; BlocksUnknown for another form.

    >>> parsed("top:3")
    ('top', [3], '')
    """
    strategy, _, rest = spec.partition(":")
    number, _, folder = rest.partition(":")
    try:
        numbers = sorted(
            {int(text) for text in (rest.split(",") if strategy == "blocks" else [number])}
        )
    except ValueError:
        raise BlocksUnknown(f"{argument('drop', spec)}: expected {FORM}.") from None
    if strategy != "blocks" and (
        strategy not in STRATEGIES or bool(folder) != (strategy == "contribution")
    ):
        raise BlocksUnknown(f"{argument('drop', spec)}: expected {FORM}.")
    return strategy, numbers, folder


def kept_blocks(spec: str, n_blocks: int) -> tuple[int, ...]:
    """Say which blocks a drop specification keeps.

    Args:
        spec: `top:K` drops the last K blocks, `bottom:K` the first K, `alternate:K` every other one
            from the last down, `symmetric:K` the K in the middle (of two middles the upper),
            `contribution:K:CACHE` the K that change their input least, as measured on a cache of
            the whole model; `blocks:1,2,5` keeps what it lists.
        n_blocks: blocks of the whole model.

    Returns:
        Numbers of the kept blocks, from 1, ascending; at least one.

    Raises:
        BlocksUnknown: another form, or more blocks than there are.

    >>> kept_blocks("top:2", 6), kept_blocks("alternate:3", 6), kept_blocks("blocks:1,5", 6)
    ((1, 2, 3, 4), (1, 3, 5), (1, 5))
    """
    strategy, numbers, folder = parsed(spec)
    every = range(1, n_blocks + 1)
    if strategy == "blocks":
        if not set(numbers) <= set(every):
            raise BlocksUnknown(
                f"{argument('drop', spec)}: the model has blocks 1 "
                f"to {n_blocks}. Name some of those."
            )
        return tuple(numbers)
    k = numbers[0]
    most = (n_blocks + 1) // 2 if strategy == "alternate" else n_blocks
    if not 0 < k <= min(most, n_blocks - 1):
        raise BlocksUnknown(
            f"{argument('drop', spec)}: of {n_blocks} blocks, {strategy} can drop 1 to "
            f"{min(most, n_blocks - 1)}."
        )
    low = (n_blocks - k + 1) // 2
    dropped = {
        "top": lambda: set(every[-k:]),
        "bottom": lambda: set(every[:k]),
        "alternate": lambda: set(every[::-2][:k]),
        "symmetric": lambda: set(every[low : low + k]),
        "contribution": lambda: _least_changing(Path(folder), k, n_blocks),
    }[strategy]()
    return tuple(block for block in every if block not in dropped)


def block_similarity(cache: Cache) -> NDArray[np.float64]:
    """Measure how much each block leaves its input as it was.

    Returns:
        (L,), for block 1 to L: mean over utterances of the cosine between the pooled means of its
        input and its output.

    Raises:
        BlocksUnknown: the cache does not hold the layers 0 to L, all of them.

    >>> from cache import Cache
    >>> block_similarity(Cache("results/demo.cache")).shape
    (4,)
    """
    import numpy as np

    if cache.layers != list(range(len(cache.layers))) or len(cache.layers) < 2:
        raise BlocksUnknown(
            f"{cache.folder}: has layers {describe_layers(cache.layers)}; expected all from 0 "
            f"on. Extract without {argument('layers')}"
        )
    means = [cache.layer(k)[0][:, 0].astype(np.float64) for k in cache.layers]
    norms = [np.linalg.norm(mean, axis=1) for mean in means]
    return np.array(
        [
            np.mean(
                np.sum(means[k] * means[k - 1], axis=1)
                / np.maximum(norms[k] * norms[k - 1], 1e-300)
            )
            for k in range(1, len(means))
        ]
    )


def _least_changing(folder: Path, k: int, n_blocks: int) -> set[int]:
    import numpy as np

    from cache import Cache

    cache = Cache(folder)
    if cache.layers != list(range(n_blocks + 1)) or not len(cache):
        raise BlocksUnknown(
            f"{argument('drop', f'contribution:{k}:{folder}')}: that cache has layers "
            f"{cache.layers[0]} to {cache.layers[-1]} of {len(cache)} utterances; expected one "
            f"of the whole model, layers 0 to {n_blocks}. Make one: probe extract"
        )
    order = np.argsort(-block_similarity(cache), kind="stable")
    return {int(block) + 1 for block in order[:k]}


def describe_blocks(blocks: Sequence[int], n_blocks: int) -> str:
    """Name kept blocks in a few words: `first 6 of 12 blocks`, `blocks 1 2 5 of 12`."""
    if list(blocks) == list(range(1, len(blocks) + 1)):
        return f"first {len(blocks)} of {n_blocks} blocks"
    return f"blocks {' '.join(map(str, blocks))} of {n_blocks}"


def hand_over(old: nn.Module, new: nn.Module) -> None:
    """Give the new first block what only the old one has, as WavLM's position bias."""
    for path, module in old.named_modules():
        parent, _, name = path.rpartition(".")
        if path and not hasattr(new.get_submodule(parent), name):
            setattr(new.get_submodule(parent), name, module)

"""What splits are called: train, dev and eval, however a folder or a manifest spells them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "development", "val", "valid", "validation"), "dev"),
    **dict.fromkeys(("eval", "evaluation", "test", "testing"), "eval"),
}


def common_splits(column: pd.Series[str]) -> tuple[pd.Series[str], list[str]]:
    """A column of splits under their common names, and a sentence for each name that was kept.

    Case does not matter. Where two spellings would be one split, as `test` and `eval`, they are
    kept as they are: what a corpus holds apart is never mixed.

    >>> import pandas as pd
    >>> common_splits(pd.Series(["Train", "val", "test"]))[0].tolist()
    ['train', 'dev', 'eval']
    >>> common_splits(pd.Series(["train", "test", "eval"]))[0].tolist()
    ['train', 'test', 'eval']
    """
    spelled = column.map(lambda name: name.casefold() if name.casefold() in SPLITS else name)
    meant: dict[str, list[str]] = {}
    for name in sorted(spelled.unique()):
        meant.setdefault(SPLITS.get(name, name), []).append(name)
    common = {names[0]: split for split, names in meant.items() if len(names) == 1}
    notes = [
        f"the splits {' and '.join(names)} would both be "
        f"{split}; they are kept apart under these names"
        for split, names in meant.items()
        if len(names) > 1
    ]
    return spelled.map(lambda name: common.get(name, name)), notes


def split_called(name: str, found: Iterable[str]) -> str:
    """The split that a name means, which may be another word for it; else the name.

    >>> split_called("development", ["train", "dev"])
    'dev'
    """
    common = SPLITS.get(name.casefold(), name)
    return common if name not in set(found) and common in set(found) else name

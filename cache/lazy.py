"""Names of a package whose modules are imported only when they are asked for."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy(
    package: str, home: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The functions `__getattr__` and `__dir__` of a package with lazy names.

    A wrong option or a help page must not wait for PyTorch.

    Args:
        package: its name.
        home: name -> module of the package that has it.

    >>> get, names = lazy("cache", {"Cache": "reader"})
    >>> get("Cache").__name__
    'Cache'
    """

    def get(name: str) -> Any:
        if name in home:
            return getattr(import_module(f"{package}.{home[name]}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home})

    return get, names

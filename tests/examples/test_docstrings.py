"""Every example in a docstring gives what it says."""

import doctest
import importlib
import pkgutil

import pytest
from readme.readmes import READS_RESULTS

import analysis
import cache
import probing


def with_examples() -> list[str]:
    """Modules that have examples; importing those that have none would cost more than it tells."""
    found = []
    for package in (cache, probing, analysis):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            loader = module.module_finder.find_spec(module.name, None).loader
            text = loader.get_source(module.name)
            # those are in tests/readme, beside the demo
            if ">>> " in text and not READS_RESULTS.search(text):
                found.append(module.name)
    return found


@pytest.mark.parametrize("name", with_examples())
def test_examples_give_what_they_say(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted
    assert not result.failed

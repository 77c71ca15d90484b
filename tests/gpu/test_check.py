"""The check of a GPU, tried on a CPU: it compares what it says, and fails where layers differ."""

import pytest
from gpu import check


def test_layers_are_compared_with_those_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    found = check.parity("cpu", True)
    assert found["ok"]
    assert found["float32: difference"] == 0
    assert 0 < found["bf16: difference"] < check.PARITY["bf16"]
    assert len(found["bf16: by layer"]) == 4
    monkeypatch.setattr(check, "PARITY", {"float32": 1e-3, "bf16": found["bf16: difference"] / 2})
    assert not check.parity("cpu", True)["ok"]


def test_a_step_of_tuning_gives_gradients() -> None:
    found = check.tuning("cpu", True)
    assert found["ok"]
    assert found["step, ms"] > 0

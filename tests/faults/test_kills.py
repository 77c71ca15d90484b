"""SIGKILL during extract, repair and sweep; 200 kills by tests/faults/long.py."""

from pathlib import Path

import pytest
from faults.long import in_process


@pytest.mark.long
def test_what_was_finished_survives_kills_of_extract_repair_and_sweep(tmp_path: Path) -> None:
    each = 2
    code, said = in_process("kills", 3 * each, tmp_path)
    assert code == 0, said[-3000:]
    for command in ("extract", "repair", "sweep"):
        assert f"{command}: {each} kills" in said

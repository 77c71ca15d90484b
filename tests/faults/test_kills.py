"""SIGKILL during extract, repair and sweep; 200 kills by tests/faults/long.py."""

from pathlib import Path

from faults.long import in_process


def test_what_was_finished_survives_kills_of_extract_repair_and_sweep(tmp_path: Path) -> None:
    code, said = in_process("kills", 6, tmp_path)
    assert code == 0, said[-3000:]
    for command in ("extract", "repair", "sweep"):
        assert f"{command}: 2 kills" in said

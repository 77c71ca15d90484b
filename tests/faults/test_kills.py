"""SIGKILL during extract, repair and sweep; 200 kills by tests/faults/long.py."""

import subprocess
import sys
from pathlib import Path

LONG = Path(__file__).with_name("long.py")


def test_what_was_finished_survives_kills_of_extract_repair_and_sweep() -> None:
    done = subprocess.run([sys.executable, str(LONG), "kills", "--n", "6"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    for command in ("extract", "repair", "sweep"):
        assert f"{command}: 2 kills" in done.stdout

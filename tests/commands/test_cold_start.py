"""What is refused, and what only tells about the commands, waits for no library that takes seconds to import."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
RUN_ALL = """
import sys
from analysis.commands.app import main
heavy = {"torch", "transformers", "sklearn", "scipy.stats", "matplotlib", "seaborn", "ray"}
for line in sys.stdin.read().splitlines():
    sys.argv = ["probe", *line.split()]
    code = "none"
    try:
        main()
    except SystemExit as error:
        code = error.code or 0
    found = sorted(heavy & set(sys.modules))
    print(f"@ {code} {line}: {' '.join(found)}")
    heavy -= set(found)
"""


def test_no_refusal_and_no_help_imports_a_library_that_takes_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from cold_start import TELLING, WRONG, prepare

    prepare(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL],
        input="\n".join(TELLING + WRONG),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(BENCHMARKS.parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("@ ")]
    assert found == [f"@ 0 {line}: " for line in TELLING] + [f"@ 2 {line}: " for line in WRONG]
    assert f"probe {version('speech-layer-probe')}" in done.stdout

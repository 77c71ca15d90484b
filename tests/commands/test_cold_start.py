"""What is refused, and what only tells about the commands, waits for no library that takes seconds
to import.
"""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
# what is refused once something is read
READING = (
    *("empty.cache", "text --corpus", "--split nosuch", "cache merge"),
    *("extract full", "extract damaged.cache"),
)
RUN_ALL = """
import sys
from analysis.commands.app import main
heavy = {"torch", "transformers", "sklearn", "scipy.stats", "matplotlib", "seaborn", "ray"}
tables = {"pandas", "pyarrow", "h5py", "scipy"}
for line in sys.stdin.read().splitlines():
    if line == "tables":
        tables.clear()
        continue
    sys.argv = ["probe", *line.split()]
    code = "none"
    try:
        main()
    except SystemExit as error:
        code = error.code or 0
    found = sorted((heavy | tables) & set(sys.modules))
    print(f"@ {code} {line}: {' '.join(found)}")
    heavy -= set(found)
    tables -= set(found)
"""


def test_no_refusal_and_no_help_imports_a_library_that_takes_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from cold_start import TELLING, WRONG, prepare

    prepare(tmp_path)
    reading = [line for line in WRONG if any(part in line for part in READING)]
    wrong = [line for line in WRONG if line not in reading]
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL],
        input="\n".join([*TELLING, *wrong, "tables", *reading]),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(BENCHMARKS.parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("@ ")]
    assert found == [f"@ 0 {line}: " for line in TELLING] + [
        f"@ 2 {line}: " for line in wrong + reading
    ]
    assert f"probe {version('speech-layer-probe')}" in done.stdout


def test_only_the_module_of_the_command_that_was_typed_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom analysis.commands.app import COMMANDS, main\nsys.argv = ['probe', "
        "'report', 'MISSING']\ntry:\n    main()\nexcept SystemExit as error:\n    assert "
        "error.code == 2\nmodules = {where.partition(':')[0] for where in "
        "COMMANDS.values()}\nprint(sorted(modules & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['analysis.commands.report']"

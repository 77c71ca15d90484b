"""Every notebook runs from start to end, begun anywhere, and the outputs kept in it name no
machine.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from execute_notebooks import FOLDER, executed, kernel
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SMALLER = {  # as kept, they take a minute and a half together
    "01": {
        "sample(24,": "sample(8,",
        "max_seconds=4.0": "max_seconds=1.0",
        "epochs=20": "epochs=3",
    },
    "02": {
        "sample(24,": "sample(8,",
        "max_seconds=4.0": "max_seconds=1.0",
        "epochs=20": "epochs=3",
    },
    "03": {"sample(24,": "sample(8,", "max_seconds=3.0": "max_seconds=1.0"},
    "04": {"head(12)": "head(5)", "max_seconds=2.0": "max_seconds=1.0"},
    "05": {
        "sample(24,": "sample(8,",
        "max_seconds=3.0": "max_seconds=0.5",
        "resamples=500": "resamples=100",
    }
    | {"clips=8": "clips=4", '"1,last"': '"1"', "; codec:mulaw; gain:-20": ""},
}


@pytest.fixture(scope="module")
def one_kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelManager]:
    with kernel(tmp_path_factory.mktemp("kernel")) as started:
        yield started


def test_there_are_notebooks() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05"]


@pytest.mark.long
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_start_to_end_in_any_folder(
    path: Path, one_kernel: KernelManager, tmp_path: Path
) -> None:
    done = executed(path, tmp_path, one_kernel, SMALLER[path.name[:2]])
    kinds = [output.output_type for cell in done.cells for output in cell.get("outputs", [])]
    assert kinds.count("execute_result") >= 5
    shown = [
        kind
        for cell in done.cells
        for output in cell.get("outputs", [])
        for kind in output.get("data", {})
    ]
    assert shown.count("image/png") >= 2
    assert "error" not in kinds
    assert list(tmp_path.iterdir()) == []


PROGRESS = """import time
from probing.progress import ProgressLine
line = ProgressLine("Counting", 3, "sheep")
time.sleep(0.4)
line.advance(2, "counted <b>two</b>")"""


def test_progress_in_a_cell_is_one_line_that_goes_away(one_kernel: KernelManager) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in (PROGRESS, "line.close()")]
    shown = []

    def note(cell: nbformat.NotebookNode, cell_index: int, **_: object) -> None:
        shown.append([output.get("data") for output in cells[0].outputs])

    notebook = nbformat.v4.new_notebook(cells=cells)
    client = NotebookClient(notebook, timeout=60, km=one_kernel, on_cell_executed=note)
    client.execute()
    client.kc.stop_channels()
    during, after = shown
    assert [data["text/plain"].split(", ")[:2] for data in during] == [
        ["Counting: 2/3 sheep", "counted <b>two</b>"]
    ]
    assert after == [{"text/plain": "", "text/html": ""}]
    assert cells[1].outputs == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_kept_moderate_in_size_and_name_no_machine(path: Path) -> None:
    text = path.read_text()
    assert len(text) < 1_500_000
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.execution_count, cell.source
        for output in cell.get("outputs", []):
            assert output.output_type != "stream", output
            shown = "".join(
                str(value)
                for kind, value in output.get("data", {}).items()
                if not kind.startswith("image")
            )
            assert not re.search(r"/(home|root|tmp|work|Users|var)/", shown), shown[:300]

"""Execute the notebooks and keep their outputs, as after new weights:
tests/support/execute_notebooks.py [NAME ...]
"""

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import nbformat
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"

WIDGET = "application/vnd.jupyter.widget-view+json"


@contextmanager
def kernel(folder: Path) -> Iterator[KernelManager]:
    """A kernel that notebooks are run in one after the other, so that what they import is imported
    once.
    """
    manager = KernelManager(
        kernel_name="python3", client_class="jupyter_client.asynchronous.client.AsyncKernelClient"
    )
    manager.start_kernel(cwd=str(folder))
    try:
        yield manager
    finally:
        manager.shutdown_kernel(now=True)


def executed(
    path: Path, folder: Path, inside: KernelManager, instead: Mapping[str, str] | None = None
) -> nbformat.NotebookNode:
    """The notebook run from start to end, with no names of another, begun in a folder that is not
    its own.

    `instead` says what is written in it instead of what, such as smaller numbers; each of them is
    there.
    """
    notebook = nbformat.read(path, as_version=4)
    for before, after in (instead or {}).items():
        cells = [
            cell for cell in notebook.cells if cell.cell_type == "code" and before in cell.source
        ]
        assert cells, f"{path.name}: no {before}"
        for cell in cells:
            cell.source = cell.source.replace(before, after)
    begin = nbformat.v4.new_code_cell(f"%reset -f\nimport os\nos.chdir({str(folder)!r})\ndel os")
    notebook.cells.insert(0, begin)
    client = NotebookClient(notebook, timeout=600, km=inside, store_widget_state=False)
    client.execute()
    client.kc.stop_channels()
    del notebook.cells[0]
    for number, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), 1):
        cell.metadata.pop("execution", None)  # the time of day
        cell.execution_count = number  # the kernel goes on counting from one notebook to the next
        # progress and warnings of this machine are nobody's result
        cell.outputs = [
            output for output in cell.outputs if output.output_type in ("execute_result", "error")
        ]
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = number
                # of a kernel that is gone; the picture beside it stays
                output.data.pop(WIDGET, None)
    return notebook


if __name__ == "__main__":
    for path in [FOLDER / name for name in sys.argv[1:]] or sorted(FOLDER.glob("*.ipynb")):
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder, kernel(Path(folder)) as fresh:
            nbformat.write(executed(path, Path(folder), fresh), path)
        print(f"{path.name}: {time.perf_counter() - started:.0f} s")

"""A folder is replaced whole: readers see the old one or the new one, and a kill at any moment
loses neither.
"""

import threading
from contextlib import suppress
from pathlib import Path

import pytest

import cache.atomic
from cache.atomic import exchange, put_back, replace_folder


def write(folder: Path, text: str) -> Path:
    folder.mkdir()
    for name in "ab":
        (folder / name).write_text(text)
    return folder


def in_it(folder: Path) -> set[str]:
    return {path.read_text() for path in folder.iterdir()}


@pytest.fixture(params=[True, False], ids=["exchanged", "renamed"])
def _either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without a system that exchanges names."""
    if not request.param:
        monkeypatch.setattr(cache.atomic, "exchange", lambda one, other: False)


@pytest.mark.usefixtures("_either")
def test_a_folder_takes_the_place_of_another_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", "old")
    for text in ("new", "newer"):
        replace_folder(write(tmp_path / "run.partial", text), folder)
        assert in_it(folder) == {text}
        assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.usefixtures("_either")
def test_a_kill_between_any_two_renames_loses_neither_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.rename
    for stop_at in range(3):
        home = tmp_path / str(stop_at)
        home.mkdir()
        folder, partial = write(home / "run", "old"), write(home / "run.partial", "new")
        left = [stop_at]

        def rename(path: Path, to: Path, left: list[int] = left) -> Path:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return real(path, to)

        monkeypatch.setattr(Path, "rename", rename)
        with suppress(KeyboardInterrupt):
            replace_folder(partial, folder)
        monkeypatch.setattr(Path, "rename", real)
        put_back(folder)
        assert in_it(folder) in ({"old"}, {"new"})
        if not partial.exists():
            write(partial, "newer")
        replace_folder(partial, folder)
        assert [path.name for path in home.iterdir()] == ["run"]


def test_a_reader_never_finds_the_folder_missing_while_it_is_replaced(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", "0")
    if not exchange(folder, write(tmp_path / "probe", "x")):
        pytest.skip("this file system exchanges no names")
    ended, missing = threading.Event(), list[str]()

    def watch() -> None:
        while not ended.is_set():
            if not (folder / "a").exists():
                missing.append("missing")

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        for i in range(200):
            replace_folder(write(tmp_path / "run.partial", str(i)), folder)
    finally:
        ended.set()
        thread.join()
    assert not missing
    assert in_it(folder) == {"199"}

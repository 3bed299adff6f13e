"""A folder takes the place of another: as a whole, and nothing of the user's is lost."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from colabmagic.drive import errors
from colabmagic.drive.archive import partial
from tests.drive.archive.test_archives import content
from tests.drive.archive.test_stage import names

LONG_AGO = 0
NEVER = 2**63


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Return a new folder, and one that has the name that it is to get."""
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a").write_text("old")
    made = partial.beside(folder)
    (made / "b").write_text("new")
    return made, folder


def test_one_as_it_was_unpacked_goes(folders: tuple[Path, Path]) -> None:
    """Nothing is kept of it."""
    made, folder = folders
    assert partial.put_in_place(made, folder, NEVER) is None
    assert content(folder) == {"b": b"new"}
    assert names(folder.parent) == ["data"]


def test_what_came_since_is_kept(folders: tuple[Path, Path]) -> None:
    """Beside it; also where the name is taken by now."""
    made, folder = folders
    aside = partial.put_in_place(made, folder, LONG_AGO)
    assert aside is not None
    assert content(aside) == {"sub/a": b"old"}
    second = partial.beside(folder)
    other = partial.put_in_place(second, folder, LONG_AGO)
    assert other not in {None, aside}
    assert content(aside) == {"sub/a": b"old"}


def test_each_goes_aside_under_a_name_of_its_own(tmp_path: Path) -> None:
    """Also several within one second."""
    asides = []
    for number in range(4):
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        (folder / "mine").write_text(str(number))
        asides.append(partial.put_in_place(partial.beside(folder), folder, LONG_AGO))
    assert [content(each) for each in asides if each] == [
        {"mine": str(number).encode()} for number in range(4)
    ]
    assert all(each and each.name.startswith("data.local-") for each in asides)


def test_one_at_a_time(tmp_path: Path) -> None:
    """Who comes second waits, and is told so once; what a killed run has left goes."""
    folder, told, entered = tmp_path / "data", [], threading.Event()
    left = partial.beside(folder)

    def second() -> None:
        with partial.alone(
            folder, lambda: told.append("wait") or entered.set()
        ) as waited:
            told.append("alone" if waited else "at once")

    with partial.alone(folder, lambda: pytest.fail("nobody is here")) as waited:
        assert not waited
        thread = threading.Thread(target=second)
        thread.start()
        assert entered.wait(10)
        assert told == ["wait"]
    thread.join(10)
    assert told == ["wait", "alone"]
    assert not left.exists()
    assert names(tmp_path) == []


def test_what_is_written_in_the_last_moment_is_kept(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a program that runs on: after the look, before the folder goes."""
    made, folder = folders
    mark = (folder / "sub" / "a").stat().st_ctime_ns
    replace = Path.replace

    def write_first(self: Path, target: Any) -> Path:  # noqa: ANN401
        if self == folder:
            late = folder / "late"
            while not late.exists() or late.stat().st_ctime_ns <= mark:
                late.write_text("x")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", write_first)
    aside = partial.put_in_place(made, folder, mark)
    assert aside is not None
    assert content(aside) == {"late": b"x"}
    assert names(folder.parent) == ["data", aside.name]


def test_one_that_cannot_get_its_name(folders: tuple[Path, Path]) -> None:
    """Leaves what was there."""
    made, folder = folders
    partial.remove(made)
    for mark in (NEVER, LONG_AGO):
        with pytest.raises(errors.TargetFullError, match="cannot be written"):
            partial.put_in_place(made, folder, mark)
        assert content(folder) == {"sub/a": b"old"}
    partial.clear(folder)
    assert names(folder.parent) == ["data"]

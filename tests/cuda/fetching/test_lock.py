"""One writer at a time."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.fetching.lock import age_s, open_locked, try_open_locked

if TYPE_CHECKING:
    from pathlib import Path


def test_a_second_one_waits_for_the_first(tmp_path: Path) -> None:
    """It gets the file as soon as the first one closes it."""
    path = tmp_path / "a"
    first = try_open_locked(path)
    assert first is not None
    assert try_open_locked(path) is None
    got: list[int | None] = []
    thread = threading.Thread(
        target=lambda: got.append(open_locked(path, threading.Event()))
    )
    thread.start()
    os.close(first)
    thread.join(10)
    assert got
    assert got[0] is not None
    os.close(got[0])


def test_a_wait_can_be_ended(tmp_path: Path) -> None:
    """Nothing is opened then."""
    first = try_open_locked(tmp_path / "a")
    assert first is not None
    stop = threading.Event()
    stop.set()
    assert open_locked(tmp_path / "a", stop) is None
    os.close(first)


def test_a_file_that_was_renamed_meanwhile_is_not_taken(tmp_path: Path) -> None:
    """The name has another file now: that one is locked."""
    first = try_open_locked(tmp_path / "a")
    assert first is not None
    (tmp_path / "a").rename(tmp_path / "b")
    second = try_open_locked(tmp_path / "a")
    assert second is not None
    assert os.fstat(second).st_ino != os.fstat(first).st_ino
    os.close(first)
    os.close(second)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Somebody else may have put it there."""
    (tmp_path / "a").symlink_to(tmp_path / "b")
    with pytest.raises(OSError, match="symbolic links"):
        try_open_locked(tmp_path / "a")


def test_the_age_of_a_file(tmp_path: Path) -> None:
    """In seconds; one that is gone has none."""
    (tmp_path / "a").touch()
    os.utime(tmp_path / "a", (1, 1))
    assert age_s(tmp_path / "a") > 1e9
    assert age_s(tmp_path / "b") == 0.0

"""Files that one process alone writes."""

from __future__ import annotations

import errno
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.transfer.locks import lock, locked, refuse_full, unwritable

if TYPE_CHECKING:
    from pathlib import Path


def test_one_has_it(tmp_path: Path) -> None:
    """Until he closes it; what is in the file stays."""
    path = tmp_path / "part"
    path.write_text("some")
    first = locked(path)
    with pytest.raises(BlockingIOError):
        locked(path)
    os.close(first)
    second = locked(path)
    assert os.pread(second, 9, 0) == b"some"
    os.close(second)


def test_a_file_that_has_got_its_name_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock of a file that lies elsewhere by now is none: another is opened."""
    path, opened, real = tmp_path / "part", [], os.open

    def open_and_move(*given: object, **options: object) -> int:
        descriptor: int = real(*given, **options)  # type: ignore[arg-type]
        opened.append(descriptor)
        if len(opened) == 1:
            path.rename(tmp_path / "done")
        return descriptor

    monkeypatch.setattr(os, "open", open_and_move)
    descriptor = locked(path)
    assert len(opened) == 2
    assert os.path.samestat(os.fstat(descriptor), path.stat())
    os.close(descriptor)
    first, second = opened
    if first != second:  # else the number was free again: it was closed
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(first)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no list of open files")  # noqa: PTH112
def test_an_interrupt_leaves_nothing_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next run in this kernel would wait for this one for ever."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("fcntl.flock", stop)
        opened = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 (names alone)
        with pytest.raises(KeyboardInterrupt):
            locked(tmp_path / "part")
        assert set(os.listdir("/proc/self/fd")) == opened  # noqa: PTH208
    os.close(locked(tmp_path / "part"))


def test_a_lock_that_is_another(tmp_path: Path) -> None:
    """None, and no error; where none can be made, it is said."""
    path = tmp_path / "deep" / "lock"
    mine = lock(path)
    assert mine is not None
    assert lock(path) is None
    os.close(mine)
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.TargetFullError, match="cannot be written"):
        lock(tmp_path / "file" / "lock")


def test_a_link_is_not_opened(tmp_path: Path) -> None:
    """Somebody else's file would be locked, and written to."""
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "part").symlink_to("mine")
    with pytest.raises(OSError, match="symbolic links"):
        locked(tmp_path / "part")


def test_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a disk cannot have is refused, with both figures."""
    refuse_full(tmp_path / "x", 1)
    free = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    refuse_full(tmp_path / "x", free.free)
    with pytest.raises(errors.TargetFullError):
        refuse_full(tmp_path / "x", free.free + 1)
    with pytest.raises(errors.TargetFullError, match="no room for x") as caught:
        refuse_full(tmp_path / "x", 2**62)
    assert f"{2**62:,} bytes wanted" in str(caught.value.seen)


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (errno.EACCES, "that you may write"),
        (errno.EROFS, "that you may write"),
        (errno.ENOSPC, "free room"),
        (errno.ENAMETOOLONG, "shorter name"),
    ],
)
def test_why_a_file_cannot_be_written(tmp_path: Path, code: int, hint: str) -> None:
    """What to do is by the reason."""
    told = unwritable(tmp_path / "a\x1b", OSError(code, os.strerror(code)))
    assert hint in told.hint
    assert "\x1b" not in str(told)

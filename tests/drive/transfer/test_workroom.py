"""Room for what is made before its upload: what a kill has left of it goes with the next."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from colabmagic.drive import errors
from colabmagic.drive.transfer import workroom
from colabmagic.drive.transfer.workroom import WorkRoom

ROOT = Path(__file__).parents[3]
KILLED = """
import os, signal, tempfile
from colabmagic.drive.transfer.workroom import WorkRoom
room = WorkRoom("archive")
(room.path / "large").write_text("large")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where temporary files go; none is too young to be looked at."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(workroom, "_YOUNG_S", -1.0)
    return tmp_path


def test_one_room(tmp: Path) -> None:
    """It is there for as long as it is used."""
    with WorkRoom("archive") as room:
        assert list(tmp.iterdir()) == [room.path]
        assert room.path.stat().st_mode & 0o777 == 0o700
    room.remove()
    assert list(tmp.iterdir()) == []


def test_after_a_kill(tmp: Path) -> None:
    """The next one removes it; that of a process which lives stays, and so do the user's."""
    (tmp / "colabmagic-mine").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", KILLED], cwd=ROOT, check=False,
        env={**os.environ, "TMPDIR": str(tmp), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp.iterdir())) == 2
    with WorkRoom("archive") as one, WorkRoom("file") as other:
        found = sorted(tmp.iterdir())
        assert found == sorted([one.path, other.path, tmp / "colabmagic-mine"])


def test_a_fork_leaves_it(tmp: Path) -> None:
    """It is the parent's."""
    with WorkRoom("archive") as room:
        child = os.fork()
        if not child:
            room.remove()
            os._exit(0)
        os.waitpid(child, 0)
        assert list(tmp.iterdir()) == [room.path]


def test_no_room(tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for it, nor anywhere for temporary files: one error of ours."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp / "none"))
    with pytest.raises(errors.TargetFullError, match="no room for the file"):
        WorkRoom("file")

    def full() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", full)
    with pytest.raises(errors.TargetFullError, match="no room for the file"):
        WorkRoom("file")

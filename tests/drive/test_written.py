"""The program that looks through a folder, run as it is run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from colabmagic.drive import written

if TYPE_CHECKING:
    from pathlib import Path


def told(
    root: Path, since: float = 0, seconds: float = 60, most: int = 100
) -> list[Any]:
    """Run it; return its lines."""
    argv = [sys.executable, "-I", "-S", written.__file__, str(root)]
    done = subprocess.run(
        [*argv, str(since), str(seconds), str(most)],
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_newest_folders_come_first(tmp_path: Path) -> None:
    """When the time is over, what was written last has been seen."""
    for number, name in enumerate("bca"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
        os.utime(tmp_path / name, (number + 1, number + 1))
    lines = told(tmp_path)
    assert [line["path"] for line in lines if "path" in line] == [
        "a/file", "c/file", "b/file",
    ]  # fmt: skip
    assert lines[-1] == {"complete": True}
    assert lines.count({"alive": True}) == 4  # a sign after each folder


def test_a_limit_is_told(tmp_path: Path) -> None:
    """Of files, or of time."""
    for number in range(3):
        (tmp_path / str(number)).touch()
    lines = told(tmp_path, most=2)
    assert sum("path" in line for line in lines) == 2
    assert lines[-1] == {"complete": False}
    assert told(tmp_path, seconds=-1)[-1] == {"complete": False}
    assert told(tmp_path, most=3)[-1] == {"complete": True}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """With the system's words; the others go on."""
    described = written.describe(str(tmp_path), str(tmp_path / "gone"))
    assert described == {"path": "gone", "error": "No such file or directory"}


def test_a_large_file_gives_signs_while_it_is_read(tmp_path: Path) -> None:
    """Who waits for it knows that it does not hang."""
    (tmp_path / "big").touch()
    os.truncate(tmp_path / "big", 200_000_000)
    lines = told(tmp_path)
    before = lines[: next(n for n, line in enumerate(lines) if "path" in line)]
    assert before == [{"alive": True}] * 2

"""The log of Colab's Drive program: what is new in it, and shown safely."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from colabmagic.drive.mounting import drive_log

if TYPE_CHECKING:
    from pathlib import Path

OLD = "2026-11-29T23:00:00.000ZE [1:a] query.cc:1: QueryManager timed out"
NEW = "2026-11-30T10:00:00.000ZE [1:b] status QUOTA_EXCEEDED: daily"
NOON = 1796040000.0  # 2026-11-30T12:00Z
EARLY = NOON - 3 * 3600


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return the place of the log, in an empty home."""
    folder = drive_log.log_folder(tmp_path)
    folder.mkdir(parents=True)
    return folder / "drive_fs.txt"


def test_lines_before_a_mark_do_not_count(tmp_path: Path, log: Path) -> None:
    """An old time-out gives a new failure no name."""
    log.write_text(f"{OLD}\n")
    mark = drive_log.mark(tmp_path)
    assert drive_log.read_log(mark) == drive_log.LogFindings()
    with log.open("a") as file:
        file.write(f"{NEW}\n")
    found = drive_log.read_log(mark)
    assert found.quota == NEW
    assert found.timed_out is None
    assert found.tail == (NEW,)


def test_a_log_that_was_begun_anew_is_new(tmp_path: Path, log: Path) -> None:
    """Shorter than before, or another file: all of it counts."""
    log.write_text(f"{OLD}\n{OLD}\n")
    mark = drive_log.mark(tmp_path)
    log.unlink()
    log.write_text(f"{NEW}\n")
    assert drive_log.read_log(mark).quota == NEW


def test_both_files_are_read(tmp_path: Path, log: Path) -> None:
    """Colab writes what timed out into a file of its own."""
    mark = drive_log.mark(tmp_path)
    log.with_name("timeouts.txt").write_text("operation timed out: opendir /x\n")
    log.write_text("E The domain policy has disabled Drive File Stream\n")
    found = drive_log.read_log(mark)
    assert found.timed_out == "operation timed out: opendir /x"
    assert str(found.policy).endswith("Drive File Stream")


def test_by_time_older_lines_do_not_count(tmp_path: Path, log: Path) -> None:
    """A line without a time goes with the one before it."""
    log.write_text(f"{OLD}\n  at timed out frame\n{NEW}\n  more\n")
    found = drive_log.read_log(EARLY, tmp_path)
    assert found.timed_out is None
    assert found.tail == (NEW, "more")
    assert drive_log.read_log(4e9, tmp_path) == drive_log.LogFindings()


def test_no_log_is_no_trouble(tmp_path: Path) -> None:
    """Nothing is found, nothing raised."""
    assert drive_log.read_log(drive_log.mark(tmp_path)) == drive_log.LogFindings()
    assert drive_log.read_log(0.0, tmp_path) == drive_log.LogFindings()


def test_of_a_long_log_the_end_is_read(tmp_path: Path, log: Path) -> None:
    """A log of any size takes little memory."""
    mark = drive_log.mark(tmp_path)
    with log.open("wb") as file:
        file.seek(3_000_000_000)  # a hole: nothing is written
        file.write(b"\n\xff broken\nQUOTA_EXCEEDED\n")
    found = drive_log.read_log(mark)
    assert found.quota == "QUOTA_EXCEEDED"


@pytest.mark.parametrize(
    "secret",
    [
        "ya29.a0AfH6SMBx-y_z",
        "1//0gAbCdEfGhIjKl",
        "AIzaSyA-1234567890abcdefghijkl",
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.sig",
    ],
)
@pytest.mark.parametrize(
    "around",
    ["{}", "Bearer {}", "token={}&x=1", '"access_token": "{}",', "x:{};"],
)
def test_no_credential_is_shown(secret: str, around: str) -> None:
    """Whatever the log holds, tokens are hidden, wherever they stand."""
    assert secret not in drive_log.clean(f"GET {around.format(secret)} failed")
    assert "failed" in drive_log.clean(f"GET {around.format(secret)} failed")


@pytest.mark.parametrize("word", ["client_secret", "password", "Authorization", "code"])
def test_what_is_named_a_secret_is_hidden(word: str) -> None:
    """Also where it does not look like one."""
    assert "hunter2" not in drive_log.clean(f"{word}: hunter2")


def test_shown_lines_are_one_short_line() -> None:
    """Nothing controls the terminal."""
    assert drive_log.clean("a\x1b[2J\r\nb\tc") == "a [2J b c"
    assert len(drive_log.clean("x" * 1000)) == 160

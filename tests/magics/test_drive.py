"""``%mount_drive`` in a terminal, and what its options are; kernels are tested elsewhere."""

from __future__ import annotations

import argparse
import threading
import time
from typing import TYPE_CHECKING

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from colabmagic.drive.report import MountReport
from colabmagic.magics import _drive_notices
from colabmagic.magics._base import parse
from colabmagic.magics._drive_options import check, size_of, some_seconds, some_workers
from colabmagic.magics._progress import ByteProgress
from colabmagic.magics.drive import DriveMagics
from tests.magics.test_gpu import terminal

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("line", "verb"),
    [
        ("", "path"),
        ("/content/drive", "path"),
        ("/content/drive --no-watch --cd 'My Drive/x'", "path"),
        ("--stage MyDrive/x.tar --to y --workers 4 --links", "stage"),
        ("--save a.pt MyDrive/runs/", "save"),
        ("--pack folder MyDrive/x.tar.zst --creds adc", "pack"),
        ("--unmount --timeout 60", "unmount"),
        ("--login --client c.json", "login"),
        ("--ls MyDrive --drive 0AB_c-d", "ls"),
    ],
)
def test_each_line_has_one_verb(line: str, verb: str) -> None:
    """A line without a verb mounts."""
    assert check(parse(DriveMagics.mount_drive, line)) == verb


@pytest.mark.parametrize(
    ("line", "both"),
    [
        ("--stage a --ls b", ("--stage", "--ls")),
        ("x --sync", ("PATH", "--sync")),
        ("--workers 4", ("--workers", "--stage")),
        ("--cd x --stage a", ("--cd", "--stage")),
        ("--client x", ("--client", "--login")),
        ("--watch --status", ("--watch", "--status")),
        ("\u2014status", ("long dash", "--status")),
    ],
)
def test_a_conflict_names_both_options(line: str, both: tuple[str, str]) -> None:
    """So that the user sees which one to take away."""
    with pytest.raises(UsageError) as caught:
        check(parse(DriveMagics.mount_drive, line))
    for option in both:
        assert option in str(caught.value)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("5", 5),
        ("50GB", 50 * 10**9),
        ("2 GiB", 2**31),
        ("1.5k", 1500),
        ("3t", 3 * 10**12),
    ],
)
def test_sizes(text: str, size: int) -> None:
    """As people write them."""
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "0", "1e9", "1XB", "٣GB٣"])
def test_what_is_no_value(text: str) -> None:
    """It is refused with the form that is right."""
    for read in (size_of, some_workers, some_seconds):
        if read is not size_of and text == "1e9" and read is some_seconds:
            continue
        with pytest.raises(argparse.ArgumentTypeError, match="needs"):
            read(text)


def test_terminal_shows_once(tmp_path: Path) -> None:
    """Alone on its line the value is shown as ``Out``, else by the magic itself."""
    alone, bound, quiet = terminal(
        [
            "%mount_drive --status",
            "r = %mount_drive --status",
            "%mount_drive --status -q",
        ],
        tmp_path,
    )[:3]
    assert alone.count("Drive: NOT MOUNTED") == bound.count("Drive: NOT MOUNTED") == 1
    assert "Out[2]: Drive: NOT MOUNTED" in alone
    assert "Drive" not in quiet


def test_progress_in_bytes() -> None:
    """A share, the whole and the speed; counts of things without a unit."""
    progress = ByteProgress()
    began = time.monotonic()
    progress.start("download x.tar", 200_000_000)
    progress.advance(50_000_000)
    line = progress._line(began + 2)
    assert line.startswith("download x.tar … 25% of 200.0 MB, 25.")
    assert line.endswith(" MB/s")
    progress.start("compare", 4)
    progress.advance()
    assert progress._line(began + 2) == "compare … 25%"
    progress.start("list MyDrive")
    progress.advance(12_000)
    assert progress._line(began + 2) == "list MyDrive … 12,000"


def test_notices_come_with_the_next_cell(capsys: pytest.CaptureFixture[str]) -> None:
    """What a thread notes is printed by the next cell, once; afterwards no hook is left."""
    shell = InteractiveShell()
    hooks = {name: list(each) for name, each in shell.events.callbacks.items()}
    notices = _drive_notices.Notices(shell)
    _drive_notices.begin(notices)
    notices.about(MountReport(mode="colab", path=None))
    teller = threading.Thread(target=notices.notify, args=("it is back\x1b[2J",))
    teller.start()
    teller.join()
    assert capsys.readouterr().out == ""
    for _ in range(2):
        shell.run_cell("1;", store_history=True)
    printed = capsys.readouterr().out
    assert printed.count("it is back") == 1
    assert "\x1b" not in printed
    notices.notify("the last word")
    _drive_notices.close()
    assert "the last word" in capsys.readouterr().out
    assert {name: list(each) for name, each in shell.events.callbacks.items()} == hooks

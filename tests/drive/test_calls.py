"""What a call of the library says when it is stopped, or a name is not there."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.drive import calls, errors
from colabmagic.drive.client import Drive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from colabmagic.drive.api.files import Files
    from tests.fakes.drive import FakeDrive


@pytest.fixture
def client(files: Files) -> Drive:
    """Return a connection that does not wait long."""
    return Drive(files.transport)


def test_the_likest_name_is_told(drive: FakeDrive, client: Drive) -> None:
    """Of the folder where it was looked for, as it can be typed; once."""
    folder = drive.store.add_folder("sets")
    for name in ("Data.tar.gz", "other.csv"):
        drive.store.add_file(name, b"1", folder.id)
    for ask in (client.download, client.stage):
        with pytest.raises(errors.DriveFileNotFoundError) as caught:
            ask("MyDrive/sets/data.tgz", "x")
        assert caught.value.seen == "there is 'MyDrive/sets/Data.tar.gz'"
        assert 'did you mean "MyDrive/sets/Data.tar.gz"?' in caught.value.hint
        assert "upper and lower case" in caught.value.hint
    with pytest.raises(errors.DriveFileNotFoundError) as caught:
        client.open("MyDrive/Sets/x")
    assert caught.value.seen == "there is 'MyDrive/sets'"


def test_what_is_there_is_told(drive: FakeDrive, client: Drive) -> None:
    """Where no name is like it: the first of them, without what steers a terminal."""
    with pytest.raises(errors.DriveFileNotFoundError) as caught:
        list(client.ls("MyDrive/data"))
    assert caught.value.seen == "in MyDrive there is: nothing"
    for name in "a\x1b[31m", "b", "c", "d":
        drive.store.add_file(name, b"1")
    with pytest.raises(errors.DriveFileNotFoundError) as caught:
        list(client.ls("MyDrive/data"))
    assert "b, c and 1 more" in str(caught.value.seen)
    assert "\x1b" not in str(caught.value)


def test_a_name_in_the_shared_drive_in_which_paths_begin(
    drive: FakeDrive, files: Files
) -> None:
    """There the path has no folder above it."""
    team = drive.store.add_drive("team")
    drive.store.add_file("a.csv", b"1", team)
    client = Drive(files.transport, team)
    for name, seen in {
        "A.csv": "there is 'a.csv'",
        "none": "in the shared drive ",
    }.items():
        with pytest.raises(errors.DriveFileNotFoundError) as caught:
            client.open(name)
        assert str(caught.value.seen).startswith(seen)


def test_who_asks_whether_a_file_is_there_pays_for_one_question(
    drive: FakeDrive, client: Drive
) -> None:
    """No folder is listed for `stat`, nor where the error itself cannot be helped."""
    del drive
    with pytest.raises(errors.DriveFileNotFoundError) as caught:
        client.stat("MyDrive/data")
    assert caught.value.seen is None
    with (
        pytest.raises(errors.DriveFileNotFoundError) as caught,
        calls.suggesting(client.files),
    ):
        raise errors.DriveFileNotFoundError("gone", hint="look")
    assert caught.value.seen is None


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (lambda d, f: d.download("MyDrive/a", f / "a"), "goes on where it stopped"),
        (lambda d, f: d.stage("MyDrive/a.tar", f / "b"), "goes on where it stopped"),
        (lambda d, _: d.open("MyDrive/a").read(), "stopped (reading a); run it again"),
        (lambda d, f: d.save(f / "up", "MyDrive/x/"), "what was there before"),
        (lambda d, f: d.pack(f, "MyDrive/x.tar"), "what was there before"),
        (lambda d, _: list(d.ls()), "stopped (listing MyDrive); run it again"),
        (lambda d, _: d.health(), "run it again"),
    ],
    ids=["download", "stage", "open", "save", "pack", "ls", "health"],
)
def test_an_interrupt_says_what_now(
    drive: FakeDrive,
    client: Drive,
    tmp_path: Path,
    work: Callable[[Drive, Path], Any],
    said: str,
) -> None:
    """It stays an interrupt; a notebook shows one line of it."""
    (tmp_path / "up").write_bytes(b"1")
    for name in ("a", "a.tar"):
        drive.store.add_file(name, b"x" * 3_000_000)
    slow = {"kind": "stall", "match": "alt=media", "fraction": 0.0, "seconds": 9.0}
    busy = {"kind": "status", "code": 503, "retry_after": 9}
    matches = ("about", "GET .*q=", "POST", "PATCH", "PUT")
    rules = [busy | {"match": match} for match in matches]
    reads = said.startswith("goes") or "reading" in said
    drive.faults.load([slow | {"times": 9}] if reads else rules)
    main = threading.main_thread().ident
    stop = threading.Timer(0.5, signal.pthread_kill, (main, signal.SIGINT))
    stop.start()
    with pytest.raises(KeyboardInterrupt, match="stopped") as caught:
        work(client, tmp_path)
    stop.join()
    assert said in str(caught.value)
    shown = caught.value._render_traceback_()  # type: ignore[attr-defined]
    assert shown == [f"KeyboardInterrupt: {caught.value}"]

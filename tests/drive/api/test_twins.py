"""Several who make the same at the same time: in the end it is there once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.api.http import Transport, Waits
from colabmagic.drive.api.remote import RemoteFile
from colabmagic.drive.api.twins import ambiguous, settled
from colabmagic.drive.client import Drive

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.drive.api.files import Files
    from tests.fakes.drive import FakeDrive

RANKS = 6


def others(files: Files, count: int) -> list[Drive]:
    """Return connections of other processes: they share nothing."""
    waits = Waits(0.05, 0.2)
    return [
        Drive(Transport(files.transport.credentials, files.transport.api_root, waits=waits))
        for _ in range(count)
    ]  # fmt: skip


def left(drive: FakeDrive, name: str) -> list[str]:
    """Return the ids of all that has a name and is not in the trash."""
    return [
        each.id
        for each in drive.store.files.values()
        if each.meta["name"] == name and not each.meta["trashed"]
    ]


@pytest.mark.parametrize("alike", [True, False], ids=["one content", "several"])
def test_ranks_that_save_into_one_new_folder(
    drive: FakeDrive, files: Files, tmp_path: Path, *, alike: bool
) -> None:
    """One folder and one file; each rank is told that its content was there."""
    drive.latency_s = 0.02
    ready = threading.Barrier(RANKS)

    def save(rank: int, one: Drive) -> str:
        source = tmp_path / f"{rank}.pt"
        source.write_bytes(b"x" * 1000 if alike else bytes([rank]) * 1000)
        ready.wait()
        return one.save(source, "MyDrive/new/deep/c.pt").md5

    with ThreadPoolExecutor(RANKS) as pool:
        saved = list(pool.map(save, range(RANKS), others(files, RANKS)))
    assert len(left(drive, "new")) == len(left(drive, "deep")) == 1
    assert len(left(drive, "c.pt")) == 1
    found = files.stat("MyDrive/new/deep/c.pt")
    assert found.md5 in saved
    assert len(set(saved)) == (1 if alike else RANKS)


def test_who_was_second_takes_his_folder_back(drive: FakeDrive, files: Files) -> None:
    """Where the search did not find the first one in time, and he has put nothing in yet."""
    first = drive.store.add_folder("new", createdTime="2020-01-01T00:00:00.000Z")
    drive.faults.load([{"kind": "drop_items", "match": "name"}])
    assert files.folder("MyDrive/new").id == first.id
    assert left(drive, "new") == [first.id]


def test_old_files_of_one_name_are_not_waited_for(
    drive: FakeDrive, files: Files
) -> None:
    """They stay: nobody takes them back, and nobody else may."""
    for _ in range(2):
        drive.store.add_folder("new", createdTime="2020-01-01T00:00:00.000Z")
    waited: list[float] = []
    files.transport.waits = Waits(sleep=waited.append)
    with pytest.raises(errors.AmbiguousPathError):
        files.folder("MyDrive/new")
    with pytest.raises(errors.AmbiguousPathError):
        files.stat("MyDrive/new")
    assert waited == []
    assert len(left(drive, "new")) == 2


def test_a_time_that_cannot_be_read(files: Files) -> None:
    """Then nothing is known of how new a file is."""
    one = replace(files.stat("MyDrive"), created="soon")
    assert settled(lambda: [one, one], files.transport.waits) == [one, one]


def test_what_is_shown_of_several_cannot_steer_the_screen() -> None:
    """Not even where ids and times are none of Google's."""
    odd = RemoteFile(id="\x1b[2J" * 99, name="a", mime_type="", modified="\x1b]0;x\x07")
    said = str(ambiguous("MyDrive/a", [odd, odd]))
    assert said.isprintable()
    assert len(said) < 500


def two(drive: FakeDrive, *contents: bytes) -> list[str]:
    """Put files of one name on Drive, as processes leave them that are killed; return the ids."""
    return [drive.store.add_file("up", each).id for each in contents]


def test_what_a_killed_process_has_left_goes(
    drive: FakeDrive, files: Files, tmp_path: Path
) -> None:
    """It holds the same bytes as the first: that one gets the new content."""
    (tmp_path / "up").write_bytes(b"new")
    first, *_ = sorted(two(drive, b"old", b"old", b"old"))
    Drive(files.transport).save(tmp_path / "up", "MyDrive/up")
    (stays,) = left(drive, "up")
    blob = drive.store.files[stays].blob
    assert blob is not None
    assert blob.read(0, 9) == b"new"
    assert first in drive.store.files  # in the trash, or it is the one


@pytest.mark.parametrize("apart", ["in content", "in time"])
def test_files_of_ones_own_stay(
    drive: FakeDrive, files: Files, tmp_path: Path, apart: str
) -> None:
    """Other bytes, or made at another time: it is for the user to say which."""
    (tmp_path / "up").write_bytes(b"new")
    ids = two(drive, b"old", b"old" if apart == "in time" else b"other")
    if apart == "in time":
        drive.store.files[ids[0]].meta["createdTime"] = "2020-01-01T00:00:00.000Z"
    with pytest.raises(errors.AmbiguousPathError):
        Drive(files.transport).save(tmp_path / "up", "MyDrive/up")
    assert sorted(left(drive, "up")) == sorted(ids)

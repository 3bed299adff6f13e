"""Lists: each file once, in full or not at all."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors

if TYPE_CHECKING:
    from colabmagic.drive.api.files import Files
    from tests.fakes.drive import FakeDrive

LIST = "pageSize=1000"


def test_a_token_that_runs_out_begins_the_list_anew(
    drive: FakeDrive, files: Files
) -> None:
    """And nothing comes twice."""
    folder = files.folder("MyDrive/many")
    drive.store.add_many(2500, folder.id)
    drive.faults.load([{"kind": "expire_page_token", "match": "pageToken", "times": 2}])
    names = [each.name for each in files.children(folder)]
    assert len(names) == len(set(names)) == 2500
    drive.faults.load(
        [{"kind": "expire_page_token", "match": "pageToken", "times": 99}]
    )
    with pytest.raises(errors.ServerFailedError, match="in full"):
        list(files.children(folder))


def test_a_search_that_stays_incomplete_is_no_answer(
    drive: FakeDrive, files: Files
) -> None:
    """Else a file that is there would be made a second time."""
    drive.store.add_file("x", b"")
    drive.faults.load([{"kind": "incomplete_search", "match": LIST, "times": 3}])
    assert files.stat("MyDrive/x").name == "x"
    drive.faults.load([{"kind": "incomplete_search", "match": LIST, "times": 99}])
    with pytest.raises(errors.ServerFailedError) as caught:
        files.stat("MyDrive/x")
    assert caught.value.seen == "incompleteSearch"


def test_a_large_folder_in_few_requests(drive: FakeDrive, files: Files) -> None:
    """A thousand files each, 100 units each."""
    folder = files.folder("MyDrive/many")
    drive.store.add_many(5000, folder.id)
    drive.reset_counters()
    assert sum(1 for _ in files.children(folder)) == 5000
    assert (drive.operations["files.list"], drive.units_used) == (5, 500)
    assert files.transport.budget.spent >= 500


def test_who_stops_early_has_one_page_too_many_at_most(
    drive: FakeDrive, files: Files
) -> None:
    """None after the first; later the next is on its way, and its thread ends by itself."""
    folder = files.folder("MyDrive/many")
    drive.store.add_many(6000, folder.id)
    drive.reset_counters()
    found = files.children(folder)
    assert next(found).name
    assert drive.operations["files.list"] == 1
    for _ in range(2000):
        next(found)
    found.close()  # type: ignore[attr-defined]
    for thread in threading.enumerate():
        if thread.name == "colabmagic-drive-list":
            thread.join(10)
    assert drive.operations["files.list"] == 4


def test_an_error_of_a_later_page_is_raised_where_it_is_reached(
    drive: FakeDrive, files: Files
) -> None:
    """After all files of the pages before."""
    folder = files.folder("MyDrive/many")
    drive.store.add_many(3500, folder.id)
    lost = {"kind": "status", "code": 404, "reason": "notFound", "match": "pageToken"}
    drive.faults.load([{**lost, "skip": 2}])
    found = files.children(folder)
    assert len(list(itertools.islice(found, 3000))) == 3000
    with pytest.raises(errors.DriveFileNotFoundError):
        next(found)

"""Lists: each file once, in full or not at all."""

from __future__ import annotations

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

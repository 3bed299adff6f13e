"""What the verbs of ``%mount_drive`` return, as text, HTML and data."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from colabmagic.drive.api.remote import FOLDER, RemoteFile
from colabmagic.drive.report import Account, DoneReport, MountReport, WorkReport
from colabmagic.drive.state_report import (
    ListReport,
    StatusReport,
    SyncedFile,
    SyncReport,
)

EVIL = "<script>alert(1)</script>\x1b[31m"
FILE = RemoteFile(
    id="1", name=EVIL, mime_type="x/y", size=5, modified="2026-01-02T03:04"
)
ACCOUNT = Account(user="me@example.com", used_bytes=5 * 10**9, limit_bytes=15 * 10**9)
REPORTS = [
    MountReport(mode="colab", path=Path("/content/drive"), account=ACCOUNT, watched=True,
                notes=(EVIL,), moved_aside=(Path("/content/drive.local-1"),)),
    MountReport(mode="api", path=None, account=ACCOUNT, readonly=True),
    WorkReport(verb="stage", path=f"/content/{EVIL}", files=2, bytes=10,
               transferred_bytes=5, md5="a" * 32, seconds=1.0, notes=(EVIL,)),
    ListReport(path="MyDrive", entries=(FILE,) * 60),
    StatusReport(mode="colab", path=Path("/content/drive"), health="dead", seen=EVIL,
                 account=ACCOUNT, watched=True, probes=3, healed=1, vm_age_s=3700.0,
                 vm_left_s=1800.0, pending=(Path("/content/drive/MyDrive/a.pt"),)),
    StatusReport(mode=None),
    SyncReport(path=Path("/content/drive"), seconds=1.0, notes=(EVIL,), files=(
        SyncedFile(path=f"MyDrive/{EVIL}", size=5, md5="b" * 32, state="failed", why=EVIL),
    )),
    DoneReport(verb="unmount", verdict="UNMOUNTED", path=Path("/content/drive")),
]  # fmt: skip


@pytest.mark.parametrize("report", REPORTS, ids=lambda each: each.headline[:30])
def test_every_form_is_safe_and_whole(report: MountReport) -> None:
    """Text of 80 columns without control characters, HTML without markup, plain data."""
    assert all(len(line) <= 80 for line in report.text.splitlines())
    assert "\x1b" not in report.text + report.html
    assert "<script" not in report.html
    assert json.loads(report.to_json())["report"] == type(report).__name__
    assert set(report._repr_mimebundle_()) == {
        "text/plain",
        "text/html",
        "application/vnd.colabmagic.drive+json",
    }
    assert "\n" not in repr(report)


def test_what_is_told_of_a_mount() -> None:
    """Where, whose, how full; without a folder, what to type instead."""
    folder, api = REPORTS[:2]
    text = " ".join(folder.text.split())
    assert text.startswith("Drive: MOUNTED at /content/drive/MyDrive")
    assert "Account me@example.com" in text
    assert "Used 5.0 GB of 15.0 GB" in text
    assert "moved aside: /content/drive.local-1" in text
    assert api.headline.startswith("Drive: CONNECTED, READ-ONLY")
    assert "%mount_drive --stage" in api.text
    assert "no limit" in repr(Account(user=None, used_bytes=1, limit_bytes=None))


def test_a_sick_mount_says_what_to_type() -> None:
    """The state in a word, what waits to be uploaded, the VM's time."""
    sick, absent = REPORTS[4:6]
    assert isinstance(sick, StatusReport)
    text = " ".join(sick.text.split())
    assert not sick.ok
    assert "MOUNTED, DEAD" in text
    assert "%mount_drive /content/drive --force" in text
    assert "%mount_drive --sync" in text
    assert "Watched yes; 3 looks, mounted it anew 1 time VM" in text
    assert "VM age 1 h 2 min" in text
    assert "VM left about 30 min" in text
    assert "%mount_drive /content/drive" in absent.text


def test_status_says_what_works_without_a_folder() -> None:
    """Logged in: the lines that work; else how to log in, or on Colab how to mount."""
    known = StatusReport(mode=None, account=ACCOUNT, needs_login=True)
    assert known.ok
    assert known.headline == "Drive: LOGGED IN, NOT MOUNTED"
    assert "%mount_drive --stage" in known.text
    assert "Account me@example.com" in known.text
    unknown = StatusReport(mode=None, needs_login=True)
    assert not unknown.ok
    assert "%mount_drive --login --client client.json" in unknown.text
    assert "%mount_drive /content" not in unknown.text
    gone = StatusReport(mode="fuse", path=Path("/x/drive"), health="absent")
    assert gone.headline.startswith("Drive: NOT MOUNTED ANY MORE")
    assert "%mount_drive /x/drive" in gone.text  # there is nothing to be forced


def test_words_are_for_people() -> None:
    """No code where there is nothing to look up, no class of ours, nothing run together."""
    reports = [each for each in REPORTS if not isinstance(each, WorkReport)]
    for report in reports:
        assert "[note]" not in report.text + report.html
        assert "[]" not in report.text + report.html
    read_only = MountReport(mode="fuse", path=Path("/x/drive"), readonly=True)
    assert "%mount_drive --save" in read_only.text
    full = Account(user=None, used_bytes=54_000_000, limit_bytes=None)
    assert full.used == "54.0 MB, no limit"

    class ForNotebook(MountReport):
        """As the magic makes it."""

    shown = ForNotebook(mode="api", path=None)
    assert shown.to_dict()["report"] == "MountReport"


def test_work_has_its_figures() -> None:
    """What was here already is told apart from what came."""
    came = REPORTS[2]
    assert isinstance(came, WorkReport)
    assert "UNPACKED" in came.headline
    assert "2 files, 10 bytes" in came.headline
    here = work(source="here", checked_files=1)
    assert "HERE ALREADY" in here.headline
    assert "1 file, 1 byte" in here.headline


def work(**facts: Any) -> WorkReport:  # noqa: ANN401
    """Return a report about one small file, with other facts."""
    given = {
        "verb": "stage", "path": "x", "files": 1, "bytes": 1, "transferred_bytes": 0,
        "md5": "c" * 32, "seconds": 0.01, **facts,
    }  # fmt: skip
    return WorkReport(**given)


def test_where_a_folder_came_from() -> None:
    """Made of an archive that lay here is not the same as being here."""
    local = work(source="local")
    assert "UNPACKED" in local.headline
    assert "from the archive that lay here" in local.headline
    assert "0 bytes" not in local.text
    assert "all 300 files" in work(source="here", files=300, checked_files=300).text
    some = work(source="here", files=300_000, checked_files=9_984).text
    assert "9,984 of 300,000 files" in some
    for here in (some, local.text):
        assert "here and on Drive" not in here


def test_figures_that_say_nothing_are_left_out() -> None:
    """No retries, the speed of a few bytes, and codes of our own."""
    small = work(verb="save", transferred_bytes=492, seconds=1.0, notes=("a b",))
    assert "Retries" not in small.text
    assert "/s" not in small.text
    assert "[note]" not in small.text + small.html
    large = work(transferred_bytes=5 * 10**7, seconds=5.0, retries=2)
    assert "50.0 MB, 10.0 MB/s" in large.text
    assert "Retries 2" in large.text


def test_the_kind_of_a_report_is_ours() -> None:
    """Also of one that a notebook shows."""
    shown = type("NotebookWorkReport", (WorkReport,), {})
    values = {each.name: getattr(work(), each.name) for each in fields(work())}
    assert shown(**values).to_dict()["report"] == "WorkReport"


def test_a_huge_folder_is_warned_of() -> None:
    """Above ten thousand files the report offers to pack them."""
    many = ListReport(path="MyDrive/x", entries=(FILE,) * 10_001)
    assert "%mount_drive --pack" in many.text
    assert "9,951 more" in many.text
    few = ListReport(
        path="MyDrive", entries=(RemoteFile(id="2", name="d", mime_type=FOLDER),)
    )
    assert "--pack" not in few.text
    assert "1 folder, 0 files" in few.headline
    assert few.names == ["d"]

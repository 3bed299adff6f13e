"""What ``--stage`` is asked for: named as what it is, and put where it can be."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.archive import request

if TYPE_CHECKING:
    from colabmagic.drive.api.files import Files
    from tests.fakes.drive import FakeDrive


@pytest.mark.parametrize(
    ("typed", "what", "hint"),
    [
        ("MyDrive/runs", "is a folder", "--ls MyDrive/runs"),
        ("MyDrive/runs/", "is a folder", "--ls MyDrive/runs"),
        ("MyDrive/t.csv", "is one file", "download('MyDrive/t.csv', 't.csv')"),
        ("MyDrive/notes", "is a Google document", "export('MyDrive/notes', 'pdf')"),
        ("MyDrive/none.csv", "no archive", "--pack"),
        ("https://drive.google.com/file/d/1/view", "is a link", "--ls MyDrive"),
        ("http://example.org/data.tar.gz", "is a link", "--ls MyDrive"),
        ("drive://MyDrive/a b.tar", "an address", "--stage 'MyDrive/a b.tar'"),
        ("\u201cMyDrive/x.tar.gz\u201d", "curly", "--stage MyDrive/x.tar.gz"),
        ("\u2018MyDrive/x.zip\u2019", "curly", "--stage MyDrive/x.zip"),
    ],
)
def test_what_is_no_archive_is_named(
    drive: FakeDrive, files: Files, typed: str, what: str, hint: str
) -> None:
    """With a line that does what was meant."""
    drive.store.add_folder("runs")
    drive.store.add_file("t.csv", b"1,2")
    document = drive.store.add_file("notes", b"")
    document.meta["mimeType"] = "application/vnd.google-apps.document"
    with pytest.raises(errors.DriveError, match=what) as caught:
        request.refuse_no_archive(files, typed)
    assert hint in caught.value.hint


def test_an_archive_is_not_asked_for(drive: FakeDrive, files: Files) -> None:
    """Its name is enough."""
    request.refuse_no_archive(files, "MyDrive/x/data.tar.gz")
    assert drive.requests == []


def test_it_goes_to_colabs_disk_on_colab_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is called /content elsewhere."""
    (tmp_path / "content").mkdir()
    monkeypatch.setattr(request, "_COLAB", tmp_path / "content")
    with contextlib.chdir(tmp_path):
        assert request.default_folder("x.tar.gz") == tmp_path / "x"
        assert request.default_folder(".zip") == tmp_path / "data"
        monkeypatch.setenv("VERTEX_PRODUCT", "COLAB_ENTERPRISE")
        assert request.default_folder("x.zip") == tmp_path / "content" / "x"


def test_not_into_a_drive_that_is_read_only(tmp_path: Path) -> None:
    """It is said that this is Drive, with a folder that is none."""
    table = tmp_path / "mounts"
    table.write_text(
        "colabmagic /home/me/my\\040drive fuse.colabmagic ro,nosuid 0 0\n"
        "drive /content/drive fuse.drive rw 0 0\n"
    )
    inner = Path("/home/me/my drive/MyDrive/d")
    with pytest.raises(errors.TargetFullError, match="read-only") as caught:
        request.refuse_in_drive(inner, "MyDrive/a b.tar", table)
    assert "--stage 'MyDrive/a b.tar' --to " in caught.value.hint
    for other in ("/home/me/d", "/content/drive/MyDrive/d"):
        request.refuse_in_drive(Path(other), "MyDrive/x.tar", table)

"""Files that are written to Drive; with a file system of fsspec: `test_filesystem.py`."""

from __future__ import annotations

import contextlib
import gzip
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive.errors import TargetFullError
from colabmagic.drive.writer import DriveWriter, PackedOf, TextOf

if TYPE_CHECKING:
    from pathlib import Path


class Uploads:
    """Notes what is uploaded, and where it lay."""

    def __init__(self) -> None:
        self.seen: list[tuple[bytes, str]] = []
        self.places: list[Path] = []

    def __call__(self, source: Path, path: str) -> None:
        """Upload a file."""
        self.seen.append((source.read_bytes(), path))
        self.places.append(source)


def test_a_close_uploads_once_and_leaves_nothing() -> None:
    """What was written anywhere in the file; the local copy goes."""
    uploads = Uploads()
    file = DriveWriter("MyDrive/a", uploads)
    file.write(b"hallo")
    file.seek(1)
    file.write(b"e")
    assert file.tell() == 2
    file.close()
    file.close()
    assert uploads.seen == [(b"hello", "MyDrive/a")]
    assert not uploads.places[0].parent.exists()


def test_text_in_a_packer_goes_through() -> None:
    """Each layer closes the one below it."""
    uploads = Uploads()
    below = DriveWriter("MyDrive/a.gz", uploads)
    packed = PackedOf(gzip.GzipFile(fileobj=below, mode="wb"), below)
    with TextOf(packed, encoding="utf-8") as text:
        text.write("é")
    ((data, _),) = uploads.seen
    assert gzip.decompress(data) == "é".encode()


def test_what_nobody_closes_is_not_saved() -> None:
    """Nor what is discarded, nor what a block ends with an error."""
    uploads = Uploads()
    DriveWriter("MyDrive/a", uploads).write(b"x")
    thrown = DriveWriter("MyDrive/a", uploads)
    thrown.write(b"x")
    thrown.discard()
    thrown.close()
    with contextlib.suppress(KeyError), DriveWriter("MyDrive/a", uploads) as file:
        file.write(b"x")
        raise KeyError
    assert uploads.seen == []


def test_a_close_by_hand_while_an_error_is_handled_is_meant() -> None:
    """As a checkpoint that is saved when training has failed."""
    uploads = Uploads()
    file = DriveWriter("MyDrive/a", uploads)
    try:
        {}["epoch"]
    except KeyError:
        file.write(b"x")
        file.close()
    assert uploads.seen == [(b"x", "MyDrive/a")]


def test_no_room(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told with the place, and half of the file is not uploaded."""
    monkeypatch.setattr("tempfile.tempdir", str(small_disk))
    uploads = Uploads()
    file = DriveWriter("MyDrive/a", uploads)
    with pytest.raises(TargetFullError) as caught:
        file.write(bytes(8_000_000))
    assert str(small_disk) in str(caught.value.seen)
    file.close()
    assert uploads.seen == []
    assert list(small_disk.iterdir()) == []

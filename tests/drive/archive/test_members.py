"""What may be written of an archive: names, modes, amounts."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.archive import members
from tests.drive.archive.test_archives import content, tar, zip_bomb, zipped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from colabmagic.drive.archive.members import Target


def test_modes(into: Callable[..., Target], tmp_path: Path) -> None:
    """Only whether it may be run; never setuid."""
    into(tar(members={"run": b"#!"}, mode=0o6755))
    mode = (tmp_path / "target" / "run").stat().st_mode
    assert mode & 0o7000 == 0
    assert mode & 0o100


@pytest.mark.parametrize("make", ["tar", "zip"])
def test_empty_folders(into: Callable[..., Target], tmp_path: Path, make: str) -> None:
    """They are made, with those above them, and count as no file."""
    if make == "tar":
        data = tar(members={"a/b": b""}, type=tarfile.DIRTYPE)
    else:
        data = zipped({"a/b/": b""}, mode=0o40755)
    target = into(data, f"x.{make}")
    assert (tmp_path / "target" / "a" / "b").is_dir()
    assert target.files == 0


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("a", "a/b/c")])
def test_a_file_that_is_a_folder_too(
    into: Callable[..., Target], tmp_path: Path, names: tuple[str, ...]
) -> None:
    """It is told as what it is, whichever comes first; nothing is put in its place."""
    with pytest.raises(errors.UnsafeMemberError, match="both a file and a folder"):
        into(tar(members=dict.fromkeys(names, b"x")))
    assert list(content(tmp_path / "target")) == [names[0]]


def test_bombs(into: Callable[..., Target]) -> None:
    """Too large for its archive, or for what was allowed."""
    bomb = zip_bomb()
    with pytest.raises(errors.ArchiveBombError, match="200 times"):
        into(bomb, "x.zip")
    with pytest.raises(errors.ArchiveBombError, match="larger than was allowed"):
        into(tar(), max_bytes=1000)


def test_many_empty_files(
    into: Callable[..., Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name takes room too: a few bytes must not become a million files."""
    block = tarfile.TarInfo("x").tobuf()
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb") as packed:
        packed.write(block * 1400)
    monkeypatch.setattr(members, "_FREE_RATIO_BYTES", 2**20)
    with pytest.raises(errors.ArchiveBombError, match="200 times"):
        into(out.getvalue(), "x.tgz")


def test_names_that_clash(into: Callable[..., Target], tmp_path: Path) -> None:
    """The same name twice: the last one; names that differ by case: a note."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in (
            ("a", b"1"),
            ("a", b"22"),
            ("A", b"3"),
            ("é", b"4"),
            ("e\u0301", b"5"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    target = into(out.getvalue())
    assert content(tmp_path / "target")["a"] == b"22"
    assert len(target.notes) == 2


def test_names_that_no_disk_takes(into: Callable[..., Target], tmp_path: Path) -> None:
    """Refused before they cannot be removed any more."""
    for name in ("d/" * 200 + "x", "/".join(["n" * 200] * 30)):
        with pytest.raises(errors.UnsafeMemberError, match="longer or deeper"):
            into(tar(members={name: b""}))
    assert list((tmp_path / "target").iterdir()) == []

"""Tests for `colabmagic.cuda.keeping.unpack`."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.errors import ChecksumError
from colabmagic.cuda.keeping.unpack import unpack_archive
from colabmagic.cuda.keeping.write import system_folder
from tests.cuda.keeping.trees import WHAT, finished, harmful, kept, listing
from tests.cuda.unpacking.hostile import REFUSED, plain, special

if TYPE_CHECKING:
    from colabmagic.cuda.machine.facts import Kept

LIBRARIES = system_folder(WHAT.arch)


def unpacked(made: Kept, tmp_path: Path) -> Path:
    """Unpack an archive by its label."""
    root = tmp_path / "unpacked"
    unpack_archive(
        Path(made.path),
        root,
        sha256=made.sha256,
        size=made.size,
        files=made.files,
        unpacked_bytes=made.unpacked_bytes,
        system=LIBRARIES,
    )
    return root


def test_it_is_what_was_kept(tmp_path: Path) -> None:
    """Bytes, links, and what may be run; the card is written anew."""
    root = unpacked(kept(tmp_path), tmp_path)
    before = listing(tmp_path / "finished")
    del before["toolkit.json"]
    assert listing(root) == before
    assert (root / "LICENSE").stat().st_ino == (root / "LICENSE.txt").stat().st_ino


def test_all_of_it_is_hashed(tmp_path: Path) -> None:
    """Each byte counts, those behind the archive's end too."""
    made = kept(tmp_path)
    path = Path(made.path)
    whole = path.read_bytes()
    for data in (
        whole + b"\0",
        whole + gzip.compress(b""),
        whole[:4] + b"\1" + whole[5:],  # a time that gzip does not look at
    ):
        path.write_bytes(data)
        with pytest.raises(ChecksumError, match="not the archive that was kept"):
            unpacked(made, tmp_path)
    path.write_bytes(whole)
    assert unpacked(made, tmp_path)


def test_one_that_was_cut_off(tmp_path: Path) -> None:
    """It is no whole archive."""
    made = kept(tmp_path)
    path = Path(made.path)
    data = path.read_bytes()
    for size in (0, 1, 9, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(ChecksumError, match="no whole archive"):
            unpacked(made, tmp_path)
    path.write_bytes(b"\x28\xb5\x2f\xfd" + data)  # packed in no way of ours
    with pytest.raises(ChecksumError, match="no whole archive"):
        unpacked(made, tmp_path)


def test_one_that_is_made_to_harm(tmp_path: Path) -> None:
    """The label agrees with it, and it is refused all the same."""
    made = kept(tmp_path)
    before = listing(tmp_path / "finished")
    for name, members in REFUSED.items():
        harm = harmful(made, members)
        with pytest.raises(ChecksumError) as caught:
            unpacked(harm, tmp_path)
        assert "wants to write where it may not" in caught.value.what, name
        shutil.rmtree(tmp_path / "unpacked")
    assert listing(tmp_path / "finished") == before
    assert not (tmp_path / "evil").exists()


def test_links_to_this_systems_libraries(tmp_path: Path) -> None:
    """Those alone; and nothing is written through one."""
    made = kept(tmp_path)
    for target in (
        f"{LIBRARIES}/../libm.so.6",
        f"{LIBRARIES}/..",
        f"{LIBRARIES}/",
        f"{LIBRARIES}x/libm.so.6",
        "/usr/lib/libm.so.6",
    ):
        out = special("host/libm.so", tarfile.SYMTYPE, target)
        with pytest.raises(ChecksumError):
            unpacked(harmful(made, [out]), tmp_path)
    link = special("host/libm.so", tarfile.SYMTYPE, f"{LIBRARIES}/libm.so.6")
    root = unpacked(harmful(made, [link]), tmp_path)
    assert str((root / "host/libm.so").readlink()) == f"{LIBRARIES}/libm.so.6"
    through = harmful(made, [link, plain("host/libm.so/evil")])
    with pytest.raises(ChecksumError, match="write where it may not"):
        unpacked(through, tmp_path)
    over = plain("host/libm.so", b"a file in its place")
    root = unpacked(harmful(made, [link, over]), tmp_path)
    assert (root / "host/libm.so").read_bytes() == b"a file in its place"


def test_bombs(tmp_path: Path) -> None:
    """No more bytes, and no more files, than the label says."""
    made = kept(tmp_path)
    big = harmful(made, [plain("zeros", bytes(made.unpacked_bytes + 10**6))])
    with pytest.raises(ChecksumError) as caught:
        unpacked(big, tmp_path)
    assert caught.value.seen == "it holds more than was announced"
    many = harmful(made, [plain(f"{number}", b"") for number in range(2000)])
    with pytest.raises(ChecksumError) as caught:
        unpacked(replace(many, files=10), tmp_path)
    assert caught.value.seen == "it holds more than was announced"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_one_of_another_user(tmp_path: Path) -> None:
    """It may have become another's after the plan was made."""
    made = kept(tmp_path)
    os.chown(made.path, 4242, -1)
    with pytest.raises(ChecksumError) as caught:
        unpacked(made, tmp_path)
    assert "user 4242" in str(caught.value.seen)


def test_what_has_its_name_by_now(tmp_path: Path) -> None:
    """A pipe holds nobody up, and a device is not read."""
    made = kept(tmp_path)
    path = Path(made.path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ChecksumError) as caught:
        unpacked(made, tmp_path)
    assert caught.value.seen == "it is no ordinary file any more"
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(ChecksumError, match="is not used"):
        unpacked(made, tmp_path)


def test_zeros_without_end_behind_it(tmp_path: Path) -> None:
    """No more is read than the label says: gzip takes zeros one by one, for hours."""
    made = kept(tmp_path)
    os.truncate(made.path, 2**40)
    read: list[int] = []
    with pytest.raises(ChecksumError, match="not the archive that was kept"):
        unpack_archive(
            Path(made.path), tmp_path / "unpacked", sha256=made.sha256, size=made.size,
            files=made.files, unpacked_bytes=made.unpacked_bytes, system="",
            advance=read.append,
        )  # fmt: skip
    assert sum(read) <= made.size + 2**21


def test_headers_that_are_made_to_harm(tmp_path: Path) -> None:
    """A thousand of them for one member, and one with a name of gigabytes."""
    made = kept(tmp_path)
    for kind in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE):
        info = tarfile.TarInfo("x")
        info.type, info.size = kind, 2**33
        harm = packed(made, info.tobuf(tarfile.GNU_FORMAT))
        with pytest.raises(ChecksumError) as caught:
            unpacked(harm, tmp_path)
        assert caught.value.seen == "a name of 8589934592 bytes"
    info = tarfile.TarInfo("x")
    info.pax_headers = {"comment": "y"}
    one = info.tobuf(tarfile.PAX_FORMAT)[:1024]  # without the member itself
    with pytest.raises(ChecksumError, match="no whole archive"):
        unpacked(packed(made, one * 2000 + tarfile.TarInfo("x").tobuf()), tmp_path)


def packed(made: Kept, headers: bytes) -> Kept:
    """Put such a tar archive in its place, and let the label agree with it."""
    data = gzip.compress(headers + bytes(1024), 1)
    Path(made.path).write_bytes(data)
    return replace(made, sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def test_a_link_to_a_link_to_a_library(tmp_path: Path) -> None:
    """What is kept can be unpacked: as ``libm.so`` → ``libm.so.6`` → the system's."""
    root = finished(tmp_path / "finished")
    (root / "host/lib").mkdir(parents=True)
    (root / "host/lib/libm.so.6").symlink_to(f"{LIBRARIES}/libm.so.6")
    (root / "host/lib/libm.so").symlink_to("libm.so.6")
    out = unpacked(kept(tmp_path), tmp_path)
    assert str((out / "host/lib/libm.so").readlink()) == "libm.so.6"

"""Archives: what is right is unpacked, what would harm is refused and leaves nothing."""

from __future__ import annotations

import functools
import gzip
import io
import os
import random
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import py7zr
import pytest

from colabmagic.drive import errors
from colabmagic.drive.archive import zstd
from colabmagic.drive.archive.archives import content_bytes, kind_of, stem_of, unpack
from colabmagic.drive.archive.members import Target

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = {"a.txt": b"one", "deep/er/b.bin": bytes(range(256)) * 999, "deep/empty": b""}


def tar(
    how: str = "w", members: dict[str, bytes] | None = None, **changes: object
) -> bytes:
    """Return a tar of some files; each member gets the changes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=how) as archive:  # type: ignore[call-overload]
        for name, data in (members or FILES).items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            for key, value in changes.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def zipped(members: dict[str, bytes] | None = None, mode: int = 0o644) -> bytes:
    """Return a zip of some files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (members or FILES).items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system, info.external_attr = 3, mode << 16
            archive.writestr(info, data)
    return out.getvalue()


@functools.cache
def zip_bomb() -> bytes:
    """Return a zip of 100 kB that becomes 100 MiB."""
    return zipped({"a": b"1", "zeros": bytes(100 * 2**20)})


def zst(data: bytes) -> bytes:
    """Return bytes packed by Zstandard."""
    out = io.BytesIO()
    with zstd.writer(out) as packer:
        packer.write(data)
    return out.getvalue()


def seven(members: dict[str, bytes] | None = None, **options: object) -> bytes:
    """Return a 7z of some files."""
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w", **options) as archive:
        for name, data in (members or FILES).items():
            archive.writef(io.BytesIO(data), name)
    return out.getvalue()


def tar_of(*members: tarfile.TarInfo | tuple[str, bytes]) -> bytes:
    """Return a tar of members and files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for each in members:
            if isinstance(each, tuple):
                member = tarfile.TarInfo(each[0])
                member.size = len(each[1])
                archive.addfile(member, io.BytesIO(each[1]))
            else:
                archive.addfile(each)
    return out.getvalue()


def link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    """Return a link."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, to
    return member


def content(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder."""
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in folder.rglob("*")
        if each.is_file() or each.is_symlink()
    }


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.tar", tar()),
        ("X.TAR.GZ", tar("w:gz")),
        ("x.tgz", tar("w:gz")),
        ("x.tar.xz", tar("w:xz")),
        ("x.tar.bz2", tar("w:bz2")),
        ("x.tar.zst", zst(tar())),
        ("x.tar", zst(tar())),
        ("x.7z", seven()),
        ("x.zip", zipped()),
        ("x.zip", zipped({"./" + name: data for name, data in FILES.items()})),
        (
            "x.zip",
            zipped({name.replace("/", "\\"): data for name, data in FILES.items()}),
        ),
    ],
    ids=[
        "tar",
        "gz",
        "tgz",
        "xz",
        "bz2",
        "zst",
        "zst inside",
        "7z",
        "zip",
        "zip with dots",
        "zip of Windows",
    ],
)
def test_kinds(
    into: Callable[..., Target], tmp_path: Path, name: str, data: bytes
) -> None:
    """All files, with their bytes."""
    target = into(data, name)
    assert content(tmp_path / "target") == FILES
    assert target.files == 3
    assert target.written_bytes == sum(map(len, FILES.values()))
    assert target.notes == {}


def named_seven(members: dict[str, bytes]) -> bytes:
    """Return a 7z whose names its writer would refuse: put in afterwards."""
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w") as archive:
        for number, data in enumerate(members.values()):
            archive.writef(io.BytesIO(data), f"m{number}")
        for file, name in zip(archive.header.files_info.files, members, strict=True):
            file["filename"] = name
    return out.getvalue()


OUT = [
    "../x",
    "a/../../x",
    "/etc/x",
    "C:\\x",
    "a\\..\\..\\x",
    "a\nb",
    "x\x00y",
    "n" * 300,
]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind in ("tar", "zip", "7z")
        for name in OUT
        if kind == "tar" or "\x00" not in name  # the others cut such a name
    ],
)
def test_a_name_that_leads_out(
    into: Callable[..., Target], tmp_path: Path, kind: str, name: str
) -> None:
    """Refused; what came before it stays in the fresh folder, which is thrown away."""
    members = {"ok": b"1", name: b"2"}
    make = {"tar": lambda each: tar(members=each), "zip": zipped, "7z": named_seven}
    data = make[kind](members)
    if kind == "tar" and "\x00" in name:
        into(data)  # tar ends the name there
        return
    with pytest.raises(errors.UnsafeMemberError) as caught:
        into(data, f"x.{kind}")
    assert caught.value.hint
    assert set(content(tmp_path / "target")) <= {"ok"}


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.zip"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_cut_off(into: Callable[..., Target], name: str, share: float) -> None:
    """Never taken for whole."""
    data = {"x.tar": tar(), "x.tar.gz": tar("w:gz"), "x.zip": zipped()}[name]
    with pytest.raises(errors.CorruptArchiveError, match="damaged or cut off"):
        into(data[: int(len(data) * share)], name)


def test_a_wrong_byte_in_a_zip(into: Callable[..., Target]) -> None:
    """Its checksum tells."""
    data = bytearray(zipped({"a": os.urandom(5000)}))
    data[2000] ^= 1
    with pytest.raises(errors.CorruptArchiveError):
        into(bytes(data), "x.zip")


@pytest.mark.parametrize("how", ["gz", "bz2", "xz"])
def test_a_wrong_checksum_at_the_end(into: Callable[..., Target], how: str) -> None:
    """All members were right until then; still the archive is not taken for right."""
    data = bytearray(tar(f"w:{how}"))
    data[-8 if how == "gz" else -20] ^= 1
    with pytest.raises(errors.CorruptArchiveError):
        into(bytes(data), f"x.tar.{how}")


def test_an_encrypted_zip(into: Callable[..., Target]) -> None:
    """It says so."""
    data = bytearray(zipped({"a": b"secret"}))
    for at in (data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8):
        data[at] |= 1
    with pytest.raises(errors.CorruptArchiveError, match="encrypted"):
        into(bytes(data), "x.zip")


def test_names_of_archives() -> None:
    """By their endings, whatever their case."""
    named = ("a.TAR.zst", "b.tgz", "c.zip", "d.gz", "e", "f.7Z")
    assert [kind_of(each) for each in named] == [
        "tar", "tar", "zip", None, None, "7z",
    ]  # fmt: skip
    assert stem_of("data.v2.tar.gz") == "data.v2"


# --- what is made to harm ---------------------------------------------------------


@pytest.mark.parametrize("how", ["one", "chain", "padding"])
def test_headers_that_do_not_end(into: Callable[..., Target], how: str) -> None:
    """The memory is not filled, and the stack neither."""
    if how == "one":
        member = tarfile.TarInfo("x")
        member.pax_headers = {"comment": "a" * (12 * 2**20)}
        data = tar_of(member)
    elif how == "chain":
        header = tarfile.TarInfo.create_pax_global_header({"a": "b"})
        data = header * 3000 + tar()
    else:
        data = tar() + bytes(70 * 2**20)
    out = gzip.compress(data, 1)
    with pytest.raises(errors.ArchiveError):
        into(out, "x.tar.gz")


def test_an_archive_in_an_archive(into: Callable[..., Target], tmp_path: Path) -> None:
    """Is a file like any other: it is not unpacked."""
    bomb = zip_bomb()
    into(tar(members={"inner.zip": bomb}))
    assert content(tmp_path / "target") == {"inner.zip": bomb}


def test_what_a_zip_says_itself_counts_first(
    into: Callable[..., Target], tmp_path: Path
) -> None:
    """A bomb is known by its directory: not one file is written."""
    bomb = zip_bomb()
    assert content_bytes("x.zip", io.BytesIO(bomb)) == 100 * 2**20 + 4096
    assert content_bytes("x.zip", io.BytesIO(b"no zip")) is None
    assert content_bytes("x.tar", io.BytesIO(tar())) is None
    with pytest.raises(errors.ArchiveBombError, match="as it says itself"):
        into(bomb, "x.zip")
    assert content(tmp_path / "target") == {}


def test_a_zip_that_lies_about_its_size(into: Callable[..., Target]) -> None:
    """More bytes than it says are not taken, fewer are an error."""
    data = bytearray(zipped({"a": bytes(5000)}))
    for at in (data.index(b"PK\x03\x04") + 22, data.index(b"PK\x01\x02") + 24):
        data[at : at + 4] = struct.pack("<I", 6000)
    with pytest.raises(errors.CorruptArchiveError):
        into(bytes(data), "x.zip")


def test_no_end_mark(into: Callable[..., Target], tmp_path: Path) -> None:
    """A tar that is cut off between two files is not passed over in silence."""
    whole = tar(members={"a": b"1", "b": b"2"})
    target = into(whole[:1024])
    assert content(tmp_path / "target") == {"a": b"1"}
    assert any("no end mark" in note for note in target.notes)


@pytest.mark.skipif(shutil.which("tar") is None, reason="no tar program here")
def test_sparse_files(into: Callable[..., Target], tmp_path: Path) -> None:
    """With their holes as zeros; and counted as large as they become."""
    source = tmp_path.parent / f"{tmp_path.name}-sparse"
    source.mkdir()
    with (source / "holes").open("wb") as file:
        file.write(b"begin")
        file.seek(3 * 2**20)
        file.write(b"end")
        file.truncate(4 * 2**20)
    data = subprocess.run(
        ["tar", "--sparse", "-C", source, "-cf", "-", "holes"],  # noqa: S607
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    expected = (source / "holes").read_bytes()
    shutil.rmtree(source)
    assert len(data) < 2**20
    into(data)
    assert content(tmp_path / "target") == {"holes": expected}
    with pytest.raises(errors.ArchiveBombError):
        into(data, max_bytes=2**20)


def test_whatever_bytes_there_are(tmp_path: Path) -> None:
    """Wrong ones are an error of ours, or unpack to something; nothing lands outside."""
    chance = random.Random(6)  # noqa: S311 (no secret)
    links = tar_of(("a", b"1" * 700), link("l", "a"), link("h", "a", tarfile.LNKTYPE))
    whole = {
        "x.tar": links, "x.tar.gz": tar("w:gz"), "x.zip": zipped(),
        "x.tar.xz": tar("w:xz"), "x.tar.zst": zst(links), "x.tar.bz2": tar("w:bz2"),
    }  # fmt: skip
    (tmp_path / "beside").write_text("mine")
    for number in range(240):
        name = list(whole)[number % len(whole)]
        data = bytearray(whole[name])
        span = 1500 if number % 2 else len(data)
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(min(span, len(data)))] = chance.randrange(256)
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            with Target(folder, len(data), links="inside") as target:
                unpack(name, io.BytesIO(bytes(data)), target)
        except errors.DriveError:
            pass
        shutil.rmtree(folder)
    assert [each.name for each in tmp_path.iterdir()] == ["beside"]


TEN = {f"m{number}": bytes([number + 1]) * 600 for number in range(10)}
EACH = 512 + 1024  # a header and two blocks


def pax_size(value: str) -> bytes:
    """Return a tar whose one member has a size that is written beside its header."""
    member = tarfile.TarInfo("x")
    member.size, member.pax_headers = 5, {"size": value}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member, io.BytesIO(b"\0" * 5))
    return out.getvalue()


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["tar", "tar.gz"])
@pytest.mark.parametrize(
    "what",
    ["flipped", "zeroed", "two", "junk", "header cut", "size abc", "size -5", "size 1e3"],
)  # fmt: skip
def test_a_tar_that_stops_before_its_end(
    into: Callable[..., Target], what: str, pack: Callable[[bytes], bytes]
) -> None:
    """Never taken for whole: nothing but zeros may follow its last member."""
    data = bytearray(tar(members=TEN))
    at = 5 * EACH
    if what == "flipped":
        data[at + 10] ^= 255
    elif what == "zeroed":
        data[at : at + 512] = bytes(512)
    elif what == "two":
        data += tar(members={"second": b"2"})
    elif what == "junk":
        data += b"junk"
    elif what == "header cut":
        del data[at + 100 :]
    else:
        data = bytearray(pax_size(what.removeprefix("size ")))
    with pytest.raises(errors.CorruptArchiveError):
        into(pack(bytes(data)), "x.tar.gz" if pack is gzip.compress else "x.tar")


def test_names_that_this_python_cannot_write(tmp_path: Path) -> None:
    """With an ASCII file system encoding the archive is not called damaged."""
    (tmp_path / "t").mkdir()
    (tmp_path / "x.tar").write_bytes(tar(members={"\u00e4": b"1"}))
    code = (
        "import sys, pathlib\n"
        "from colabmagic.drive import errors\n"
        "from colabmagic.drive.archive.archives import unpack\n"
        "from colabmagic.drive.archive.members import Target\n"
        "try:\n"
        "    with Target(pathlib.Path('t'), 10**6) as t, open('x.tar', 'rb') as f:\n"
        "        unpack('x.tar', f, t)\n"
        "except errors.DriveError as e:\n"
        "    print(sys.getfilesystemencoding(), type(e).__name__, ascii(str(e)))\n"
    )
    env = {
        **os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    encoding, kind, text = done.stdout.split(" ", 2)
    if encoding == "utf-8":
        pytest.skip("this system has no other encoding")
    assert kind == "TargetFullError"
    assert "PYTHONUTF8=1" in text

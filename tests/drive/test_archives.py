"""Archives: what is right is unpacked, what would harm is refused and leaves nothing."""

from __future__ import annotations

import gzip
import io
import os
import random
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING

import py7zr
import pytest

from colabmagic.drive import errors, members, zstd
from colabmagic.drive.archives import content_bytes, kind_of, stem_of, unpack
from colabmagic.drive.members import Target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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


@pytest.fixture
def into(tmp_path: Path) -> Callable[..., Target]:
    """Return what unpacks into a folder that has neighbours."""
    (tmp_path / "beside").write_text("mine")
    (tmp_path / "target").mkdir()

    def run(data: bytes, name: str = "x.tar", **options: object) -> Target:
        target = Target(tmp_path / "target", len(data), **options)  # type: ignore[arg-type]
        try:
            with target:
                unpack(name, io.BytesIO(data), target)
        finally:
            assert (tmp_path / "beside").read_text() == "mine"
            assert sorted(each.name for each in tmp_path.iterdir()) == [
                "beside",
                "target",
            ]
        return target

    return run


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


@pytest.mark.parametrize("name", OUT)
@pytest.mark.parametrize("kind", ["tar", "zip", "7z"])
def test_a_name_that_leads_out(
    into: Callable[..., Target], tmp_path: Path, kind: str, name: str
) -> None:
    """Refused; what came before it stays in the fresh folder, which is thrown away."""
    if kind != "tar" and "\x00" in name:
        pytest.skip("zipfile and py7zr cut such a name")
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


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
    ],
)
def test_links_and_devices(
    into: Callable[..., Target], tmp_path: Path, kind: bytes
) -> None:
    """Refused, as they could lead out."""
    with pytest.raises(errors.UnsafeMemberError, match=r"link|device"):
        into(tar(members={"evil": b""}, type=kind, linkname="/etc"))
    with pytest.raises(errors.UnsafeMemberError, match="link"):
        into(zipped({"evil": b"/etc"}, mode=stat.S_IFLNK | 0o777), "x.zip")
    assert content(tmp_path / "target") == {}


def test_a_link_that_is_there_is_not_followed(
    into: Callable[..., Target], tmp_path: Path
) -> None:
    """Whoever puts one into the fresh folder meanwhile gains nothing."""
    (tmp_path / "target" / "deep").symlink_to(tmp_path)
    with pytest.raises(errors.UnsafeMemberError, match="both a file and a folder"):
        into(tar())


def test_modes(into: Callable[..., Target], tmp_path: Path) -> None:
    """Only whether it may be run; never setuid."""
    into(tar(members={"run": b"#!"}, mode=0o6755))
    mode = (tmp_path / "target" / "run").stat().st_mode
    assert mode & 0o7000 == 0
    assert mode & 0o100


def test_bombs(into: Callable[..., Target]) -> None:
    """Too large for its archive, or for what was allowed."""
    bomb = zipped({"zeros": bytes(100 * 2**20)})
    with pytest.raises(errors.ArchiveBombError, match="200 times"):
        into(bomb, "x.zip")
    with pytest.raises(errors.ArchiveBombError, match="larger than was allowed"):
        into(tar(), max_bytes=1000)


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


def test_an_encrypted_zip(into: Callable[..., Target]) -> None:
    """It says so."""
    data = bytearray(zipped({"a": b"secret"}))
    for at in (data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8):
        data[at] |= 1
    with pytest.raises(errors.CorruptArchiveError, match="encrypted"):
        into(bytes(data), "x.zip")


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


def test_names_of_archives() -> None:
    """By their endings, whatever their case."""
    named = ("a.TAR.zst", "b.tgz", "c.zip", "d.gz", "e", "f.7Z")
    assert [kind_of(each) for each in named] == [
        "tar", "tar", "zip", None, None, "7z",
    ]  # fmt: skip
    assert stem_of("data.v2.tar.gz") == "data.v2"


# --- links ------------------------------------------------------------------------


def test_links_that_stay_inside(into: Callable[..., Target], tmp_path: Path) -> None:
    """Made on request, by their own texts: also of folders, and of other links."""
    data = tar_of(
        link("deep/up", "../a.txt"), link("first", "second"), link("second", "./deep"),
        ("a.txt", b"one"), ("deep/b", b"two"), link("hard", "a.txt", tarfile.LNKTYPE),
        link("through", "first/../deep/up"), link("top", "."),
    )  # fmt: skip
    target = into(data, links="inside")
    folder = tmp_path / "target"
    assert (folder / "deep" / "up").readlink().as_posix() == "../a.txt"
    assert (folder / "first" / "b").read_bytes() == b"two"
    assert (folder / "through").read_bytes() == b"one"
    assert (folder / "hard").stat().st_ino == (folder / "a.txt").stat().st_ino
    assert target.notes == {}
    assert target.files == 8


OUTSIDE = {
    "absolute": [link("l", "/etc/passwd")],
    "up": [link("l", "../beside")],
    "up from a folder": [("d/f", b""), link("d/l", "../../beside")],
    "up by another": [link("a", "b/.."), link("b", "d/.."), ("d/f", b""), link("c", "a/..")],
    "in a circle": [link("a", "b"), link("b", "a")],
    "itself": [link("a", "a/x")],
    "empty": [link("a", "")],
    "hard, up": [link("l", "../beside", tarfile.LNKTYPE)],
    "hard, absolute": [link("l", "/etc/passwd", tarfile.LNKTYPE)],
    "hard, not there": [link("l", "nothing", tarfile.LNKTYPE)],
    "hard, a folder": [("d/f", b""), link("l", "d", tarfile.LNKTYPE)],
    "hard, of a link": [("f", b""), link("s", "f"), link("l", "s", tarfile.LNKTYPE)],
    "hard, through a link": [link("s", "/etc"), link("l", "s/passwd", tarfile.LNKTYPE)],
    "a file through it": [link("s", ".."), ("s/beside", b"evil")],
    "a folder in its place": [("s/f", b""), link("s", ".")],
}  # fmt: skip


@pytest.mark.parametrize("members", OUTSIDE.values(), ids=OUTSIDE)
def test_links_that_lead_out(
    into: Callable[..., Target], tmp_path: Path, members: list[tarfile.TarInfo]
) -> None:
    """Refused, and not one link is made."""
    with pytest.raises(errors.UnsafeMemberError):
        into(tar_of(*members), links="inside")
    assert not [each for each in (tmp_path / "target").rglob("*") if each.is_symlink()]


def test_links_that_lead_to_nothing(into: Callable[..., Target]) -> None:
    """Left out, and told."""
    target = into(
        tar_of(("a", b"1"), link("l", "gone"), link("m", "l")), links="inside"
    )
    assert [note for note in target.notes if "leads to nothing" in note]
    assert target.files == 1


def test_the_option_is_named(into: Callable[..., Target]) -> None:
    """Who wants links is told how."""
    with pytest.raises(errors.UnsafeMemberError) as caught:
        into(tar_of(link("l", "a")))
    assert "--links" in caught.value.hint


@pytest.mark.parametrize("to", ["ok", "../beside"])
def test_links_in_a_zip(into: Callable[..., Target], tmp_path: Path, to: str) -> None:
    """By the same policy."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("ok", "1")
        info = zipfile.ZipInfo("l")
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, to)
    if to == "ok":
        into(out.getvalue(), "x.zip", links="inside")
        assert (tmp_path / "target" / "l").read_text() == "1"
    else:
        with pytest.raises(errors.UnsafeMemberError, match="inside"):
            into(out.getvalue(), "x.zip", links="inside")


def test_links_in_a_7z(into: Callable[..., Target], tmp_path: Path) -> None:
    """By the same policy; modes are kept as far as a file may be run."""
    source = tmp_path.parent / f"{tmp_path.name}-source"
    source.mkdir()
    (source / "run").write_text("#!")
    (source / "run").chmod(0o755)
    (source / "l").symlink_to("run")
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w") as archive:
        archive.writeall(source, "d")
    shutil.rmtree(source)
    with pytest.raises(errors.UnsafeMemberError, match="link"):
        into(out.getvalue(), "x.7z")
    shutil.rmtree(tmp_path / "target" / "d")
    into(out.getvalue(), "x.7z", links="inside")
    assert (tmp_path / "target" / "d" / "l").resolve().stat().st_mode & 0o100


# --- what is made to harm ---------------------------------------------------------


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
    bomb = zipped({"zeros": bytes(100 * 2**20)})
    into(tar(members={"inner.zip": bomb}))
    assert content(tmp_path / "target") == {"inner.zip": bomb}


def test_what_a_zip_says_itself_counts_first(
    into: Callable[..., Target], tmp_path: Path
) -> None:
    """A bomb is known by its directory: not one file is written."""
    bomb = zipped({"a": b"1", "zeros": bytes(100 * 2**20)})
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


def test_names_that_no_disk_takes(into: Callable[..., Target], tmp_path: Path) -> None:
    """Refused before they cannot be removed any more."""
    for name in ("d/" * 200 + "x", "/".join(["n" * 200] * 30)):
        with pytest.raises(errors.UnsafeMemberError, match="longer or deeper"):
            into(tar(members={name: b""}))
    assert list((tmp_path / "target").iterdir()) == []


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


@pytest.mark.parametrize("what", ["encrypted", "wrong byte", "cut off", "twice"])
def test_bad_7z(into: Callable[..., Target], what: str) -> None:
    """An error of ours, whatever py7zr says."""
    data = bytearray(seven({"a": random.Random(1).randbytes(9000)}))  # noqa: S311
    if what == "encrypted":
        data = bytearray(seven({"a": b"secret"}, password="x"))  # noqa: S106
    elif what == "wrong byte":
        data[5000] ^= 1
    elif what == "cut off":
        del data[-20:]
    else:
        data = bytearray(named_seven({"a": b"1", "./a": b"2"}))
    with pytest.raises(errors.ArchiveError):
        into(bytes(data), "x.7z")


def test_packages_that_are_missing(
    into: Callable[..., Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint installs them."""
    packed, archive = zst(tar()), seven()
    for name in ("compression.zstd", "backports.zstd", "zstandard", "py7zr"):
        monkeypatch.setitem(sys.modules, name, None)
    for data, name in ((packed, "x.tar.zst"), (archive, "x.7z")):
        with pytest.raises(errors.MissingPackageError) as caught:
            into(data, name)
        assert caught.value.hint.startswith("%pip install")


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

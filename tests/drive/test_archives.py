"""Archives: what is right is unpacked, what would harm is refused and leaves nothing."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.archives import kind_of, stem_of, unpack
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
        ("x.zip", zipped()),
        ("x.zip", zipped({"./" + name: data for name, data in FILES.items()})),
        (
            "x.zip",
            zipped({name.replace("/", "\\"): data for name, data in FILES.items()}),
        ),
    ],
    ids=["tar", "gz", "tgz", "xz", "bz2", "zip", "zip with dots", "zip of Windows"],
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
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_name_that_leads_out(
    into: Callable[..., Target], tmp_path: Path, kind: str, name: str
) -> None:
    """Refused; what came before it stays in the fresh folder, which is thrown away."""
    if kind == "zip" and "\x00" in name:
        pytest.skip("zipfile cuts such a name")
    members = {"ok": b"1", name: b"2"}
    data = tar(members=members) if kind == "tar" else zipped(members)
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
    assert [kind_of(each) for each in ("a.TAR.zst", "b.tgz", "c.zip", "d.gz", "e")] == [
        "tar", "tar", "zip", None, None,
    ]  # fmt: skip
    assert stem_of("data.v2.tar.gz") == "data.v2"

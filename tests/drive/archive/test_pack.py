"""Packing: a folder becomes one archive on Drive, and that archive the folder again."""

from __future__ import annotations

import errno
import io
import os
import sys
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from google.oauth2.credentials import Credentials

from colabmagic.drive import errors
from colabmagic.drive.account.tokens import store
from colabmagic.drive.archive import pack as packing
from colabmagic.drive.archive.pack import count_hint, pack
from colabmagic.drive.archive.stage import stage
from colabmagic.drive.transfer.upload import upload
from tests.drive.archive.test_archives import content
from tests.drive.archive.test_stage import Told
from tests.drive.transfer.test_transfers import CHUNKS, fault

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.drive.api.files import Files
    from tests.fakes.drive import FakeDrive

CONTENT = {
    "a.txt": b"one",
    "b/c.bin": bytes(range(256)) * 700,
    "b/é \U0001f600": b"",
    "run": b"#!",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder; temporary files go elsewhere, and none may be left."""
    made = tmp_path / "folder"
    for name, data in CONTENT.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(data)
        os.utime(made / name, (1e9, 1e9))
    (made / "run").chmod(0o755)
    (made / "empty").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    return made


def stored(drive: FakeDrive) -> list[bytes]:
    """Return the contents of all files on Drive."""
    return [
        each.blob.read(0, each.blob.size)
        for each in drive.store.files.values()
        if each.blob is not None
    ]


@pytest.mark.parametrize(
    "name", ["x.tar", "x.tar.gz", "x.TGZ", "x.tar.xz", "x.tar.bz2", "x.tar.zst"]
)
def test_there_and_back(
    drive: FakeDrive, files: Files, folder: Path, tmp_path: Path, name: str
) -> None:
    """The same files; told in the calling thread; nothing temporary is left."""
    told = Told()
    done = pack(files, folder, f"MyDrive/sets/{name}", progress=told)
    size = sum(map(len, CONTENT.values()))
    assert (done.files, done.size, done.notes) == (4, size, ())
    assert [each[0] for each in told.steps] == [f"pack {name}", f"upload {name}"]
    assert all(each[1] == each[2] and each[3] for each in told.steps)
    assert list((tmp_path / "tmp").iterdir()) == []
    (data,) = stored(drive)
    assert len(data) == done.archive_bytes
    stage(files, f"MyDrive/sets/{name}", tmp_path / "again")
    assert content(tmp_path / "again") == CONTENT
    assert (tmp_path / "again" / "empty").is_dir()
    assert (tmp_path / "again" / "run").stat().st_mode & 0o100


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.tar.zst"])
def test_the_same_files_give_the_same_archive(
    drive: FakeDrive, files: Files, folder: Path, name: str
) -> None:
    """Byte for byte, in the order of their names, and without their owner."""
    one = pack(files, folder, f"MyDrive/{name}")
    two = pack(files, folder, f"MyDrive/{name}")
    assert one.md5 == two.md5
    (data,) = stored(drive)  # a new revision, not a second file
    if name == "x.tar":
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            members = archive.getmembers()
        assert [each.name for each in members] == [
            "a.txt", "b", "b/c.bin", "b/é \U0001f600", "empty", "run",
        ]  # fmt: skip
        assert {(each.uid, each.uname) for each in members} == {(0, "")}


def test_links_are_not_followed(files: Files, folder: Path, tmp_path: Path) -> None:
    """Left out and told, as pipes are."""
    (tmp_path / "secret").write_text("mine")
    (folder / "l").symlink_to(tmp_path / "secret")
    (folder / "all").symlink_to("/etc")
    os.mkfifo(folder / "pipe")
    done = pack(files, folder, "MyDrive/x.tar")
    assert done.files == 4
    assert done.notes == (
        "2 links were left out: 'all', 'l'",
        "1 devices or pipes were left out: 'pipe'",
    )


def test_logins_are_left_out(
    drive: FakeDrive, files: Files, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours under any name, and those of other tools; that is said. Others' JSON stays."""
    monkeypatch.setenv("COLABMAGIC_HOME", str(folder / "home"))
    login: Any = Credentials(  # type: ignore[no-untyped-call]
        None, refresh_token="SECRET-R", client_id="c", client_secret="SECRET-C",  # noqa: S106
        token_uri="https://example.org/token",  # noqa: S106
    )  # fmt: skip
    kept = store(login)
    (folder / "copy.json").write_bytes(kept.read_bytes())
    os.link(kept, folder / "linked")
    (folder / "labels.json").write_text('{"refresh_token": 1}')
    done = pack(files, folder, "MyDrive/x.tar")
    assert done.files == 5
    (note,) = done.notes
    assert note.startswith("3 logins to a Google account were left out: 'copy.json'")
    (data,) = stored(drive)
    assert b"SECRET" not in data
    assert b"labels.json" in data
    for path in (kept, folder / "copy.json"):
        with pytest.raises(errors.DrivePathError, match="is a login") as caught:
            upload(files, path, files.stat("MyDrive"), "backup")
        assert "SECRET" not in str(caught.value)
    assert len(stored(drive)) == 1


def test_names_that_would_be_refused(
    drive: FakeDrive, files: Files, folder: Path
) -> None:
    """Said now, not when the archive is staged."""
    (folder / "a\nb").write_text("")
    (folder / "a\\b").write_text("")
    with pytest.raises(errors.DrivePathError, match="2 names") as caught:
        pack(files, folder, "MyDrive/x.tar")
    assert "\n" not in str(caught.value)
    assert stored(drive) == []


def test_a_file_that_cannot_be_read(
    drive: FakeDrive, files: Files, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named, before anything is uploaded: an archive without it would not be the folder."""
    access = os.access

    def denied(path: Any, *rest: Any, **options: Any) -> bool:  # noqa: ANN401
        return path != "c.bin" and access(path, *rest, **options)

    if os.geteuid() == 0:  # who may read everything
        monkeypatch.setattr(os, "access", denied)
    else:
        (folder / "b" / "c.bin").chmod(0)
    with pytest.raises(
        errors.DrivePathError, match=r"1 files of .* cannot be read"
    ) as caught:
        pack(files, folder, "MyDrive/x.tar")
    assert "'b/c.bin'" in str(caught.value.seen)
    assert stored(drive) == []


@pytest.mark.parametrize(
    "change", ["longer", "shorter", "gone", "link", "folder", "pipe", "link above"]
)
def test_a_file_that_changes_meanwhile(
    drive: FakeDrive, files: Files, folder: Path, tmp_path: Path, change: str
) -> None:
    """No archive of half a state."""
    victim = folder / "b" / "c.bin"

    def act(_: float) -> None:
        if victim.is_symlink() or not victim.is_file():
            return  # it is done
        if change in {"longer", "shorter"}:
            victim.write_bytes(b"x" * (10 if change == "shorter" else 10**6))
        elif change == "link above":
            victim.parent.rename(tmp_path / "away")
            victim.parent.symlink_to(tmp_path / "away")
        else:
            victim.unlink()
            {
                "gone": lambda _: None,
                "link": lambda path: path.symlink_to("/etc/passwd"),
                "folder": os.mkdir,
                "pipe": os.mkfifo,
            }[change](victim)

    with pytest.raises(errors.IntegrityError, match="changed while"):
        pack(files, folder, "MyDrive/x.tar", progress=Told(act))
    assert stored(drive) == []
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_disk_that_cannot_be_read() -> None:
    """It is that of the file, and not the one that the archive is on."""

    class Broken(io.BytesIO):
        """Fails as a disk does."""

        def read(self, size: int | None = -1) -> bytes:
            """Fail."""
            raise OSError(errno.EIO, os.strerror(errno.EIO), size)

    file = packing._Counted("b/c\x1b.bin", Broken(), lambda _: None)
    with pytest.raises(errors.DrivePathError, match="to its end") as caught:
        file.read(10)
    assert caught.value.seen == os.strerror(errno.EIO)
    assert "\x1b" not in str(caught.value)


def test_what_goes_wrong(
    drive: FakeDrive, files: Files, folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Names that are none, no folder, no room, no package, no upload: one error each."""
    for name in ("x.zip", "x"):
        with pytest.raises(errors.DrivePathError, match="no name of an arch") as caught:
            pack(files, folder, f"MyDrive/{name}")
        assert caught.value.hint == f"%mount_drive --pack {folder} MyDrive/x.tar.gz"
    with pytest.raises(errors.DrivePathError, match="'MyDrive/' is a folder") as caught:
        pack(files, folder, "MyDrive/")
    assert caught.value.hint.endswith(f" MyDrive/{folder.name}.tar.gz")
    with pytest.raises(errors.DrivePathError, match="as a folder"):
        pack(files, folder / "none", "MyDrive/x.tar")
    drive.faults.load(
        [fault("status", CHUNKS, code=403, reason="storageQuotaExceeded")]
    )
    with pytest.raises(errors.StorageQuotaError):
        pack(files, folder, "MyDrive/x.tar")
    usage = type("Usage", (), {"free": 10})
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: usage)
        with pytest.raises(errors.TargetFullError):
            pack(files, folder, "MyDrive/x.tar")
    for name in ("compression.zstd", "backports.zstd", "zstandard"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(errors.MissingPackageError, match="zst") as caught:
        pack(files, folder, "MyDrive/x.tar.zst")
    assert ".tar.gz" in caught.value.hint
    assert stored(drive) == []
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_hint_for_many_files() -> None:
    """From ten thousand on; a path with quotes stays one word."""
    assert count_hint("MyDrive/a", 10_000) is None
    hint = count_hint("MyDrive/it's a", 10_001) or ""
    assert "10,001 files" in hint
    assert """--pack DIR 'MyDrive/it'"'"'s a.tar.gz'""" in hint


def test_a_disk_that_becomes_full(
    drive: FakeDrive, files: Files, small_disk: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """In the midst of packing: said so, nothing uploaded, nothing left."""
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "x").write_bytes(os.urandom(6 * 2**20))
    monkeypatch.setattr("tempfile.tempdir", str(small_disk))
    with pytest.raises(errors.TargetFullError, match="no room") as caught:
        pack(files, tmp_path / "big", "MyDrive/x.tar.gz")
    assert "TMPDIR" in caught.value.hint
    assert stored(drive) == []
    assert list(small_disk.iterdir()) == []


def test_no_place_for_temporary_files(
    files: Files, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where all disks are full: said so, in one error of ours."""

    def full() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", full)
    with pytest.raises(errors.TargetFullError, match="no room"):
        pack(files, folder, "MyDrive/x.tar.gz")

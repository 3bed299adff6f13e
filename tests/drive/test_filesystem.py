"""Drive for fsspec: as a disk for pandas and torch, with no secret in sight."""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import pickle
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from google.oauth2.credentials import Credentials

from colabmagic.drive import errors
from colabmagic.drive.filesystem import DriveFileSystem
from tests.drive.transfer.test_transfers import fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.drive import FakeDrive

TABLE = b"a,b\n1,2\n"


@pytest.fixture
def options(drive: FakeDrive) -> Iterator[dict[str, Any]]:
    """Return what leads to the Drive."""
    fsspec.register_implementation("drive", DriveFileSystem, clobber=True)
    credentials = Credentials(drive.token)  # type: ignore[no-untyped-call]
    yield {"credentials": credentials, "api_root": drive.url}
    DriveFileSystem.clear_instance_cache()


@pytest.fixture
def system(options: dict[str, Any]) -> Any:  # noqa: ANN401 (fsspec has no types)
    """Return a file system."""
    return fsspec.filesystem("drive", **options)


def stored(drive: FakeDrive, name: str) -> list[bytes]:
    """Return the contents of all files of a name."""
    return [
        each.blob.read(0, each.blob.size)
        for each in drive.store.files.values()
        if each.meta["name"] == name and each.blob is not None
    ]


def test_by_its_address(drive: FakeDrive, options: dict[str, Any]) -> None:
    """As `pandas.read_csv` and its kin open a path: read, and written as text."""
    drive.store.add_file("a.csv", TABLE)
    with fsspec.open("drive://MyDrive/a.csv", "rb", **options) as file:
        assert file.read() == TABLE
    with fsspec.open("drive://MyDrive/a.csv", "r", **options) as file:
        assert list(file) == ["a,b\n", "1,2\n"]
    with fsspec.open("drive://MyDrive/new/b.csv", "w", **options) as file:
        file.write("é\n")
    assert stored(drive, "b.csv") == ["é\n".encode()]
    with fsspec.open(
        "drive://MyDrive/c.gz", "wt", compression="gzip", **options
    ) as file:
        file.write("packed")
    with fsspec.open(
        "drive://MyDrive/c.gz", "rt", compression="gzip", **options
    ) as file:
        assert file.read() == "packed"


def test_torch(drive: FakeDrive, system: Any) -> None:  # noqa: ANN401
    """`torch.save` and `torch.load` take its files."""
    torch = pytest.importorskip("torch")
    with system.open("MyDrive/runs/ckpt.pt", "wb") as file:
        torch.save({"w": torch.arange(9)}, file)
    with system.open("drive://MyDrive/runs/ckpt.pt", "rb") as file:
        assert torch.equal(torch.load(file)["w"], torch.arange(9))
    assert len(stored(drive, "ckpt.pt")) == 1


def test_what_is_there(drive: FakeDrive, system: Any) -> None:  # noqa: ANN401
    """Listing, facts, existence, search; an error that is not absence is raised."""
    folder = drive.store.add_folder("d")
    drive.store.add_file("x.bin", b"123", folder.id)
    drive.store.add_shortcut("s", folder.id)
    assert system.ls("", detail=False) == ["MyDrive", "Shareddrives"]
    facts = {each["name"]: each for each in system.ls("drive://MyDrive/d")}
    assert facts["MyDrive/d/x.bin"]["size"] == 3
    assert facts["MyDrive/d/x.bin"]["type"] == "file"
    assert system.checksum("MyDrive/d/x.bin") == "202cb962ac59075b964b07152d234b70"
    assert system.info("MyDrive/s")["type"] == "directory"
    drive.store.add_shortcut("back", folder.id, parent=folder.id)
    assert len(system.find("MyDrive")) == 3, "a circle of folders is not walked"
    assert system.ls("MyDrive/d/back/back", detail=False)
    assert system.info("MyDrive")["type"] == "directory"
    assert system.isdir("MyDrive/d")
    assert system.isfile("MyDrive/d/x.bin")
    assert system.exists("MyDrive/d/x.bin")
    assert not system.exists("MyDrive/d/y")
    assert not system.isfile("MyDrive/none/y")
    assert system.glob("MyDrive/d/*.bin") == ["MyDrive/d/x.bin"]
    assert system.count_hint("MyDrive/d") is None
    with pytest.raises(FileNotFoundError):
        system.open("MyDrive/d/none")
    drive.faults.load([fault("status", ".", code=403, reason="accessNotConfigured")])
    with pytest.raises(errors.DriveAuthError):
        system.exists("MyDrive/d/x.bin")


def test_whole_files(drive: FakeDrive, system: Any, tmp_path: Path) -> None:  # noqa: ANN401
    """`get` and `put` go by the checked ways."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_bytes(b"1")
    system.put(str(tmp_path / "in" / "a"), "MyDrive/up/a")
    assert stored(drive, "a") == [b"1"]
    system.get("MyDrive/up/a", str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == b"1"
    assert system.cat_file("MyDrive/up/a") == b"1"
    system.makedirs("MyDrive/p/q", exist_ok=True)
    assert system.isdir("MyDrive/p/q")
    with pytest.raises(FileExistsError):
        system.mkdir("MyDrive/p/q")


@pytest.mark.parametrize("mode", ["wb", "w"])
def test_a_block_that_fails_writes_nothing(
    drive: FakeDrive, options: dict[str, Any], system: Any, mode: str  # noqa: ANN401
) -> None:  # fmt: skip
    """What was there stays; neither `fsspec.open` nor a text file tells us of the error."""
    drive.store.add_file("keep", b"old")
    half: Any = b"half" if mode == "wb" else "half"

    def fail(opened: Any) -> None:  # noqa: ANN401
        with opened as file:
            file.write(half)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail(system.open("MyDrive/keep", mode))
    with pytest.raises(ZeroDivisionError):
        fail(fsspec.open("drive://MyDrive/keep", mode, **options))
    assert stored(drive, "keep") == [b"old"]


def test_written_while_an_error_is_handled(drive: FakeDrive, system: Any) -> None:  # noqa: ANN401
    """As a checkpoint is saved in an `except`: that error is not of the writing."""
    try:
        int("x")
    except ValueError:
        with system.open("MyDrive/rescue", "wb") as file:
            file.write(b"saved")
    assert stored(drive, "rescue") == [b"saved"]


def test_never_closed(drive: FakeDrive, system: Any) -> None:  # noqa: ANN401
    """Not uploaded behind the user's back."""
    file = system.open("MyDrive/lost", "wb")
    file.write(b"x")
    del file
    assert stored(drive, "lost") == []


def test_an_upload_that_fails_is_an_error(drive: FakeDrive, system: Any) -> None:  # noqa: ANN401
    """Closing says so."""
    drive.store.storage_limit = 2
    file = system.open("MyDrive/big", "wb")
    file.write(b"xxx")
    with pytest.raises(errors.StorageQuotaError):
        file.close()
    assert file.closed
    with pytest.raises(errors.DrivePathError, match="append"):
        system.open("MyDrive/big", "ab")


def test_no_room_before_the_upload(
    drive: FakeDrive,
    system: Any,  # noqa: ANN401
    small_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Said so; Drive has nothing of it, and nothing is left here."""
    monkeypatch.setattr("tempfile.tempdir", str(small_disk))
    file = system.open("MyDrive/big", "wb")
    with pytest.raises(errors.TargetFullError, match="no room"):
        file.write(bytes(6 * 2**20))
    file.close()  # a part is not uploaded
    assert stored(drive, "big") == []
    assert list(small_disk.iterdir()) == []
    with pytest.raises(errors.DrivePathError, match="where it begins"):
        system.open("elsewhere/big", "wb")


def test_nothing_secret(
    drive: FakeDrive,
    options: dict[str, Any],
    system: Any,  # noqa: ANN401
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither in what is shown, nor logged, nor saved."""
    caplog.set_level(logging.DEBUG)
    drive.store.add_file("a", b"1")
    with system.open("MyDrive/a") as file:
        shown = [
            repr(system),
            str(system.storage_options),
            system.to_json(),
            repr(file),
        ]
        file.read()
    opened = fsspec.open("drive://MyDrive/a", **options)
    shown += [repr(opened), system._fs_token, caplog.text]
    data = pickle.dumps(system)
    assert all(drive.token not in text for text in shown)
    assert "Credentials object" not in "".join(shown)
    assert drive.token.encode() not in data
    assert json.loads(system.to_json())["api_root"] == drive.url
    assert system is fsspec.filesystem("drive", **options)


def test_in_another_process(
    drive: FakeDrive, tmp_path: Path, options: dict[str, Any]
) -> None:
    """A file of credentials goes along by its name, an object does not."""
    key = tmp_path / "login.json"
    key.write_text(
        json.dumps(
            {
                "type": "authorized_user", "client_id": "i", "client_secret": "s",
                "refresh_token": "r", "token_uri": f"{drive.url}/token",
            }
        )
    )  # fmt: skip
    key.chmod(0o600)
    system = DriveFileSystem(credentials=str(key), api_root=drive.url)
    again = pickle.loads(pickle.dumps(system))  # noqa: S301 (our own)
    assert again.storage_options == {"credentials": str(key), "api_root": drive.url}
    assert DriveFileSystem(**options).storage_options == {"api_root": drive.url}


def test_closed_while_an_error_is_handled(drive: FakeDrive, system: Any) -> None:  # noqa: ANN401
    """As who saves on Ctrl-C does it, with a file of before: closing it saves it."""
    ways: dict[str, dict[str, Any]] = {
        "bytes": {"mode": "wb"}, "text": {"mode": "w"},
        "packed": {"mode": "wb", "compression": "gzip"},
        "packed text": {"mode": "w", "compression": "gzip"},
    }  # fmt: skip

    def save(out: Any) -> None:  # noqa: ANN401
        try:
            raise KeyboardInterrupt  # noqa: TRY301 (it comes from anywhere)
        except KeyboardInterrupt:
            out.write(b"saved" if "b" in way["mode"] else "saved")
            out.close()

    ways["inferred"] = {"mode": "wb", "compression": "infer"}
    for name, way in ways.items():
        save(system.open(f"MyDrive/{name}", **way))
        (found,) = stored(drive, name)
        assert (gzip.decompress(found) if "packed" in name else found) == b"saved"

    @contextlib.contextmanager
    def saver(out: Any) -> Iterator[None]:  # noqa: ANN401
        with contextlib.suppress(KeyboardInterrupt):
            try:
                yield
            except KeyboardInterrupt:
                out.write(b"saved")
                out.close()

    with saver(system.open("MyDrive/own", "wb")):
        raise KeyboardInterrupt
    assert stored(drive, "own") == [b"saved"]


@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize("mode", ["wb", "w"])
def test_an_error_that_leaves_the_block_of_a_file(
    drive: FakeDrive,
    options: dict[str, Any],
    system: Any,  # noqa: ANN401
    mode: str,
    compression: str | None,
) -> None:
    """Whoever closes the file for it: what is half is not saved."""
    half: Any = b"half" if mode == "wb" else "half"
    how = {"mode": mode, "compression": compression}

    def fail(block: Any) -> None:  # noqa: ANN401
        with block as file:
            file.write(half)
            raise ZeroDivisionError

    for block in (
        system.open("MyDrive/x", **how),
        fsspec.open("drive://MyDrive/x", **how, **options),
        contextlib.closing(system.open("MyDrive/x", **how)),
    ):
        with pytest.raises(ZeroDivisionError):
            fail(block)
        assert stored(drive, "x") == []

"""Drive as a folder, through the real FUSE, from the Drive on loopback."""

from __future__ import annotations

import errno
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials

from colabmagic.drive import errors
from colabmagic.drive.api.files import Files
from colabmagic.drive.api.http import Transport
from colabmagic.drive.mounting import fuse
from colabmagic.drive.mounting.fuse_daemon import Folder, number_of
from colabmagic.drive.watching.mounts import drive_mounts, mount_at
from colabmagic.drive.watching.probe import Health
from colabmagic.drive.watching.watch import Watcher
from colabmagic.host.child import left_behind
from tests.drive.api.raw import RawServer, reply
from tests.fakes.fuse import why_not

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.drive import FakeDrive

needs_fuse = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


def some_bytes(count: int) -> bytes:
    """Return bytes that no two places share."""
    return random.Random(count).randbytes(count)  # noqa: S311 (no secret)


@pytest.fixture
def credentials(drive: FakeDrive) -> Any:  # noqa: ANN401 (google-auth has no types)
    """Return credentials that the Drive on loopback takes."""
    return Credentials(drive.token)  # type: ignore[no-untyped-call]


@pytest.fixture
def folder(tmp_path: Path, drive: FakeDrive, credentials: Any) -> Iterator[Path]:  # noqa: ANN401
    """Yield Drive as a folder; neither mount nor process is left."""
    path = tmp_path / "my drive"
    fuse.mount(path, credentials=credentials, api_root=drive.url)
    daemon = fuse._daemons[str(path)]
    yield path
    fuse.unmount(path)
    assert mount_at(path) is None
    assert daemon.returncode is not None
    assert left_behind() == 0


@needs_fuse
def test_files_are_there_to_read(drive: FakeDrive, folder: Path) -> None:
    """Folders, files with size and time, shared drives, shortcuts: with ordinary calls.

    Nothing can be written, and a shortcut to a folder above is no endless tree.
    """
    store = drive.store
    data = store.add_folder("data é")
    store.add_file("a.txt", b"hello", data.id, modifiedTime="2026-01-02T03:04:05.000Z")
    store.add_shortcut("short", data.id)
    store.add_shortcut("again", data.id, data.id)
    store.add_file("z", b"9", store.add_drive("team"))
    assert sorted(os.listdir(folder)) == ["MyDrive", "Shareddrives"]  # noqa: PTH208
    assert sorted(os.listdir(folder / "MyDrive")) == ["data é", "short"]  # noqa: PTH208
    file = folder / "MyDrive/data é/a.txt"
    assert file.read_bytes() == b"hello"
    assert (file.stat().st_size, file.stat().st_mtime) == (5, 1767323045)
    assert (folder / "MyDrive/short/a.txt").read_bytes() == b"hello"
    assert (folder / "MyDrive/short").stat().st_ino == file.parent.stat().st_ino
    assert (folder / "Shareddrives/team/z").read_bytes() == b"9"
    assert not (folder / "MyDrive/none").exists()
    assert not (folder / "MyDrive/data é/a.txt/x").exists()
    assert os.getxattr(file, "user.drive.md5") == b"5d41402abc4b2a76b9719d911017c592"

    with pytest.raises(OSError, match="Read-only file system"):
        (folder / "MyDrive/new").write_bytes(b"x")
    mounted = mount_at(folder)
    assert mounted is not None
    assert mounted.readonly
    assert mounted in drive_mounts()

    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        (file.parent / "again").stat()


@needs_fuse
def test_few_requests_do_for_large_files_and_folders(
    drive: FakeDrive, folder: Path
) -> None:
    """In order few large requests suffice; jumps fetch what they need; all bytes are right.

    Walking a folder of many files costs its pages, not a request for each file.
    """
    data = some_bytes(6 * 2**20 + 12345)
    drive.store.add_file("big", data)
    path = folder / "MyDrive/big"
    assert path.read_bytes() == data
    assert drive.operations["files.get media"] <= 5
    with path.open("rb", buffering=0) as file:
        for place in (len(data) - 5, 3_000_000, 0, 5_000_001):
            file.seek(place)
            assert file.read(4096) == data[place : place + 4096]

    many = drive.store.add_folder("many")
    drive.store.add_many(1500, many.id)
    drive.reset_counters()
    entries = list(os.scandir(folder / "MyDrive/many"))
    assert len(entries) == 1500
    assert sum(entry.stat().st_size for entry in entries) == 15000
    assert drive.operations["files.list"] <= 3


@needs_fuse
def test_no_fault_gives_out_wrong_bytes(drive: FakeDrive, folder: Path) -> None:
    """A file that does not have Drive's MD5 ends in an error; the next try is right.

    Faults that pass are not seen; refusals are numbers that programs know, in words in
    an attribute of the folder.
    """
    data = some_bytes(300_000)
    drive.store.add_file("x", data)
    drive.faults.load([{"kind": "corrupt", "match": "alt=media"}])
    path = folder / "MyDrive/x"
    with pytest.raises(OSError, match="Input/output error"):
        path.read_bytes()
    why = os.getxattr(folder, "user.colabmagic.why").decode()
    assert "x did not arrive as it is on Drive" in why
    assert path.read_bytes() == data

    # Resets, refusals and wrong ranges are asked for again.
    data = some_bytes(200_000)
    drive.store.add_file("y", data)
    drive.faults.load(
        [
            {"kind": kind, "match": "alt=media"}
            for kind in ("reset", "wrong_content_range", "truncate", "ignore_range")
        ]
    )
    assert (folder / "MyDrive/y").read_bytes() == data
    assert drive.faults.left == 0

    # A file that changes on Drive meanwhile: never a mixture, never cut.
    entry = drive.store.add_file("w", b"old and short")
    path = folder / "MyDrive/w"
    for new in (b"a new and longer text", b"THE SAME LENGTH TEXT!"):
        assert path.stat().st_size
        drive.store.set_content(entry.id, new)
        with pytest.raises(OSError, match="Input/output error"):
            path.read_bytes()
        assert path.read_bytes() == new

    # A quota is no I/O error.
    drive.store.add_file("z", b"1")
    drive.faults.load(
        [
            {
                "kind": "status",
                "code": 403,
                "reason": "downloadQuotaExceeded",
                "match": "alt=media",
                "times": 100,
            }
        ]
    )
    with pytest.raises(OSError, match="quota") as caught:
        (folder / "MyDrive/z").read_bytes()
    assert caught.value.errno == errno.EDQUOT
    assert (
        "downloadQuotaExceeded" in os.getxattr(folder, "user.colabmagic.why").decode()
    )


@needs_fuse
def test_odd_names_are_there_and_credentials_are_not(
    drive: FakeDrive, folder: Path
) -> None:
    """Twice the same name, a slash, a document: each is there under a name of its own.

    The daemon has no credentials in its arguments, variables and files.
    """
    store = drive.store
    old = store.add_file("a.csv", b"old", modifiedTime="2026-01-01T00:00:00.000Z")
    store.add_file("a.csv", b"newer", modifiedTime="2026-02-01T00:00:00.000Z")
    store.add_file("in/out", b"slash")
    document = store.add_document("Plan", {"text/plain": b"text"})
    mine = folder / "MyDrive"
    assert (mine / "a.csv").read_bytes() == b"newer"
    assert (mine / f"a (id {old.id}).csv").read_bytes() == b"old"
    assert (mine / "in\uff0fout").read_bytes() == b"slash"
    (stub,) = mine.glob("Plan.g*")
    assert json.loads(stub.read_bytes())["doc_id"] == document.id
    assert len(os.listdir(mine)) == 4  # noqa: PTH208

    process = Path("/proc") / str(fuse._daemons[str(folder)].pid)
    for place in ("cmdline", "environ"):
        assert drive.token.encode() not in (process / place).read_bytes()
    opened = [os.readlink(each) for each in (process / "fd").iterdir()]  # noqa: PTH115
    assert not [name for name in opened if name.startswith(str(folder.parent))]


@needs_fuse
def test_a_killed_daemon_is_replaced_by_the_watcher(
    drive: FakeDrive,
    folder: Path,
    credentials: Any,  # noqa: ANN401
) -> None:
    """`mount` is what heals it; mounting what works changes nothing."""
    drive.store.add_file("x", b"1")

    def again() -> object:
        return fuse.mount(folder, credentials=credentials, api_root=drive.url)

    before = fuse._daemons[str(folder)]
    assert again() == mount_at(folder)
    assert fuse._daemons[str(folder)] is before
    before.kill()
    before.wait()
    watch = Watcher(folder, remount=again, notify=list)
    assert watch.check_now().health is Health.ALIVE
    assert watch.status().healed == 1
    assert (folder / "MyDrive/x").read_bytes() == b"1"


@needs_fuse
def test_a_folder_in_use_stays(
    drive: FakeDrive, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is open is named, with what to do; one that hangs is taken away all the same."""
    drive.store.add_file("x y", b"1")
    with (folder / "MyDrive/x y").open("rb"):
        with pytest.raises(errors.MountFailedError, match="is in use") as caught:
            fuse.unmount(folder)
        assert f"'{folder}/MyDrive/x y'" in str(caught.value.seen)
    monkeypatch.chdir(folder)
    with pytest.raises(errors.MountFailedError, match="is in use"):
        fuse.unmount(folder)
    monkeypatch.undo()

    # A folder that hangs can be taken away all the same; its process ends.
    daemon = fuse._daemons[str(folder)]
    monkeypatch.setattr(fuse, "_END_S", 0.2)
    monkeypatch.setattr(fuse, "_ANSWER_S", 0.3)
    daemon.send_signal(signal.SIGSTOP)
    time.sleep(0.05)  # until its threads have heard
    fuse.unmount(folder)
    assert daemon.returncode is not None


@needs_fuse
@pytest.mark.parametrize("how", ["kill", "exit"])
def test_ends_with_the_process_that_mounted_it(
    tmp_path: Path, drive: FakeDrive, how: str
) -> None:
    """A process that is killed, or just ends, leaves neither mount nor daemon behind."""
    path = tmp_path / "drive"
    code = (
        "import pathlib, sys; from google.oauth2.credentials import Credentials\n"
        "from colabmagic.drive.mounting import fuse\n"
        "token, url = sys.stdin.readline().split()\n"
        "fuse.mount(pathlib.Path(sys.argv[1]), credentials=Credentials(token), api_root=url)\n"
        "print(next(iter(fuse._daemons.values())).pid, flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-W", "error::ResourceWarning", "-c", code, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{drive.token} {drive.url}\n")
        process.stdin.flush()
        daemon = int(process.stdout.readline())
        assert mount_at(path) is not None
        if how == "kill":
            process.kill()
        _, complaint = process.communicate(timeout=20)
        assert complaint == ""
    end = time.monotonic() + 10
    while mount_at(path) is not None or _runs(daemon):
        assert time.monotonic() < end
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has asked how it ended does not."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("utf-8")
    except OSError:
        return False
    return "State:\tZ" not in status


@needs_fuse
def test_credentials_that_are_no_good_make_no_folder(
    tmp_path: Path, drive: FakeDrive
) -> None:
    """Drive's refusal comes home as an error of its class; nothing is mounted."""
    path = tmp_path / "drive"
    wrong = Credentials("ya29.wrong")  # type: ignore[no-untyped-call]
    with pytest.raises(errors.GrantExpiredError) as caught:
        fuse.mount(path, credentials=wrong, api_root=drive.url)
    assert "ya29" not in str(caught.value)
    assert mount_at(path) is None
    assert str(path) not in fuse._daemons


@needs_fuse
def test_what_is_in_the_way_is_said(
    tmp_path: Path,
    drive: FakeDrive,
    credentials: Any,  # noqa: ANN401
) -> None:
    """Files in the folder would be hidden; a file is no folder; other mounts are not ours."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full/a\nb").touch()
    (tmp_path / "file").touch()

    def mount(path: Path) -> errors.MountpointError:
        with pytest.raises(errors.MountpointError) as caught:
            fuse.mount(path, credentials=credentials, api_root=drive.url)
        return caught.value

    full = mount(tmp_path / "full")
    assert full.seen == "'a\\nb'"
    assert full.hint == f"%mount_drive {tmp_path}/full --move-aside"
    assert mount(tmp_path / "file").seen == "File exists"
    assert mount(Path("/proc")).what == "something else is mounted at /proc"
    with pytest.raises(errors.MountpointError, match="not ours to unmount"):
        fuse.unmount(Path("/proc"))


def test_without_fuse_it_is_said_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No device, no right, no package, no libfuse: each has its error."""
    device = tmp_path / "fuse"
    monkeypatch.setattr(fuse, "_DEVICE", device)
    assert (
        fuse.can_mount() == "this machine has no FUSE, so Drive cannot be a folder here"
    )
    with pytest.raises(errors.MountUnsupportedError, match="--mode api"):
        fuse.mount(tmp_path / "x", credentials=None)  # type: ignore[arg-type]
    device.touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "may not use FUSE" in (fuse.can_mount() or "")
    monkeypatch.undo()
    monkeypatch.setattr(fuse, "_DEVICE", device)
    monkeypatch.setattr(fuse.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(errors.MissingPackageError) as caught:
        fuse.mount(tmp_path / "x", credentials=None)  # type: ignore[arg-type]
    assert caught.value.hint == "%pip install 'colabmagic[fuse]'"
    monkeypatch.setattr(fuse.importlib.util, "find_spec", lambda _: 1)
    monkeypatch.setattr(fuse, "program", lambda _: None)
    assert fuse.can_mount() == "libfuse is not installed"


def test_credentials_that_cannot_travel_are_refused(tmp_path: Path) -> None:
    """The error names their kind, and nothing of what they hold."""

    class Bound:
        def __init__(self) -> None:
            self.token = lambda: "ya29.secret"

    with pytest.raises(errors.MountUnsupportedError) as caught:
        fuse._packed(tmp_path, Bound(), None, None)  # type: ignore[arg-type]
    assert "Bound" in str(caught.value.seen)
    assert "secret" not in str(caught.value)


def test_a_service_account_can_travel(tmp_path: Path) -> None:
    """Its key goes through the pipe: the daemon renews the login by itself."""
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    info = {"client_email": "a@b", "token_uri": "http://x", "private_key": key.decode()}
    account = service_account.Credentials.from_service_account_info(info)  # type: ignore[no-untyped-call]
    sent = pickle.loads(fuse._packed(tmp_path, account, "http://root/", "team"))  # noqa: S301 (ours)
    assert sent["credentials"].sign_bytes(b"x") == account.sign_bytes(b"x")
    assert (sent["path"], sent["api_root"]) == (str(tmp_path), "http://root")
    assert sent["drive_id"] == "team"


def test_each_error_has_a_number() -> None:
    """What programs see: the closest number of the system, EIO for the rest."""

    def number(kind: type[errors.DriveError]) -> str:
        return errno.errorcode[number_of(kind("x", hint="y"))]

    assert {
        kind.__name__: number(kind)
        for kind in (
            errors.DriveFileNotFoundError, errors.GrantExpiredError,
            errors.RateLimitedError, errors.DailyLimitError, errors.StorageQuotaError,
            errors.ConnectionFailedError, errors.IntegrityError, errors.ServerFailedError,
        )
    } == {
        "DriveFileNotFoundError": "ENOENT", "GrantExpiredError": "EACCES",
        "RateLimitedError": "EBUSY", "DailyLimitError": "EDQUOT",
        "StorageQuotaError": "ENOSPC", "ConnectionFailedError": "ETIMEDOUT",
        "IntegrityError": "EIO", "ServerFailedError": "EIO",
    }  # fmt: skip


@pytest.mark.parametrize(
    "when", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "soon", ""]
)
def test_a_time_that_is_none(when: str) -> None:
    """The file is there all the same, as of the beginning of time."""
    meta = {"id": "x", "name": "x", "mimeType": "text/plain", "modifiedTime": when}
    with RawServer(lambda _: [reply(json.dumps({"files": [meta]}).encode())]) as server:
        login = Credentials("valid-token")  # type: ignore[no-untyped-call]
        folder = Folder(Files(Transport(login, server.url)), lambda: None)
        try:
            found = folder.getattr("/MyDrive/x")
        finally:
            folder.destroy("/")
    assert (found["st_mtime"], found["st_size"]) == (0, 0)

"""What ``%mount_drive`` does, without IPython: one mount or connection a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.drive import errors, service, verbs
from colabmagic.drive.client import connect
from colabmagic.drive.mounting import fuse
from colabmagic.drive.service import Access, Plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.drive import FakeDrive

PLAIN: dict[str, str] = {}
needs_fuse = pytest.mark.skipif(
    fuse.can_mount() is not None, reason=f"no folder of Drive: {fuse.can_mount()}"
)


@pytest.fixture
def access(login: Path) -> Iterator[Access]:
    """Yield a login for the Drive; afterwards nothing is mounted."""
    yield Access(credentials=str(login))
    service.unmount()


def test_status_without_a_mount(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is logged in is known without a folder too."""
    assert access.credentials is not None
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", access.credentials)
    state = service.status()
    assert state.mode is None
    assert state.account is not None
    assert state.ok


def test_status_of_a_login_that_has_run_out(
    drive: FakeDrive, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connected once is not connected now: what to type is told, also before a mount."""
    service.mount(Plan(mode="api", access=access), env=PLAIN)
    drive.store.revoked_refresh_tokens.add("SECRET-R")
    service.client().files.transport.credentials.expiry = datetime(2020, 1, 1)  # type: ignore[attr-defined] # noqa: DTZ001
    state = service.status()
    assert not state.ok
    assert state.headline == "Drive: NOT REACHED"
    service.unmount()
    assert access.credentials is not None
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", access.credentials)
    before = service.status()
    assert before.headline == "Drive: NOT MOUNTED"
    for each in (state, before):
        assert "account and quota are not known" in each.text
        assert "invalid_grant" in each.text
        assert each.text.count("%mount_drive --login --client client.json") == 1
        assert "does not renew the login" in each.to_dict()["refused"]


def test_a_file_that_is_not_here(tmp_path: Path) -> None:
    """The one that was probably meant is named, in a line that can be typed."""
    (tmp_path / "my ckpt.pt").write_bytes(b"1")
    with pytest.raises(errors.DrivePathError, match="there is no file") as caught:
        verbs.save(str(tmp_path / "my ckp.pt"), "MyDrive/runs/")
    line = f"%mount_drive --save '{tmp_path}/my ckpt.pt' MyDrive/runs/"
    assert caught.value.hint == f"did you mean {line}"
    with pytest.raises(errors.DrivePathError) as caught:
        verbs.save(str(tmp_path / "none" / "x.pt"), "MyDrive/runs/")
    assert caught.value.hint == "look at its name"
    with pytest.raises(errors.DrivePathError) as caught:
        verbs.save(str(tmp_path), "MyDrive/runs/")
    assert caught.value.hint.endswith('.tar.gz"')  # which every Python can make


def test_connecting_and_leaving(drive: FakeDrive, access: Access) -> None:
    """Without a folder: the account is told, later verbs use the same login."""
    report = service.mount(Plan(mode="api", access=access), env=PLAIN)
    assert report.path is None
    assert report.account is not None
    assert report.account.user == "u…@example.com"  # notebooks get shared
    assert not report.watched
    drive.store.add_file("a.bin", b"1")
    assert verbs.ls("MyDrive").names == ["a.bin"]
    assert service.status().ok
    assert service.client() is service.client()
    gone = service.unmount()
    assert gone.verdict == "DISCONNECTED"
    assert service.status().mode is None
    assert service.unmount().verdict == "NOTHING WAS MOUNTED"


def test_a_connection_that_is_refused_changes_nothing(
    access: Access, tmp_path: Path
) -> None:
    """The one that is there stays."""
    service.mount(Plan(mode="api", access=access), env=PLAIN)
    missing = Access(credentials=str(tmp_path / "none.json"))
    with pytest.raises(errors.NoCredentialsError):
        service.mount(Plan(mode="api", access=missing), env=PLAIN)
    assert service.status().ok
    with pytest.raises(errors.MountUnsupportedError, match="--cd needs"):
        service.mount(Plan(mode="api", access=access, folder="x"), env=PLAIN)


def test_a_login_that_ran_out_is_looked_for_again(
    drive: FakeDrive, access: Access, tmp_path: Path
) -> None:
    """After a new login, by whatever tool, the same line works."""
    service.mount(Plan(mode="api", access=access), env=PLAIN)
    service.client().files.transport.credentials.expiry = datetime(2020, 1, 1)  # noqa: DTZ001 (google-auth's are naive)
    drive.store.revoked_refresh_tokens.add("SECRET-R")
    with pytest.raises(errors.GrantExpiredError):
        verbs.ls("MyDrive")
    login = json.loads((tmp_path / "login.json").read_text())
    (tmp_path / "login.json").write_text(json.dumps({**login, "refresh_token": "new"}))
    assert verbs.ls("MyDrive").names == []


def test_what_comes_and_goes(drive: FakeDrive, access: Access, tmp_path: Path) -> None:
    """Pack, stage and save, each with its figures."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.txt").write_text(str(number))
    told: list[tuple[str, Any]] = []

    class Teller:
        def start(self, what: str, total: float | None = None) -> None:
            told.append((what, total))

        def advance(self, amount: float = 1) -> None:
            told.append(("advance", amount))

        def finish(self, summary: str = "") -> None:
            told.append(("finish", summary))

    packed = verbs.pack(str(folder), "MyDrive/x/many.tar", access, progress=Teller())
    assert (packed.files, packed.bytes, packed.retries) == (5, 5, 0)
    assert packed.requests > 0
    drive.faults.load(
        [{"kind": "status", "code": 503, "match": "alt=media", "times": 1}]
    )
    staged = verbs.stage(
        "MyDrive/x/many.tar", str(tmp_path / "here"), access, progress=Teller()
    )
    assert (staged.files, staged.bytes) == (5, 5)
    assert staged.retries == 1
    assert staged.md5 == packed.md5
    saved = verbs.save(str(folder / "1.txt"), "MyDrive/x/", access, progress=Teller())
    assert saved.path == "MyDrive/x/1.txt"
    assert ("upload 1.txt", 1) in told
    assert told[-1] == ("finish", "")
    with pytest.raises(errors.DrivePathError, match="is a folder") as caught:
        verbs.save(str(folder), "MyDrive/x/", access)
    assert "--pack" in caught.value.hint


@needs_fuse
def test_a_folder_and_its_end(drive: FakeDrive, access: Access, tmp_path: Path) -> None:
    """It is watched, entered and left; no thread, folder or mount stays."""
    inner = drive.store.add_folder("My proj")
    drive.store.add_file("a.txt", b"1", inner.id)
    mount = tmp_path / "drive"
    here = os.getcwd()  # noqa: PTH109
    plan = Plan(path=mount, mode="fuse", access=access, folder="My Drive/My proj")
    try:
        report = service.mount(plan, env=PLAIN)
        assert (report.mode, report.readonly, report.watched) == ("fuse", True, True)
        assert report.folder == mount / "MyDrive" / "My proj"
        assert os.listdir(".") == ["a.txt"]  # noqa: PTH208
        state = service.status()
        assert (state.mode, state.health, state.watched) == ("fuse", "alive", True)
        with pytest.raises(errors.DrivePathError, match="leads out of"):
            service.mount(Plan(path=mount, mode="fuse", folder="../x"), env=PLAIN)
        assert service.watcher() is not None
        service.stop()
        assert service.watcher() is None
        assert service.status().health == "alive"
        gone = service.unmount()
        assert "working directory" in gone.notes[0]
        assert os.getcwd() == str(tmp_path)  # noqa: PTH109
    finally:
        os.chdir(here)
    assert not list(mount.iterdir())
    assert not [each for each in threading.enumerate() if "drive-watch" in each.name]


@needs_fuse
def test_a_shared_drive_is_the_top_of_the_folder(
    drive: FakeDrive, access: Access, tmp_path: Path
) -> None:
    """Paths begin in it, as they do for the API; another one means another folder."""
    teams = [drive.store.add_drive(name) for name in ("team", "other")]
    for number, team in enumerate(teams):
        drive.store.add_file("a.txt", str(number).encode(), team)
    drive.store.add_file("mine.txt", b"mine")
    mount = tmp_path / "drive"
    wish = Plan(path=mount, mode="fuse", watch=False)
    try:
        for number, team in enumerate(teams):
            wished = replace(access, drive_id=team)
            service.mount(replace(wish, access=wished), env=PLAIN)
            top = sorted(os.listdir(mount))  # noqa: PTH208
            assert top == ["MyDrive", "Shareddrives", "a.txt"]
            assert (mount / "a.txt").read_text() == str(number)
            assert (mount / "MyDrive/mine.txt").read_text() == "mine"
        assert service.mount(wish, env=PLAIN).reused  # what is left out stays
        assert (mount / "a.txt").read_text() == "1"
        assert [each.name for each in service.client().ls("/a.txt")] == ["a.txt"]
    finally:
        service.unmount()
    with pytest.raises(errors.DriveFileNotFoundError):
        service.mount(replace(wish, access=replace(access, drive_id="none")), env=PLAIN)
    assert not list(mount.iterdir())


@needs_fuse
def test_a_folder_that_is_there_is_used(access: Access, tmp_path: Path) -> None:
    """It stays for lines that name none, for the API, and where the new one cannot be."""
    mount, here = tmp_path / "drive", os.getcwd()  # noqa: PTH109
    service.mount(Plan(path=mount, access=access), env=PLAIN)
    try:
        again = service.mount(Plan(folder="MyDrive"), env=PLAIN)
        assert (again.path, again.reused) == (mount, True)
        assert again.folder == mount / "MyDrive"
        for wrong in (mount / "MyDrive" / "drive", tmp_path / "login.json" / "x"):
            with pytest.raises(errors.MountpointError, match="cannot be a folder"):
                service.mount(Plan(path=wrong, access=access), env=PLAIN)
        (tmp_path / "full" / "mine").mkdir(parents=True)
        with pytest.raises(errors.MountpointError, match="is not empty"):
            service.mount(
                Plan(path=tmp_path / "full", mode="fuse", access=access), env=PLAIN
            )
        watcher = service.watcher()  # of what is still there
        assert watcher is not None
        assert watcher.status().running
        beside = service.mount(
            Plan(path=tmp_path / "other", mode="api", access=access), env=PLAIN
        )
        assert beside.path is None
        assert "no folder is made" in beside.notes[0]
        assert f"{mount} stays" in beside.notes[1]
        state = service.status()
        assert (state.path, state.health, state.watched) == (mount, "alive", True)
    finally:
        os.chdir(here)


ODD = ("n" * 300, "a\0b", "a\ud800b", "~nobody-of-this-name/x")


@pytest.mark.parametrize("odd", ODD, ids=["long", "nul", "surrogate", "home"])
def test_odd_paths_in_each_line(
    drive: FakeDrive, access: Access, tmp_path: Path, odd: str
) -> None:
    """One error of ours each, before anything is done."""
    data = tmp_path / "a"
    data.write_text("x")
    drive.store.add_file("a.tar", b"")
    lines = {
        "to": lambda: verbs.stage("MyDrive/a.tar", odd, access),
        "save": lambda: verbs.save(odd, "MyDrive/", access),
        "pack": lambda: verbs.pack(odd, "MyDrive/a.tar", access),
        "creds": lambda: verbs.ls("MyDrive", Access(credentials=odd)),
        "client": lambda: service.login(odd, show=print),
        "stage": lambda: verbs.stage(f"MyDrive/{odd}.tar", str(tmp_path / "d"), access),
        "cd": lambda: service.mount(
            Plan(path=tmp_path / "m", mode="fuse", folder=f"{odd}\0", access=access)
        ),
    }
    for name, line in lines.items():
        with pytest.raises(errors.DriveError) as caught:
            line()
        assert str(caught.value).isprintable(), name


def test_no_working_directory(
    access: Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said so; what needs none goes on."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for line in (
        lambda: verbs.stage("MyDrive/a.tar", None, access),
        lambda: verbs.stage("MyDrive/a.tar", "x", access),
        lambda: verbs.save("a", "MyDrive/", access),
        lambda: verbs.pack(".", "MyDrive/a.tar", access),
    ):
        with pytest.raises(errors.DriveError, match="working directory is gone"):
            line()
    for line in (
        lambda: verbs.save("/none/x", "MyDrive/", access),
        lambda: verbs.pack("/none/x", "MyDrive/a.tar", access),
    ):
        with pytest.raises(errors.DrivePathError, match="there is no"):
            line()
    assert verbs.ls("MyDrive", access).names == []
    assert service.doctor(access)


def test_what_a_library_call_may_be_given(
    drive: FakeDrive, access: Access, tmp_path: Path
) -> None:
    """Paths as paths; what makes no sense is refused by its name."""
    drive.store.add_file("a.bin", b"1")
    connection = service.client(access)
    assert connection.stat(PurePosixPath("MyDrive/a.bin")).size == 1
    assert connection.download(Path("MyDrive/a.bin"), tmp_path / "a").size == 1
    with pytest.raises(ValueError, match="part_bytes"):
        connection.download("MyDrive/a.bin", tmp_path / "a", part_bytes=0)
    with pytest.raises(TypeError, match="credentials"):
        connect(credentials=5)  # type: ignore[arg-type]


ROOT = Path(__file__).parents[2]
CLOSED = """
import ctypes, os, struct, sys
from colabmagic.drive import errors, service, verbs
from colabmagic.drive.plan import Access
import google.oauth2.credentials, requests, colabmagic.drive.archive.stage
folder, login = sys.argv[1:]
if not os.geteuid():  # root may look everywhere, unless it gives that up
    header, held = struct.pack("<Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    system = ctypes.CDLL(None)
    assert not system.capget(header, held)
    effective, permitted, _, *rest = struct.unpack("<6I", held.raw)
    kept = ~(1 << 1 | 1 << 2)
    less = struct.pack("<6I", effective & kept, permitted & kept, 0, *rest)
    assert not system.capset(header, less)
access = Access(credentials=login)
for line in (
    lambda: verbs.save(folder + "/x/y", "MyDrive/", access),
    lambda: verbs.pack(folder + "/x/y", "MyDrive/a.tar", access),
    lambda: verbs.stage("MyDrive/a.tar", folder + "/x/y", access),
    lambda: verbs.stage("MyDrive/a.tar", folder + "/x", access, keep_archive=True),
    lambda: verbs.ls("MyDrive", Access(credentials=folder + "/x/y")),
    lambda: service.client(access).download("MyDrive/a.tar", folder + "/x/y"),
):
    try:
        print("done", line())
    except errors.DriveError as error:
        print("ours", error.seen)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="rights are given up as on Linux")
def test_folders_that_are_closed_to_us(
    drive: FakeDrive, access: Access, tmp_path: Path
) -> None:
    """In each line one error of ours, which says what the system says."""
    drive.store.add_file("a.tar", b"")
    closed = tmp_path / "closed"
    (closed / "x").mkdir(parents=True)
    if not os.geteuid():
        os.chown(closed, 65534, 65534)
    closed.chmod(0o000)
    try:
        done = subprocess.run(
            [sys.executable, "-c", CLOSED, closed, str(access.credentials)],
            capture_output=True, text=True, check=False, cwd=ROOT,
            env={**os.environ, "COLABMAGIC_DRIVE_API_ROOT": drive.url},
        )  # fmt: skip
    finally:
        closed.chmod(0o700)
    assert done.stdout.splitlines() == ["ours Permission denied"] * 6, done.stderr

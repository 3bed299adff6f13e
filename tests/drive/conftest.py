"""A Drive on loopback, and ours to talk to it, without long waits."""

from __future__ import annotations

import io
import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from google.oauth2.credentials import Credentials

from colabmagic.drive.api.files import Files
from colabmagic.drive.api.http import Transport, Waits
from colabmagic.drive.archive.archives import unpack
from colabmagic.drive.archive.members import Target
from tests.fakes.drive import FakeDrive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def drive() -> Iterator[FakeDrive]:
    """Yield a running Drive; whatever we have asked it keeps to Google's document."""
    with FakeDrive() as running:
        yield running
        assert running.violations == []


@pytest.fixture
def login(drive: FakeDrive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of a login for that Drive, which this process is led to."""
    kept = {
        "type": "authorized_user",
        "refresh_token": "SECRET-R",
        "token_uri": f"{drive.url}/token",
        "client_id": "id",
        "client_secret": "SECRET-C",
    }
    path = tmp_path / "login.json"
    path.write_text(json.dumps(kept))
    monkeypatch.setenv("COLABMAGIC_DRIVE_API_ROOT", drive.url)
    return path


@pytest.fixture
def files(drive: FakeDrive) -> Files:
    """Return our client for it."""
    credentials = Credentials(  # type: ignore[no-untyped-call]
        drive.token,
        refresh_token="fake-refresh",  # noqa: S106
        token_uri=f"{drive.url}/token",
        client_id="id",
        client_secret="secret",  # noqa: S106
    )
    waits = Waits(0.001, 0.002)
    return Files(Transport(credentials, drive.url, waits=waits, read_timeout_s=1.0))


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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a disk of 4 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
        why = done.stderr.decode().strip() if done.returncode else ""
    except OSError as error:
        why = str(error)
    if why:
        pytest.skip(f"no small disk can be mounted here: {why[:80]}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)  # noqa: S607

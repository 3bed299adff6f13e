"""Killed at any moment: nothing half lies under a final name, and the next run goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive.archive.stage import stage
from colabmagic.drive.transfer.download import download
from colabmagic.drive.transfer.upload import upload
from tests.drive.archive.test_archives import content, tar

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.drive.api.files import Files
    from tests.fakes.drive import FakeDrive

ROOT = Path(__file__).parents[3]
PART = 64 * 1024
SIZE = 20 * PART + 5
DATA = random.Random(2).randbytes(SIZE)  # noqa: S311 (no secret)
MOMENTS = range(7)
LIMIT_S = 60
WHOLE_S = 0.5
WORK = """
import sys
from pathlib import Path
from google.oauth2.credentials import Credentials
from colabmagic.drive.transfer.download import download
from colabmagic.drive.api.files import Files
from colabmagic.drive.api.http import Transport
from colabmagic.drive.archive.stage import stage
from colabmagic.drive.transfer.upload import upload
what, url, token, folder = sys.argv[1:]
files, folder = Files(Transport(Credentials(token), url)), Path(folder)
print("ready", flush=True)
if what == "download":
    remote = files.stat("MyDrive/data.bin")
    download(files, remote, folder / "data.bin", part_bytes=65536, workers=3)
elif what == "upload":
    upload(files, folder / "up.bin", files.folder("MyDrive/runs"), "up.bin", chunk_bytes=262144)
else:
    stage(files, "MyDrive/set.tar", folder / "set", part_bytes=65536, workers=2)
"""


def killed(
    what: str, drive: FakeDrive, folder: Path, due: Callable[[float], bool]
) -> None:
    """Run a transfer in a process of its own, and kill it when that is due."""
    command = [sys.executable, "-c", WORK, what, drive.url, drive.token, str(folder)]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        began = time.monotonic()
        while not due(time.monotonic() - began) and child.poll() is None:
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        child.wait(LIMIT_S)


@pytest.mark.parametrize("what", ["download", "upload", "stage"])
def test_killed_at_several_moments(
    what: str, drive: FakeDrive, files: Files, tmp_path: Path
) -> None:
    """Spread over the whole of it; afterwards the same call ends it, with right bytes.

    Staging unpacks while the ranges come: some of the kills strike in the midst of both.
    """
    members = {f"m{number}": DATA[number * 9000 :][:9000] for number in range(100)}
    drive.store.add_file("data.bin", DATA)
    drive.store.add_file("set.tar", tar(members=members))
    (tmp_path / "up.bin").write_bytes(DATA)
    drive.bytes_per_second = 2_000_000 if what != "stage" else 1_200_000
    drive.latency_s = 0.01
    in_the_midst = 0
    order = list(MOMENTS)
    random.Random(3).shuffle(order)  # noqa: S311 (no secret)
    for number in order:
        moment = (number + 0.5) / len(order) * WHOLE_S
        killed(what, drive, tmp_path, lambda now, then=moment: now >= then)
        target = tmp_path / "data.bin"
        assert not target.exists() or target.read_bytes() == DATA
        folder = tmp_path / "set"
        assert not folder.exists() or content(folder) == members
        coming = list(tmp_path.glob(".*.colabmagic-part"))
        in_the_midst += bool(coming and list(tmp_path.glob(".set.*partial*/m*")))
        for entry in list(drive.store.files.values()):
            if entry.meta["name"] == "up.bin":
                assert entry.blob is not None
                assert entry.blob.read(0, entry.blob.size) == DATA
        if target.exists():
            target.unlink()
    drive.latency_s, drive.bytes_per_second = 0, None
    if what == "download":
        download(
            files,
            files.stat("MyDrive/data.bin"),
            tmp_path / "data.bin",
            part_bytes=PART,
        )
        assert (tmp_path / "data.bin").read_bytes() == DATA
        left = {"data.bin", "up.bin"}
    elif what == "upload":
        upload(files, tmp_path / "up.bin", files.folder("MyDrive/runs"), "up.bin")
        found = [e for e in drive.store.files.values() if e.meta["name"] == "up.bin"]
        assert len(found) == 1
        left = {"up.bin"}
    else:
        assert in_the_midst
        stage(files, "MyDrive/set.tar", tmp_path / "set", refresh=True)
        assert content(tmp_path / "set") == members
        left = {"set", ".set.colabmagic.json", "up.bin"}
    unexpected = {each.name for each in tmp_path.iterdir()} - left
    assert unexpected == set()


def test_only_what_is_missing_is_fetched(
    drive: FakeDrive, files: Files, tmp_path: Path
) -> None:
    """A kill loses at most one range for each connection."""
    drive.store.add_file("data.bin", DATA)
    drive.bytes_per_second = 400_000
    log = tmp_path / ".data.bin.colabmagic-part.json"

    def complete() -> int:
        return len(log.read_text("utf-8").splitlines()) - 1 if log.exists() else 0

    killed("download", drive, tmp_path, lambda now: complete() >= 5 or now > LIMIT_S)
    done = complete()
    drive.bytes_per_second = None
    drive.reset_counters()
    result = download(files, files.stat("MyDrive/data.bin"), tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == DATA
    assert result.fetched_bytes == SIZE - done * PART
    assert 5 <= done < 20

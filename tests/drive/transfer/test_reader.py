"""Reading in place: right bytes with few requests, and a clear error for wrong ones."""

from __future__ import annotations

import io
import random
import zipfile
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.transfer import reader
from colabmagic.drive.transfer.reader import open_ranges
from tests.drive.transfer.test_transfers import fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.drive.api.files import Files
    from tests.fakes.drive import FakeDrive

MIB = 2**20
DATA = random.Random(4).randbytes(9 * MIB + 77)  # noqa: S311 (no secret)


@pytest.fixture
def opened(drive: FakeDrive, files: Files) -> Callable[..., io.BufferedReader]:
    """Return what opens a file of 9 MiB."""
    drive.store.add_file("data.bin", DATA)
    remote = files.stat("MyDrive/data.bin")
    drive.reset_counters()
    return lambda: open_ranges(files, remote)


def test_reading_on_takes_larger_and_larger_blocks(
    drive: FakeDrive, opened: Callable[..., io.BufferedReader]
) -> None:
    """9 MiB in pieces of 1,000 bytes: 1, 2, 4 MiB and the rest; it is looked at twice more."""
    with opened() as file:
        pieces = list(iter(lambda: file.read(1000), b""))
    assert b"".join(pieces) == DATA
    assert drive.operations == {"files.get media": 4, "files.get": 2}


def test_jumping_about(opened: Callable[..., io.BufferedReader]) -> None:
    """Any place, in any order, as on a disk."""
    chance = random.Random(5)  # noqa: S311 (no secret)
    with opened() as file:
        for _ in range(60):
            start, length = chance.randrange(len(DATA)), chance.randrange(200_000)
            assert file.seek(start) == start
            assert file.read(length) == DATA[start : start + length]
        assert file.seek(-5, io.SEEK_END) == len(DATA) - 5
        assert file.read() == DATA[-5:]
        assert file.read() == b""
        file.seek(len(DATA) + 10)
        assert file.read(1) == b""
        with pytest.raises((ValueError, OSError)):
            file.seek(-1)


def test_a_zip_is_read_in_few_requests(drive: FakeDrive, files: Files) -> None:
    """The directory at its end, and then one of 50 members in the midst of 12 MiB."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(50):
            archive.writestr(f"m{number}", DATA[: 256 * 1024])
    drive.store.add_file("a.zip", out.getvalue())
    remote = files.stat("MyDrive/a.zip")
    drive.reset_counters()
    with open_ranges(files, remote) as file, zipfile.ZipFile(file) as archive:
        assert archive.read("m25") == DATA[: 256 * 1024]
    assert drive.operations["files.get media"] <= 3


def test_a_checkpoint_of_torch(drive: FakeDrive, files: Files) -> None:
    """`torch.load` reads it in place; small ones take one request."""
    torch = pytest.importorskip("torch")
    out = io.BytesIO()
    torch.save({"w": torch.arange(100_000)}, out)
    drive.store.add_file("ckpt.pt", out.getvalue())
    remote = files.stat("MyDrive/ckpt.pt")
    drive.reset_counters()
    with open_ranges(files, remote) as file:
        loaded = torch.load(file)
    assert torch.equal(loaded["w"], torch.arange(100_000))
    assert drive.operations == {"files.get media": 1}


@pytest.mark.parametrize(
    "one",
    [
        fault("status", code=503, times=2), fault("reset", times=2),
        fault("truncate", times=2), fault("body_reset", times=2),
        fault("ignore_range", times=2), fault("wrong_content_range", times=2),
        fault("cut_headers", times=2), fault("revoke_tokens"),
    ],
    ids=lambda rule: str(rule["kind"]),
)  # fmt: skip
def test_faults_on_the_way(
    drive: FakeDrive, opened: Callable[..., io.BufferedReader], one: dict[str, object]
) -> None:
    """Asked for again."""
    drive.faults.load([one])
    with opened() as file:
        assert file.read() == DATA
    assert drive.faults.left == 0


@pytest.mark.parametrize("kind", ["corrupt", "shift_range"])
def test_wrong_bytes(
    drive: FakeDrive, opened: Callable[..., io.BufferedReader], kind: str
) -> None:
    """Who reads all of a file is told before its end."""
    drive.faults.load([fault(kind)])
    with opened() as file, pytest.raises(errors.IntegrityError, match="did not arrive"):
        file.read()


def test_memory_is_bounded(
    opened: Callable[..., io.BufferedReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read longest ago is forgotten."""
    monkeypatch.setattr(reader, "_REMEMBERED_BYTES", 3 * MIB)
    monkeypatch.setattr(reader, "_MOST_BYTES", MIB)
    with opened() as file:
        assert file.read() == DATA
        raw = file.raw
        assert isinstance(raw, reader.RangeReader)
        assert sum(map(len, raw._blocks.values())) <= 3 * MIB


def test_what_has_no_bytes(drive: FakeDrive, files: Files) -> None:
    """A folder is refused; nothing secret is in what is shown."""
    drive.store.add_folder("f")
    with pytest.raises(errors.NotDownloadableError, match="no bytes"):
        open_ranges(files, files.stat("MyDrive/f"))
    drive.store.add_file("empty", b"")
    with open_ranges(files, files.stat("MyDrive/empty")) as file:
        assert drive.token not in repr(file) + repr(file.raw)
        assert file.read() == b""


@pytest.mark.parametrize("jump", [False, True])
def test_a_file_that_changes_while_it_is_read(
    drive: FakeDrive, opened: Callable[..., io.BufferedReader], jump: bool  # noqa: FBT001 (a case)
) -> None:  # fmt: skip
    """Parts of two revisions are never given out as one, also if not all is read."""
    with opened() as file:
        assert file.read(100) == DATA[:100]
        (entry,) = (
            e for e in drive.store.files.values() if e.meta["name"] == "data.bin"
        )
        drive.store.set_content(entry.id, DATA[::-1])
        if jump:
            file.seek(5 * MIB)
        with pytest.raises(errors.IntegrityError, match="has changed"):
            file.read(2 * MIB)

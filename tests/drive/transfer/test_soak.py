"""A thousand transfers, a fifth of all requests broken: what is here is what is there."""

from __future__ import annotations

import hashlib
import io
import random
import tarfile
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from colabmagic.drive.api.budget import UnitBudget
from colabmagic.drive.archive.stage import stage
from colabmagic.drive.errors import DriveError
from colabmagic.drive.transfer.download import download
from colabmagic.drive.transfer.upload import upload

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from colabmagic.drive.api.files import Files
    from tests.fakes.drive import FakeDrive

TRANSFERS = 1000
NAMES = 60
PART, CHUNK = 64 * 1024, 256 * 1024
SIZES = (0, 1, 700, 20_000, 20_000, 65_536, 65_537, 150_000, 300_000)
BROKEN = 0.2  # of all requests
CALLS = 3
SLOW = {"code": 429, "reason": "rateLimitExceeded"}
USER = {"code": 403, "reason": "userRateLimitExceeded"}
FAULTS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "alt=media": [
        ("status", {}), ("status", SLOW), ("status", USER), ("reset", {}), ("cut_headers", {}),
        ("truncate", {}), ("body_reset", {}), ("corrupt", {}), ("ignore_range", {}),
        ("wrong_content_range", {}), ("drip", {"bytes": 30_000, "seconds": 0.001}),
        ("revoke_tokens", {}),
    ],
    "PUT .*upload_id": [
        ("status", {}), ("reset", {}), ("lost_reply", {}), ("cut_headers", {}),
        ("drop_session", {}), ("drop_session", {"code": 410}), ("short_commit", {}),
        ("no_range_header", {}), ("corrupt_upload", {}),
    ],
    "(GET|POST|PATCH) .*/drive/v3/(?!.*alt=media)": [
        ("status", {}), ("status", SLOW), ("status", USER), ("status", {"code": 500}),
        ("reset", {}), ("lost_reply", {}), ("cut_headers", {}), ("duplicate_items", {}),
        ("incomplete_search", {}), ("revoke_tokens", {}),
    ],
}  # fmt: skip


def script() -> list[dict[str, Any]]:
    """Return rules by which each request is broken with the probability that is meant."""
    rules = []
    for match, kinds in FAULTS.items():
        # Rules are asked one after the other: this is the chance of each, so that the
        # chance that none of them strikes is 1 - BROKEN.
        one = 1 - (1 - BROKEN) ** (1 / len(kinds))
        rules += [
            {
                "kind": kind,
                "match": match,
                "times": 10**6,
                "probability": one,
                **options,
            }
            for kind, options in kinds
        ]
    return rules


@dataclass(eq=False)
class Soak:
    """What is done, and what must be true after it."""

    files: Files
    folder: Path
    random: random.Random = field(default_factory=lambda: random.Random(11))  # noqa: S311
    truth: dict[str, bytes] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def step(self) -> None:
        """Do one transfer, as often as a person would run the cell again."""
        kinds = [self.up, self.down, self.down, self.unpack]
        work = self.random.choice(kinds if self.truth else [self.up])
        name = (
            f"{'set' if work == self.unpack else 'file'}{self.random.randrange(NAMES)}"
        )
        if work == self.unpack:
            name = f"set{self.random.randrange(4)}.tar"
        elif work == self.down:
            name = self.random.choice(
                [each for each in self.truth if "set" not in each]
            )
        for call in range(CALLS):
            try:
                work(name)
            except DriveError as error:
                self.counts["called again"] += 1
                if call + 1 == CALLS or not (
                    error.retryable or "did not" in str(error)
                ):
                    raise
            else:
                self.counts[work.__name__] += 1
                return

    def put(self, name: str, data: bytes) -> None:
        """Upload bytes under a name."""
        source = self.folder / "source"
        source.write_bytes(data)
        upload(
            self.files,
            source,
            self.files.folder("MyDrive/soak"),
            name,
            chunk_bytes=CHUNK,
        )
        self.truth[name] = data

    def up(self, name: str) -> None:
        """Upload a file, mostly over one that is there in the end."""
        self.put(name, self.random.randbytes(self.random.choice(SIZES)))

    def down(self, name: str) -> None:
        """Download a file."""
        target = self.folder / "down" / name
        found = self.files.stat(f"MyDrive/soak/{name}")
        workers = self.random.choice((1, 2, 4))
        download(self.files, found, target, workers=workers, part_bytes=PART)
        right = hashlib.sha256(self.truth[name]).digest()
        assert hashlib.sha256(target.read_bytes()).digest() == right

    def unpack(self, name: str) -> None:
        """Bring an archive here, unpacked."""
        if name not in self.truth:
            self.put(name, archive(self.random))
        to = self.folder / "sets" / name
        refresh = self.random.random() < 0.5
        stage(self.files, f"MyDrive/soak/{name}", to, part_bytes=PART, refresh=refresh)
        with tarfile.open(fileobj=io.BytesIO(self.truth[name])) as tar:
            for member in tar:
                content = tar.extractfile(member)
                assert content is not None
                assert (to / member.name).read_bytes() == content.read()


def archive(source: random.Random) -> bytes:
    """Return a small tar."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for number in range(5):
            data = source.randbytes(source.randrange(20_000))
            info = tarfile.TarInfo(f"a/{number}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return made.getvalue()


def test_a_thousand_transfers(
    drive: FakeDrive,
    files: Files,
    tmp_path: Path,
    record_property: Callable[..., None],
) -> None:
    """All are right, each file is on Drive once, and nothing else is anywhere."""
    files.transport.budget = UnitBudget(1e12)  # nobody waits for Google's quota here
    soak = Soak(files, tmp_path)
    drive.faults.load(script(), seed=11)
    for _ in range(TRANSFERS):
        soak.step()
    injected = sum(drive.faults.injected.values())
    drive.faults.clear()
    (folder,) = [e for e in drive.store.children(drive.store.ROOT) if e.is_folder]
    there = [e for e in drive.store.children(folder.id) if not e.meta["trashed"]]
    sums = {e.meta["name"]: e.meta["sha256Checksum"] for e in there}
    assert sums == {n: hashlib.sha256(d).hexdigest() for n, d in soak.truth.items()}
    assert len(there) == len(sums)  # none twice
    left = [
        each.name for each in (tmp_path / "down").iterdir() if each.name not in sums
    ]
    assert left == []
    again = soak.counts.pop("called again", 0)
    record_property(
        "table",
        f"{sum(soak.counts.values())} of {TRANSFERS} transfers right {dict(soak.counts)}, "
        f"{injected} of {len(drive.requests)} requests broken "
        f"{dict(drive.faults.injected)}, called again {again}, duplicates 0, wrong 0",
    )
    assert injected > 0.15 * len(drive.requests)

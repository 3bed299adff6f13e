"""The loopback Drive of the benchmarks, in a process of its own.

Orders come as lines of JSON on the standard input; each is answered with one.
"""

from __future__ import annotations

import io
import json
import random
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.fakes.drive import FakeDrive, server  # noqa: E402
from tests.fakes.drive.proxy import ConnectProxy, tls_context  # noqa: E402

PIECE = 2**24


class Sent:
    """Counts the bytes of files that are sent, through all doors."""

    def __init__(self) -> None:
        self.count = 0
        self._blocks = server.blocks
        server.blocks = self._counted  # type: ignore[assignment]

    def _counted(self, *which: Any) -> Iterator[bytes]:  # noqa: ANN401 (of `blocks`)
        """Yield blocks; one counts when the next is asked for."""
        for block in self._blocks(*which):
            yield block
            self.count += len(block)


SENT = Sent()


def main(folder: Path) -> None:
    """Serve over HTTP, and the same files over TLS behind a proxy, until the orders end."""
    with FakeDrive() as plain:
        tls = FakeDrive(tls=tls_context(folder / "ca.pem"), store=plain.store)
        with tls, ConnectProxy(tls.port) as proxy:
            say({"url": plain.url, "token": plain.token, "proxy": proxy.url})
            for line in sys.stdin:
                say(obey(json.loads(line), (plain, tls)))


def say(answer: dict[str, Any]) -> None:
    """Answer."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def obey(order: dict[str, Any], doors: tuple[FakeDrive, FakeDrive]) -> dict[str, Any]:
    """Change what is served; return what was asked for."""
    plain = doors[0]
    for door in doors:
        _set(door, order)
    if "file" in order:
        blob = plain.store.new_blob()
        for start in range(0, order["size"], PIECE):
            length = min(PIECE, order["size"] - start)
            blob.write(start, random.Random(start).randbytes(length))  # noqa: S311
        return {"id": plain.store.add_file(order["file"], blob).id}
    if "small" in order:
        return {"ids": _small(plain, order["small"], order["size"])}
    if "bulk" in order:
        plain.store.add_many(order["bulk"], plain.store.add_folder("many").id)
    if "forget" in order:
        for entry in _found(plain, order["forget"]):
            plain.store.delete(entry)
    if "sums" in order:
        entries = [e for e in _found(plain, order["sums"]) if not e.meta["trashed"]]
        return {"sums": [(e.meta["name"], e.meta["md5Checksum"]) for e in entries]}
    if "count_anew" in order:
        SENT.count = 0
    return {"sent": SENT.count, "violations": plain.violations + doors[1].violations}


def _set(door: FakeDrive, order: dict[str, Any]) -> None:
    """Set how fast one door is, and what goes wrong behind it."""
    for name in ("latency_s", "bytes_per_second"):
        if name in order:
            setattr(door, name, order[name])
    if "faults" in order:
        door.faults.load(order["faults"], order["seed"])
    door.reset_counters()


def _found(drive: FakeDrive, start: str) -> list[Any]:
    """Return the files whose names begin so."""
    entries = list(drive.store.files.values())
    return [e for e in entries if e.blob and e.meta["name"].startswith(start)]


def _small(drive: FakeDrive, count: int, size: int) -> list[str]:
    """Make many small files, and one archive of the same."""
    folder = drive.store.add_folder("small").id
    packed, ids = io.BytesIO(), []
    source = random.Random(1)  # noqa: S311 (no secret)
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for number in range(count):
            data = source.randbytes(size)
            info = tarfile.TarInfo(f"f{number:05}.bin")
            info.size = size
            tar.addfile(info, io.BytesIO(data))
            ids.append(drive.store.add_file(info.name, data, folder).id)
    drive.store.add_file("small.tar", packed.getvalue())
    return ids


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Several files at a time: one failure ends all, and what has come stays."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.errors import DiskFullError, SourceUnreachableError
from colabmagic.cuda.fetching.together import fetch_all
from tests.cuda.fetching.conftest import HASTE

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.cuda.fetching.cache import Cache
    from colabmagic.cuda.fetching.download import Wanted
    from tests.fakes.nvidia.server import FileServer

CHILD = """
import json, sys
from pathlib import Path
from colabmagic.cuda.fetching.cache import Cache
from colabmagic.cuda.fetching.download import Wanted
from colabmagic.cuda.fetching.together import fetch_all
from colabmagic.errors import ColabMagicError
root, wanted = sys.argv[1], json.loads(sys.argv[2])
try:
    found = fetch_all([Wanted(**row) for row in wanted], cache=Cache(Path(root)))
    print(json.dumps([str(path) for path in found]))
except ColabMagicError as error:
    print(json.dumps({"error": type(error).__name__, "text": str(error)}))
"""


def row(wanted: Wanted) -> dict[str, object]:
    """Return plain data."""
    return {
        "url": wanted.url,
        "name": wanted.name,
        "sha256": wanted.sha256,
        "size": wanted.size,
    }


def child(cache: Cache, *wanted: Wanted, before: tuple[str, ...] = ()) -> list[str]:
    """Return the command of a process that fetches files."""
    text = json.dumps([row(each) for each in wanted])
    return [*before, sys.executable, "-c", CHILD, str(cache.root), text]


def wait_for_half(cache: Cache, wanted: Wanted, size: int) -> None:
    """Wait until so many bytes are on the disk."""
    partial = cache.partial / f"{wanted.sha256}.part"
    end = time.monotonic() + 30
    while not partial.exists() or partial.stat().st_size < size:
        assert time.monotonic() < end, "the download does not come"
        time.sleep(0.02)


class Told:
    """A progress that counts."""

    def __init__(self) -> None:
        self.lines: list[object] = []
        self.amount = 0.0

    def start(self, what: str, total: float | None = None) -> None:
        """Note it."""
        self.lines.append((what, total))

    def advance(self, amount: float = 1) -> None:
        """Count, in the thread that asked."""
        assert threading.current_thread() is threading.main_thread()
        self.amount += amount

    def finish(self, summary: str = "") -> None:
        """Note it."""
        self.lines.append(summary)


def test_files_come_side_by_side_in_their_order(
    publish: Callable[..., Wanted], cache: Cache, server: FileServer
) -> None:
    """All are there, and the bytes are told in the calling thread."""
    wanted = [publish(f"{number}.bin", 50_000 + number) for number in range(9)]
    told = Told()
    paths = fetch_all(wanted, cache=cache, patience=HASTE, progress=told)
    assert [path.name for path in paths] == [each.sha256 for each in wanted]
    assert told.lines == [("download 9 files", sum(50_000 + n for n in range(9))), ""]
    assert told.amount == sum(50_000 + number for number in range(9))
    assert len(server.requests) == 9


def test_two_files_really_come_at_a_time(
    publish: Callable[..., Wanted], cache: Cache, server: FileServer
) -> None:
    """The second is asked for while the first one waits in its middle."""
    wanted = [publish("one.bin"), publish("two.bin")]
    server.fail("hold", "one.bin")
    done: list[object] = []
    thread = threading.Thread(
        target=lambda: done.append(fetch_all(wanted, cache=cache, patience=HASTE))
    )
    thread.start()
    assert server.held.wait(10)
    end = time.monotonic() + 10
    while not cache.has(str(wanted[1].sha256)) and time.monotonic() < end:
        time.sleep(0.01)
    assert cache.has(str(wanted[1].sha256))
    assert not cache.has(str(wanted[0].sha256))
    server.go.set()
    thread.join(10)
    assert done


def test_one_failure_ends_all_and_keeps_what_came(
    publish: Callable[..., Wanted], cache: Cache, server: FileServer
) -> None:
    """The error is that of the file that failed; the others go on next time."""
    wanted = [publish("one.bin"), publish("two.bin")]
    server.fail("hold", "one.bin")
    server.fail("status", "two.bin", code=404)
    with pytest.raises(SourceUnreachableError, match=r"does not have two\.bin"):
        fetch_all(wanted, cache=cache, patience=HASTE)
    server.go.set()
    fetch_all(wanted, cache=cache, patience=HASTE)
    assert cache.has(str(wanted[0].sha256))


def test_offline_names_all_that_is_missing(
    publish: Callable[..., Wanted], cache: Cache, server: FileServer
) -> None:
    """It says what to type; what is here is found, also by its address."""
    here, noted = publish("here.bin"), publish("noted.bin", sha256=False)
    paths = fetch_all([here, noted], cache=cache, patience=HASTE)
    before = len(server.requests)
    assert fetch_all([here, noted], cache=cache, offline=True) == paths
    missing = [publish("x.bin"), here, publish("y.bin", sha256=False)]
    with pytest.raises(SourceUnreachableError) as caught:
        fetch_all(missing, cache=cache, offline=True)
    assert caught.value.render() == [
        "SourceUnreachableError: --offline allows no download, and the cache does not have all",
        "  seen: missing: x.bin, y.bin",
        "  try:  the same line without --offline, once; or --cache FOLDER, where they are",
    ]
    assert len(server.requests) == before


def test_nothing_is_asked_where_nothing_is_wanted(cache: Cache) -> None:
    """No folder is made."""
    assert fetch_all([], cache=cache) == []
    assert not cache.root.exists()


def test_a_killed_download_goes_on_where_it_was(
    publish: Callable[..., Wanted], cache: Cache, server: FileServer
) -> None:
    """Only the bytes that were not on the disk are sent again."""
    wanted = publish("big.bin", 4_000_000)
    server.fail("hold", fraction=0.75)
    process = subprocess.Popen(child(cache, wanted))
    wait_for_half(cache, wanted, 2_500_000)
    process.kill()
    process.wait()
    here = (cache.partial / f"{wanted.sha256}.part").stat().st_size
    assert 2_500_000 <= here < 4_000_000
    assert not cache.has(str(wanted.sha256))
    server.go.set()
    (path,) = fetch_all([wanted], cache=cache, patience=HASTE)
    assert path.read_bytes() == (server.root / "big.bin").read_bytes()
    assert server.ranges()[-1] == f"bytes={here}-"


def test_ctrl_c_ends_it_soon_and_leaves_a_partial_file(
    publish: Callable[..., Wanted], cache: Cache, server: FileServer
) -> None:
    """The body that waits is cut; the next run goes on."""
    wanted = publish("big.bin", 4_000_000)
    server.fail("hold", fraction=0.75)
    process = subprocess.Popen(
        child(cache, wanted), stderr=subprocess.PIPE, start_new_session=True
    )
    wait_for_half(cache, wanted, 2_500_000)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)  # the server would wait for 20 s
    assert b"KeyboardInterrupt" in errors
    here = (cache.partial / f"{wanted.sha256}.part").stat().st_size
    assert here > 0
    server.go.set()
    fetch_all([wanted], cache=cache, patience=HASTE)
    assert server.ranges()[-1] == f"bytes={here}-"


def test_two_processes_fetch_a_file_once(
    publish: Callable[..., Wanted], cache: Cache, server: FileServer
) -> None:
    """The second one waits for the first, and takes what it has brought."""
    wanted = publish("big.bin", 2_000_000)
    server.fail("hold", fraction=0.5)
    first = subprocess.Popen(child(cache, wanted), stdout=subprocess.PIPE, text=True)
    assert server.held.wait(20)
    second = subprocess.Popen(child(cache, wanted), stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)  # so that it stands at the lock, on most machines
    server.go.set()
    answers = [json.loads(each.communicate(timeout=30)[0]) for each in (first, second)]
    assert answers[0] == answers[1] == [str(cache.path_of(str(wanted.sha256)))]
    assert server.sent["/big.bin"] == 2_000_000


def test_when_one_process_dies_the_other_goes_on(
    publish: Callable[..., Wanted], cache: Cache, server: FileServer
) -> None:
    """The lock goes with its process."""
    wanted = publish("big.bin", 2_000_000)
    server.fail("hold", fraction=0.5)
    first = subprocess.Popen(child(cache, wanted))
    wait_for_half(cache, wanted, 700_000)
    second = subprocess.Popen(child(cache, wanted), stdout=subprocess.PIPE, text=True)
    first.kill()
    first.wait()
    server.go.set()
    assert json.loads(second.communicate(timeout=30)[0])
    assert server.ranges()[-1] is not None


def test_all_files_together_must_fit(
    publish: Callable[..., Wanted], cache: Cache, server: FileServer
) -> None:
    """Each would, but not both: nothing is asked of the server."""
    free = shutil.disk_usage(cache.root.parent).free
    wanted = [replace(publish(name), size=free // 3 * 2) for name in ("a", "b")]
    with pytest.raises(DiskFullError, match="no room for 2 files"):
        fetch_all(wanted, cache=cache, patience=HASTE)
    assert not server.requests


def small_disk() -> tuple[str, ...]:
    """Return the beginning of a command that sees a small disk; skip where none is."""
    unshare = shutil.which("unshare")
    kinds = [["-m"]] if os.geteuid() == 0 else [["-r", "-m"]]
    for kind in kinds:
        mount = [unshare or "unshare", *kind, "sh", "-c"]
        script = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"'
        trial = [*mount, script, "/mnt", "true"]
        if (
            unshare
            and subprocess.run(trial, check=False, capture_output=True).returncode == 0
        ):
            return (*mount, script)
    pytest.skip(
        "a small disk cannot be mounted here, not even in a namespace of its own"
    )


@pytest.mark.parametrize("announced", [True, False])
def test_a_full_disk_is_one_error(
    announced: bool,  # noqa: FBT001 (a case)
    publish: Callable[..., Wanted],
    cache: Cache,
    server: FileServer,
) -> None:
    """Where the size is known, nothing is fetched; else what came stays to go on from."""
    wanted = publish("big.bin", 3_000_000, sha256=announced)
    if not announced:
        server.fail("no_length", times=-1)
    before = small_disk()
    cache.root.mkdir()
    argv = child(cache, wanted, before=(*before, str(cache.root)))
    listing = argv[-4:]
    listing[1] += (
        "\nprint(json.dumps({str(p.relative_to(root)): p.stat().st_size "
        "for p in Path(root).rglob('*') if p.is_file()}))"
    )
    done = subprocess.run(
        [*argv[:-4], *listing], capture_output=True, text=True, check=True, timeout=60
    )
    error, files = (json.loads(line) for line in done.stdout.splitlines())
    assert error["error"] == "DiskFullError"
    assert "--cache FOLDER" in error["text"]
    assert not any(name.startswith("sha256") for name in files)
    if announced:
        assert "3.0 MB to come" in error["text"]
        assert not server.requests
    else:
        assert "No space left on device" in error["text"]
        (size,) = [size for name, size in files.items() if name.endswith(".part")]
        assert 500_000 < size < 1_100_000

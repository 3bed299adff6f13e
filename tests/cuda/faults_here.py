"""What goes wrong on this machine while something is installed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from colabmagic.cuda.fetching.cache import Cache
from colabmagic.cuda.keeping.write import write_archive
from colabmagic.cuda.steps.command import Command
from colabmagic.cuda.steps.verify import Verify
from tests.cuda.unpacking.hostile import make_tar, plain
from tests.fakes.nvidia.redist import make_redist

if TYPE_CHECKING:
    from collections.abc import Callable


from tests.cuda.fault_bench import MEGABYTE, NAME, NVCC, PASSWORD, USER, Bench, trees


def environment(name: str, value: str | None) -> Callable[[Bench], object]:
    """Set a variable for the installation."""
    return lambda bench: bench.environment.__setitem__(name, value)


def called(name: str) -> Callable[[Bench], object]:
    """Let our folder have another name."""

    def prepare(bench: Bench) -> None:
        bench.home.root.rename(bench.folder / name)
        bench.home_name = name

    return prepare


def without_tmp(bench: Bench) -> None:
    """Name a folder for temporary files that does not exist."""
    bench.environment["TMPDIR"] = str(bench.folder / "gone")


def tmp_is_gone_when_verified(bench: Bench) -> None:
    """Name one for a toolkit that is to be proven."""
    without_tmp(bench)
    bench.extra = (Verify(build="11.1"),)


def filled(spare: int) -> Callable[[Bench], object]:
    """Fill the disk of our folder but for so many bytes."""

    def prepare(bench: Bench) -> None:
        filler = bench.home.root / "filler"
        free = os.statvfs(bench.home.root)
        with filler.open("wb") as file:
            left = free.f_bavail * free.f_bsize - spare
            while left > 0:
                left -= file.write(bytes(min(left, MEGABYTE)))

    return prepare


def filled_before_publish(bench: Bench) -> None:
    """Fill the disk when all but the card is written."""
    bench.extra = (
        Command(
            argv=("sh", "-c", f"cat /dev/zero > '{bench.home.root}/filler'; true"),
            what="fill the disk",
        ),
    )


def emptied(bench: Bench) -> None:
    """Take away what fills the disk."""
    bench.extra = ()
    (bench.home.root / "filler").unlink(missing_ok=True)


def read_only(bench: Bench) -> None:
    """Let our folder lie on a disk that takes nothing."""
    remount(bench, "ro")


def remount(bench: Bench, option: str) -> None:
    """Mount our folder's disk anew."""
    subprocess.run(
        ["mount", "-o", f"remount,{option}", str(bench.home.root)],  # noqa: S607
        check=True, capture_output=True,
    )  # fmt: skip


def held(bench: Bench) -> None:
    """Let another process change our folder."""
    code = (
        "import fcntl, os, sys, time\n"
        "file = open(sys.argv[1], 'w')\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        "file.write(f'{os.getpid()}\\n'); file.flush()\n"
        "print('held', flush=True); time.sleep(60)\n"
    )
    bench.holder = subprocess.Popen(
        [sys.executable, "-c", code, str(bench.home.lock)], stdout=subprocess.PIPE
    )
    bench.holder.stdout.readline()


def apt_held(bench: Bench) -> None:
    """Let another process use our state of apt."""
    from tests.cuda.steps.working import make_work

    cache = Cache(bench.home.cache)
    bench.fetching()[0].do(make_work(bench.folder / "x", cache=cache))
    (state,) = (cache.root / "apt").iterdir()
    (state / "updated").unlink()
    code = (
        "import fcntl, sys, time\n"
        "file = open(sys.argv[1], 'w')\n"
        "fcntl.lockf(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True); time.sleep(60)\n"
    )
    bench.holder = subprocess.Popen(
        [sys.executable, "-c", code, str(state / "lists" / "lock")],
        stdout=subprocess.PIPE,
    )
    bench.holder.stdout.readline()


def released(bench: Bench) -> None:
    """End that process."""
    bench.holder.kill()
    bench.holder.communicate()


def later_journal(bench: Bench) -> None:
    """Let a later version have written the journal, too."""
    with bench.home.journal.open("a") as file:
        for record in (
            {"id": "a1", "event": "begin", "what": "x", "staging": ".staging-a1",
             "time": 1.0, "shape": {"new": True}},
            {"id": "a1", "event": "pledge", "of": ["nobody", "knows"]},
            {"id": "a1", "event": "step", "kind": "teleport",
             "undo": [{"kind": "teleport-back", "to": "1999"}]},
            {"id": "a1", "event": "commit", "details": {"name": NAME, "root": "/x"}},
            {"event": "epoch", "schema": 9},
        ):  # fmt: skip
            file.write(json.dumps(record) + "\n")


def open_later_journal(bench: Bench) -> None:
    """Let a later version have been killed in a step that we do not know."""
    with bench.home.journal.open("a") as file:
        for record in (
            {"id": "a1", "event": "begin", "what": "x", "staging": ".staging-a1",
             "time": 1.0},
            {"id": "a1", "event": "step", "kind": "teleport",
             "undo": [{"kind": "teleport-back", "to": "1999"}]},
        ):  # fmt: skip
            file.write(json.dumps(record) + "\n")


def cut_journal(bench: Bench) -> None:
    """Let the journal end in the middle of a line."""
    with bench.home.journal.open("a") as file:
        file.write('{"id": "0123", "event": "beg')


def no_journal(bench: Bench) -> None:
    """Let the journal be bytes of anything."""
    with bench.home.journal.open("ab") as file:
        file.write(b"\n\xff\x00\xfe[1,2]\n{}\n5\nnull\n")


def nvcc(script: str) -> Callable[[Bench], object]:
    """Let the compiler of the toolkit be another program."""

    def prepare(bench: Bench) -> None:
        (tree,) = bench.server.root.rglob(f"{NVCC}*.tar.xz")
        tree.with_suffix(".kept").write_bytes(tree.read_bytes())
        parts = trees(bench.folder / "broken")
        (parts["cuda_nvcc"] / "bin" / "nvcc").write_text(script, "utf-8")
        make_redist(bench.server.root, NAME, parts)
        bench.extra = (Verify(build="11.1"),)

    return prepare


def right_nvcc(bench: Bench) -> None:
    """Serve the right toolkit again, which is not proven: it does not compile."""
    make_redist(bench.server.root, NAME, trees(bench.folder / "again"))
    bench.extra = ()


def interrupted(step: int) -> Callable[[Bench], object]:
    """Press Ctrl-C after so many steps."""

    def prepare(bench: Bench) -> None:
        bench.interrupt_after = step

    return prepare


def index(url: str) -> Callable[[Bench], object]:
    """Let pip ask another index."""
    return environment("PIP_INDEX_URL", url)


SAYS = """#!/bin/sh
case "$*" in *--version*) echo 'Cuda compilation tools, release 11.1, V11.1.105'; exit 0;;
esac
"""


def basic() -> str:
    """Return the header of the login."""
    import base64

    return "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def padded(bench: Bench) -> None:
    """Let the compiler's archive hold zeros: small to fetch, large to unpack."""
    parts = trees(bench.folder / "padded")
    (parts["cuda_nvcc"] / "zeros.bin").write_bytes(bytes(4 * MEGABYTE))
    make_redist(bench.server.root, NAME, parts)


def kept_as(change: Callable[[bytes], bytes]) -> Callable[[Bench], object]:
    """Let the kept archive have other bytes."""

    def prepare(bench: Bench) -> None:
        place = _kept(bench)
        whole = place.read_bytes()
        place.with_suffix(".whole").write_bytes(whole)
        place.write_bytes(change(whole))

    return prepare


def kept_is_gone(bench: Bench) -> None:
    """Let somebody delete it, or Drive go."""
    place = _kept(bench)
    place.rename(place.with_suffix(".whole"))


def kept_bomb(bench: Bench) -> None:
    """Let it be another archive, of which its label knows the hash."""
    path = make_tar(_kept(bench), [plain("zeros", bytes(8 * MEGABYTE))])
    data = path.read_bytes()
    assert bench.kept is not None
    bench.kept = replace(
        bench.kept, sha256=hashlib.sha256(data).hexdigest(), size=len(data)
    )


def kept_again(bench: Bench) -> None:
    """Have it as it was, or written anew."""
    place = _kept(bench)
    whole = place.with_suffix(".whole")
    if whole.exists():
        whole.replace(place)
        return
    assert bench.kept is not None
    bench.kept = write_archive(
        bench.folder / "kept-root", bench.folder / "drive", bench.kept
    )


def _kept(bench: Bench) -> Path:
    """Return where it lies."""
    assert bench.kept is not None
    return Path(bench.kept.path)

"""An installation in a process of its own, on a folder that can be compared: it is killed."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colabmagic.cuda.fetching.cache import Cache, hash_of
from colabmagic.cuda.steps.base import Work
from colabmagic.cuda.store.apply import REMOVED, STAGING, Store
from colabmagic.cuda.store.journal import Journal
from colabmagic.cuda.store.layout import Home
from colabmagic.host.command import run
from colabmagic.report.progress import SILENT
from tests.fakes.nvidia.trees import made_once, store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.nvidia.server import FileServer

ROOT = Path(__file__).parents[2]
WAYS = {"redist": "11.1", "runfile": "9.2", "wheels": "13.0"}
WHEELS = ("nvidia-cuda-nvcc", "nvidia-cuda-runtime", "nvidia-cuda-crt", "nvidia-nvvm",
          "nvidia-cuda-cccl")  # fmt: skip
_INDEX = "index-13.0-a"
_LIMIT_S = 240.0
ARCHIVES = (".tar.xz", ".whl", "_linux")
# What the progress of an installation begins with → what goes on, and for how long.
PHASES = {
    "download": 0.6,
    "unpack": 3.0,
    "assemble": 0.5,
    "verify": 2.0,
    "publish": 0.04,
}
_BEGIN = (
    ("unpack", "unpack"),
    ("putting", "assemble"),
    ("verifying", "verify"),
    ("proven", "publish"),
)


def index_folder() -> Path:
    """Return a folder with a package index of CUDA 13.0's wheels.

    Raises
    ------
    OSError
        The package index does not answer.
    """
    with made_once(_INDEX) as (folder, is_new):
        if is_new:
            asked = [f"{name}=={WAYS['wheels']}.*" for name in WHEELS]
            done = subprocess.run(
                [sys.executable, "-m", "pip", "download", "-q", "--no-deps",
                 "--only-binary", ":all:", "-d", str(folder / "files"), *asked],
                capture_output=True, text=True, check=False, timeout=_LIMIT_S,
            )  # fmt: skip
            if done.returncode:
                raise OSError(done.stderr.strip().splitlines()[-1])
            for wheel in (folder / "files").iterdir():
                name = wheel.name.split("-")[0].replace("_", "-")
                page = folder / "simple" / name / "index.html"
                page.parent.mkdir(parents=True)
                page.write_text(
                    f'<a href="/files/{wheel.name}#sha256={hash_of(wheel)}">'
                    f"{wheel.name}</a>",
                    "utf-8",
                )
    return store() / _INDEX


@dataclass(kw_only=True)
class State:
    """What a person has, all of it."""

    files: dict[str, str]
    link: str | None
    committed: tuple[str, ...]
    open: tuple[str, ...]
    left: tuple[str, ...]

    def same(self, other: State) -> bool:
        """Tell whether nothing differs."""
        return (self.files, self.link, self.committed) == (
            other.files,
            other.link,
            other.committed,
        )


class Bench:
    """A folder of ours, a server, and what is done to it."""

    def __init__(self, folder: Path, server: FileServer, way: str) -> None:
        self.folder, self.server, self.way = folder, server, way
        self.home = Home(folder / "home")
        self.link = folder / "usr-local-cuda"
        self.sizes = {
            path.name: path.stat().st_size
            for path in server.root.rglob("*")
            if path.is_file() and path.name.endswith(ARCHIVES)
        }
        for name in ("home", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    # -- state --

    def state(self) -> State:
        """Hash all of it, but for the lock, the journal and the proofs."""
        files = dict(listing(self.home.toolkits))
        changes = Journal(self.home.journal).changes()
        return State(
            files=files,
            link=str(self.link.readlink()) if self.link.is_symlink() else None,
            committed=tuple(c.id for c in changes if c.state == "committed"),
            open=tuple(c.id for c in changes if c.state == "open"),
            left=tuple(
                each.name
                for each in (*self.home.toolkits.glob(".*"), *self.folder.glob(".*"))
                if each.name.startswith((STAGING, REMOVED, ".usr-local"))
            ),
        )

    def here(self) -> int:
        """Count the archives' bytes that are here, whole or in part; check the whole."""
        cache = Cache(self.home.cache)
        finished = list((cache.root / "sha256").glob("??/*"))
        for path in finished:
            assert hash_of(path) == path.name, (
                f"{path} has a final name and other bytes"
            )
        parts = list(cache.partial.glob("*.part"))
        sizes = [path.stat().st_size for path in (*finished, *parts)]
        return sum(size for size in sizes if size > 2**16)  # no list of archives

    def recover(self) -> None:
        """Do what the next kernel does first."""
        home = self.home

        def make_work(staging: Path) -> Work:
            return Work(
                home=home, staging=staging, cache=Cache(home.cache), run=run,
                progress=SILENT,
            )  # fmt: skip

        Store(home, make_work).recover()

    # -- children --

    def install(self) -> dict[str, Any]:
        """Install undisturbed; return what the child tells."""
        *_, told = self._run(None, 0.0)
        return told

    def kill(self, phase: str, fraction: float) -> tuple[str, float]:
        """Kill in a phase; return where it struck, and when."""
        delay = fraction * PHASES[phase]
        for _ in range(6):
            hit, at, told = self._run(phase, delay)
            if not told:
                return hit, at
            delay /= 3  # it was quicker: as if it had not been
            self.reset()
        message = f"never killed in {phase}"
        raise AssertionError(message)

    def reset(self) -> None:
        """Put everything back as `keep` found it."""
        shutil.rmtree(self.home.root)
        self.link.unlink(missing_ok=True)
        kept = self.folder / "kept"
        if kept.is_dir():
            copy_home(kept / "home", self.home.root)
            shutil.copy2(kept / "link", self.link, follow_symlinks=False)
        else:
            self.home.root.mkdir()

    def keep(self) -> None:
        """Keep the state for `reset`, without what was fetched."""
        shutil.rmtree(self.home.cache)
        copy_home(self.home.root, self.folder / "kept" / "home")
        shutil.copy2(self.link, self.folder / "kept" / "link", follow_symlinks=False)

    def _run(
        self, phase: str | None, delay: float
    ) -> tuple[str, float, dict[str, Any]]:
        """Run a child, and kill it so long after a phase began."""
        url = self.server.url
        env = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
        env |= {
            "COLABMAGIC_HOME": str(self.home.root),
            "TMPDIR": str(self.folder / "tmp"),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": f"{url}/simple",
            "PIP_NO_CACHE_DIR": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        errors = (self.folder / "stderr").open("w+b")
        argv = [sys.executable, "-m", "tests.cuda.kills", "--child", url,
                str(self.folder), self.way]  # fmt: skip
        process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=errors, cwd=ROOT, env=env, text=True
        )
        with process, errors:
            lines: queue.Queue[str] = queue.Queue()
            reader = threading.Thread(target=_read, args=(process.stdout, lines))
            reader.start()
            began = time.monotonic()
            hit, told = _follow(process, lines, phase, delay)
            at = time.monotonic() - began
            process.kill()
            process.wait(_LIMIT_S)
            reader.join()
            while not lines.empty():  # it was said before the kill
                hit, told = _understood(lines.get(), hit, told)
            errors.seek(0)
            words = errors.read().decode(errors="replace").strip()
            assert not (phase is None and not told), words[-2000:]
            return hit, at, told


def _follow(
    process: subprocess.Popen[str],
    lines: queue.Queue[str],
    phase: str | None,
    delay: float,
) -> tuple[str, dict[str, Any]]:
    """Read what a child says until it is to be killed, or ends."""
    hit, told = "begin", {}
    end = time.monotonic() + _LIMIT_S
    while time.monotonic() < end:
        try:
            line = lines.get(timeout=max(0.0, min(0.05, end - time.monotonic())))
        except queue.Empty:
            if process.poll() is not None:
                break
            continue
        before = hit
        hit, told = _understood(line, hit, told)
        if told:
            break
        if hit == phase and before != phase:
            end = time.monotonic() + delay
    return hit, told


def _understood(
    line: str, hit: str, told: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Return the phase that a line begins, or what its last line tells."""
    if line.startswith("done "):
        found: dict[str, Any] = json.loads(line.removeprefix("done "))
        return hit, found
    for beginning, phase in _BEGIN:
        if line.startswith(beginning):
            return phase, told
    return ("download" if hit == "begin" else hit), told


def _read(stream: Any, lines: queue.Queue[str]) -> None:  # noqa: ANN401 (a text stream)
    """Hand lines on."""
    for line in stream:
        lines.put(line)


def listing(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield path → mode and hash of all that lies in a folder of toolkits."""
    for place, folders, names in os.walk(folder):
        if place == str(folder):
            folders[:] = [each for each in folders if not each.startswith(".")]
            names = []  # noqa: PLW2901 (the journal and the lock)
        for name in (*folders, *names):
            path = Path(place, name)
            status = path.lstat()
            if path.is_symlink():
                what = f"-> {path.readlink()}"
            elif path.is_dir():
                what = "folder"
            else:
                with path.open("rb") as stream:
                    what = hashlib.file_digest(stream, "sha256").hexdigest()
            yield str(path.relative_to(folder)), f"{status.st_mode:o} {what}"


def copy_home(source: Path, target: Path) -> None:
    """Copy a folder; what a toolkit has is linked: nobody may write into it."""

    def copied(old: str, new: str) -> None:
        if Path(old).name in {"journal.jsonl", "lock"} or Path(old).is_symlink():
            shutil.copy2(old, new, follow_symlinks=False)
        else:
            os.link(old, new)

    shutil.copytree(source, target, copy_function=copied, symlinks=True)

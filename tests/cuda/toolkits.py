"""Toolkits that really compile, put together by our own steps from what NVIDIA publishes.

``python -m tests.cuda.toolkits 13.0 FOLDER`` fetches and assembles one in a process of its
own: the tests themselves may not leave this machine. Downloads are kept between runs in
``$COLABMAGIC_TEST_CACHE``, by default in the user's cache folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colabmagic.cuda.fetching.cache import Cache
from colabmagic.cuda.methods.wheels import requirements_of
from colabmagic.cuda.steps.assemble import Assemble
from colabmagic.cuda.steps.base import Work
from colabmagic.cuda.steps.compiler import BringCompiler
from colabmagic.cuda.steps.debs import FetchDebs
from colabmagic.cuda.steps.fetch import Unpack
from colabmagic.cuda.steps.wheels import FetchWheels
from colabmagic.cuda.store.layout import Home
from colabmagic.data import compat
from colabmagic.host.command import run
from colabmagic.report.progress import SILENT

if TYPE_CHECKING:
    from colabmagic.cuda.steps.base import Step

ROOT = Path(__file__).parents[2]
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MINORS_13 = ("13.0", "13.1", "13.2", "13.3", "13.4", "13.5")
HYBRIDS = {"11.8": "bookworm", "12.4": "trixie"}
COMPILERS = {"g++-11": "bookworm", "g++-13": "trixie"}  # alone, with all they need
_HYBRID = ("nvidia-cuda-nvcc", "nvidia-cuda-runtime", "nvidia-cuda-cccl")
_TIMEOUT_S = 600


class NotToBeHadError(Exception):
    """A toolkit cannot be fetched here: no network, or no such archive."""


def store() -> Path:
    """Return where downloads are kept between runs, outside of the repository."""
    chosen = os.environ.get("COLABMAGIC_TEST_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(chosen or f"{base}/colabmagic-tests").expanduser()


def make(version: str, root: Path, *shadow: str) -> dict[str, Any]:
    """Make a toolkit in another process; return its environment, seconds and bytes.

    Parameters
    ----------
    version
        Its minor.
    root
        Its folder, which is made.
    shadow
        The tree of PyTorch's libraries, to link to instead of having them.

    Raises
    ------
    NotToBeHadError
        It cannot be fetched.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.cuda.toolkits", version, str(root), *shadow],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    if done.returncode:
        raise NotToBeHadError((done.stderr.strip().splitlines() or ["no word"])[-1])
    made: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return made


def steps(version: str, shadow: str | None = None) -> list[Step]:
    """Return what makes a toolkit of a version."""
    if version in COMPILERS:
        suites = (debian(COMPILERS[version]),)
        major = int(version.partition("-")[2])
        return [BringCompiler(major=major, suites=suites, keyring=KEYRING, whole=True)]
    if shadow is not None:
        wanted = requirements_of(compat.newest_of(version), shadow=True)
        return [
            FetchWheels(requirements=tuple(wanted)),
            Unpack(format="wheels"),
            Assemble(layout="shadow", build=version, from_root=shadow),
        ]
    if version in MINORS_13:
        wanted = requirements_of(compat.newest_of(version), shadow=False)
        return [
            FetchWheels(requirements=tuple(wanted)),
            Unpack(format="wheels"),
            Assemble(layout="wheels", build=version),
        ]
    suffix = f"cu{version.partition('.')[0]}"
    suites = (debian(HYBRIDS[version]),)
    made: list[Step] = [
        FetchWheels(
            requirements=tuple(f"{name}-{suffix}=={version}.*" for name in _HYBRID)
        ),
        FetchDebs(
            suites=suites, packages=("nvidia-cuda-toolkit", "libnvvm4"), keyring=KEYRING
        ),
        Unpack(format="wheels"),
        Unpack(format="deb"),
        Assemble(layout="deb", build=version),
    ]
    if version == "11.8":
        made.append(BringCompiler(major=11, suites=suites, keyring=KEYRING))
    return made


def debian(suite: str) -> str:
    """Return a source of packages: the mirror that this machine uses itself."""
    for path in sorted(Path("/etc/apt").glob("sources.list*")):
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        for file in files:
            text = file.read_text(encoding="utf-8", errors="replace")
            found = re.search(
                r"(?:^URIs:|^deb .*?)\s*(https?://\S+/debian)/?\s", text, re.MULTILINE
            )
            if found:
                return f"{found[1]} {suite} main non-free"
    message = "no Debian mirror in /etc/apt"
    raise NotToBeHadError(message)


def copy_of(root: Path, target: Path) -> Path:
    """Return a copy of a toolkit that shares its files: replace them, never write to them."""
    shutil.copytree(root, target, copy_function=os.link, symlinks=True)
    return target


def replace_file(path: Path, content: bytes, *, mode: int = 0o755) -> None:
    """Replace a file of such a copy."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def main(version: str, root: str, shadow: str | None = None) -> None:
    """Make one, and tell how it went as one line of JSON."""
    home = Home(store())
    staging = Path(root)
    staging.mkdir(parents=True)
    work = Work(
        home=home, staging=staging, cache=Cache(home.cache), run=run, progress=SILENT
    )
    seconds = {}
    for step in steps(version, shadow):
        began = time.monotonic()
        step.do(work)
        name = f"{step.kind} {getattr(step, 'format', '')}".strip()
        seconds[name] = round(time.monotonic() - began, 2)
    megabytes = sum(path.stat().st_size for path in work.files.values()) / 1e6
    told = {
        "environment": work.environment,
        "seconds": seconds,
        "megabytes": round(megabytes, 1),
    }
    sys.stdout.write(f"{json.dumps(told)}\n")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:  # noqa: BLE001 (its words go to the test)
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        raise SystemExit(1) from None

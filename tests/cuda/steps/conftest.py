"""A real pip in an environment of its own, and a package index on loopback."""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.fetching.cache import Cache
from colabmagic.cuda.steps.base import Work
from colabmagic.cuda.store.layout import Home
from colabmagic.host.command import run
from tests.fakes.wheel_index import WheelIndex

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_STAYS = ("pip", "setuptools", "_distutils_hack", "distutils-precedence", "pkg_res")


@dataclass
class Told:
    """Keeps what a step tells of its progress."""

    lines: list[str] = field(default_factory=list)
    done: float = 0

    def start(self, what: str, total: float | None = None) -> None:
        """Keep it."""
        self.lines.append(f"{what} {total or ''}".strip())

    def advance(self, amount: float = 1) -> None:
        """Count it."""
        self.done += amount

    def finish(self, summary: str = "") -> None:
        """Keep it."""
        self.lines.append(summary)


@dataclass(frozen=True)
class Place:
    """An environment with pip."""

    python: str
    packages: Path

    def versions(self) -> dict[str, str]:
        """Return what is installed, pip and its like left out."""
        found = {}
        for info in self.packages.glob("*.dist-info"):
            fields = dict(
                line.split(": ", 1)
                for line in (info / "METADATA").read_text().splitlines()
                if ": " in line
            )
            found[fields["Name"]] = fields["Version"]
        return {
            name: version
            for name, version in found.items()
            if name not in {"pip", "setuptools"}
        }

    def files(self) -> dict[str, bytes]:
        """Return all files of the packages, but for what Python compiles."""
        return {
            str(path.relative_to(self.packages)): path.read_bytes()
            for path in sorted(self.packages.rglob("*"))
            if path.is_file()
            and "__pycache__" not in path.parts
            and not path.relative_to(self.packages).parts[0].startswith(_STAYS)
        }

    def clean(self) -> None:
        """Take all packages away."""
        for path in self.packages.iterdir():
            if not path.name.startswith(_STAYS):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def pip(self, *words: str) -> None:
        """Run pip by hand."""
        argv = [self.python, "-m", "pip", "install", "-q", *words]
        subprocess.run(argv, check=True, capture_output=True)


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Return an environment with a pip; it is made once."""
    folder = tmp_path_factory.mktemp("pip") / "env"
    venv.create(folder, with_pip=True, symlinks=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    return Place(str(folder / "bin" / "python"), packages)


@pytest.fixture
def index() -> Iterator[WheelIndex]:
    """Return a package index."""
    with WheelIndex() as found:
        yield found


@pytest.fixture
def place(
    environment: Place, index: WheelIndex, monkeypatch: pytest.MonkeyPatch
) -> Place:
    """Return an environment without packages, whose pip knows the index alone."""
    environment.clean()
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{index.url}/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_TIMEOUT", "5")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    return environment


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """Return what a step works with."""
    home = Home(tmp_path / "home")
    return Work(
        home=home,
        staging=tmp_path / "staging",
        cache=Cache(home.cache),
        run=run,
        progress=Told(),
    )

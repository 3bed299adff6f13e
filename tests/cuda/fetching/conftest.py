"""Fixtures: a server of files, a cache and a patience that does not wait."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.fetching.cache import Cache
from colabmagic.cuda.fetching.download import Wanted
from colabmagic.cuda.fetching.patience import Patience
from tests.fakes.nvidia.server import FileServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HASTE = Patience(attempts=3, first_wait_s=0.0, longest_asked_s=0.05, read_s=10.0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    """Serve an empty folder."""
    (tmp_path / "served").mkdir()
    with FileServer(tmp_path / "served") as running:
        yield running


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Return an empty cache."""
    return Cache(tmp_path / "cache")


@pytest.fixture
def publish(server: FileServer) -> Callable[..., Wanted]:
    """Return a function that puts a file on the server, and says what is wanted."""

    def make(
        name: str = "a.bin", size: int = 600_000, *, sha256: bool = True
    ) -> Wanted:
        content = random.Random(name).randbytes(size)  # noqa: S311 (only a content)
        place = server.root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        return Wanted(
            url=f"{server.url}/{name}",
            name=name.rpartition("/")[2],
            sha256=hashlib.sha256(content).hexdigest() if sha256 else None,
            size=size if sha256 else None,
        )

    return make

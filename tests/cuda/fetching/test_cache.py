"""The cache keeps what is whole, and gives back room."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.errors import CudaError
from colabmagic.cuda.fetching.cache import Cache, write_whole
from colabmagic.cuda.fetching.lock import open_locked

if TYPE_CHECKING:
    from pathlib import Path


def put(cache: Cache, content: bytes, *, age_s: float = 0.0) -> str:
    """Put a file into the cache, last used so long ago; return its hash."""
    cache.partial.mkdir(parents=True, exist_ok=True)
    sha256 = hashlib.sha256(content).hexdigest()
    part = cache.partial / f"{sha256}.part"
    part.write_bytes(content)
    place = cache.add(part, sha256)
    then = time.time() - age_s
    os.utime(place, (then, then))
    return sha256


def test_a_file_is_found_by_its_hash(cache: Cache) -> None:
    """The partial file is gone: it was renamed."""
    sha256 = put(cache, b"hello")
    assert cache.has(sha256)
    assert cache.checked(sha256) == cache.path_of(sha256)
    assert not list(cache.partial.iterdir())
    assert not cache.has("0" * 64)
    assert cache.checked("0" * 64) is None


def test_verify_takes_damaged_files_away(cache: Cache) -> None:
    """And names them; whole ones stay."""
    good, bad = put(cache, b"good"), put(cache, b"bad")
    cache.path_of(bad).write_bytes(b"bat")
    assert cache.verify() == [bad]
    assert cache.has(good)
    assert not cache.has(bad)
    assert cache.verify() == []


def test_size_counts_all_that_is_kept(cache: Cache) -> None:
    """Files that are still coming as well."""
    assert cache.size() == 0
    put(cache, b"12345")
    (cache.partial / "x.part").write_bytes(b"123")
    assert cache.size() == 8


def test_prune_takes_the_oldest_first(cache: Cache) -> None:
    """What was used within the hour stays, whatever the limit."""
    old, older = put(cache, b"x" * 100, age_s=9e3), put(cache, b"y" * 50, age_s=9e4)
    new = put(cache, b"z" * 10)
    assert cache.prune(most_bytes=120) == 50
    assert (cache.has(old), cache.has(older)) == (True, False)
    assert cache.prune() == 100
    assert cache.has(new)
    assert cache.prune(spare_s=0.0) == 10
    assert cache.size() == 0


def test_prune_leaves_what_is_being_fetched(cache: Cache) -> None:
    """A locked partial file stays; one that nobody wants any more goes."""
    cache.partial.mkdir(parents=True)
    left, busy = cache.partial / "left.part", cache.partial / "busy.part"
    for path in (left, busy):
        path.write_bytes(b"123")
        os.utime(path, (1, 1))
    (cache.partial / "left.json").write_text("{}", "utf-8")
    descriptor = open_locked(busy, threading.Event())
    assert descriptor is not None
    try:
        assert cache.prune() == 3
    finally:
        os.close(descriptor)
    assert [path.name for path in cache.partial.iterdir()] == ["busy.part"]


def test_a_note_is_kept_and_a_damaged_one_ignored(cache: Cache) -> None:
    """The key itself is not written: it may have a login in it."""
    cache.write_note("https://me:s3cret@h/a", {"sha256": "1"})
    assert cache.note("https://me:s3cret@h/a") == {"sha256": "1"}
    (path,) = cache.notes.iterdir()
    assert "s3cret" not in path.name + path.read_text("utf-8")
    path.write_text("[1", "utf-8")
    assert cache.note("https://me:s3cret@h/a") == {}
    for text in ("[1]", "[" * 100_000):
        path.write_text(text, "utf-8")
        assert cache.note("https://me:s3cret@h/a") == {}
    assert cache.note("other") == {}


def test_a_small_file_is_written_as_a_whole(tmp_path: Path) -> None:
    """Nothing else is left beside it."""
    write_whole(tmp_path / "a" / "b", "one")
    write_whole(tmp_path / "a" / "b", "two")
    assert (tmp_path / "a" / "b").read_text("utf-8") == "two"
    assert len(list((tmp_path / "a").iterdir())) == 1


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    """It is the cache that is named, with another one to be typed."""
    (tmp_path / "file").touch()
    with pytest.raises(CudaError) as caught:
        Cache(tmp_path / "file").write_note("key", {})
    assert str(tmp_path / "file") in str(caught.value.seen)
    assert "--cache FOLDER" in caught.value.hint

"""What has come of a file, and whose bytes they are."""

from __future__ import annotations

import hashlib
import os
import threading
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.errors import CudaError, DiskFullError, NeedsRootError
from colabmagic.cuda.fetching import trouble
from colabmagic.cuda.fetching.partial import Partial, Validator

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.cuda.fetching.cache import Cache

GO = threading.Event()


def opened(cache: Cache) -> Partial:
    """Return a partial file that is ours."""
    partial = Partial.open(cache, "key", GO)
    assert partial is not None
    return partial


def test_it_goes_on_with_its_hash_and_validator(cache: Cache) -> None:
    """A later run knows what is here, and from where."""
    first = opened(cache)
    first.restart("http://h/a", Validator('"1"', "Mon"))
    first.write(b"hello ")
    first.close()
    second = opened(cache)
    assert (second.size, second.url) == (6, "http://h/a")
    assert second.validator == Validator('"1"', "Mon")
    second.write(b"world")
    assert second.sha256 == hashlib.sha256(b"hello world").hexdigest()
    assert second.publish().read_bytes() == b"hello world"
    second.close()
    assert not list(cache.partial.iterdir())


def test_what_is_known_may_be_damaged(cache: Cache) -> None:
    """Then only the bytes are known."""
    first = opened(cache)
    first.restart("http://h/a", Validator('"1"'))
    first.write(b"x")
    first.close()
    for text in ("", "[]", '{"etag": 5}', "\0"):
        (cache.partial / "key.json").write_text(text, "utf-8")
        partial = opened(cache)
        assert partial.size == 1
        partial.close()


def test_an_empty_one_is_not_left(cache: Cache) -> None:
    """Neither is its side file."""
    partial = opened(cache)
    partial.restart("http://h/a", Validator())
    partial.close()
    assert not list(cache.partial.iterdir())


def test_validators_tell_files_apart() -> None:
    """Weak ETags promise too little."""
    one = Validator.of({"ETag": '"1"', "Last-Modified": "Mon"})
    assert one.if_range == '"1"'
    assert one.conflicts(Validator('"2"', "Mon"))
    assert not one.conflicts(Validator('"1"', "Tue"))
    assert not one.conflicts(Validator())
    assert Validator("", "Mon").conflicts(Validator("", "Tue"))
    weak = Validator.of({"ETag": 'W/"1"'})
    assert not weak
    assert Validator.of({"ETag": 'W/"1"', "Last-Modified": "Mon"}).if_range == "Mon"


def test_the_disk_has_its_own_words(tmp_path: Path) -> None:
    """Full, read-only, or something else."""
    full = trouble.unwritable(
        tmp_path, OSError(28, "No space left on device"), wanted=9
    )
    assert isinstance(full, DiskFullError)
    assert (
        full.seen == f"{tmp_path}: No space left on device; 9 bytes are still to come"
    )
    readonly = trouble.unwritable(tmp_path, OSError(30, "Read-only file system"))
    assert isinstance(readonly, NeedsRootError)
    assert "COLABMAGIC_HOME" in readonly.hint
    assert type(trouble.unwritable(tmp_path, OSError(5, "I/O error"))) is CudaError


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_not_ours_is_one_error(cache: Cache) -> None:
    """With what to set."""
    cache.root.mkdir(mode=0o500)
    with pytest.raises(NeedsRootError):
        Partial.open(cache, "key", GO)


def test_a_file_in_the_place_of_the_folder_is_one_error(cache: Cache) -> None:
    """No traceback of ours."""
    cache.root.write_bytes(b"")
    with pytest.raises(CudaError, match="does not take the file"):
        Partial.open(cache, "key", GO)

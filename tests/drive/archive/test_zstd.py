"""Zstandard, by any of its packages, or a hint that installs one."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.archive import zstd
from tests.drive.archive.test_archives import FILES, content, seven, tar, zst

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from colabmagic.drive.archive.members import Target


def test_packages_that_are_missing(
    into: Callable[..., Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint installs them."""
    packed, archive = zst(tar()), seven()
    for name in ("compression.zstd", "backports.zstd", "zstandard", "py7zr"):
        monkeypatch.setitem(sys.modules, name, None)
    for data, name in ((packed, "x.tar.zst"), (archive, "x.7z")):
        with pytest.raises(errors.MissingPackageError) as caught:
            into(data, name)
        assert caught.value.hint.startswith("%pip install")


@pytest.mark.parametrize("name", ["compression.zstd", "backports.zstd", "zstandard"])
def test_each_package(
    into: Callable[..., Target],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """There and back, also over several frames; a wrong byte is an error."""
    pytest.importorskip(name)
    for other in {"compression.zstd", "backports.zstd", "zstandard"} - {name}:
        monkeypatch.setitem(sys.modules, other, None)
    zstd.require()
    packed = zst(tar()[:1000]) + zst(tar()[1000:])
    with zstd.reader(io.BytesIO(packed)) as stream:
        assert stream.read(10**6) + stream.read(10**6) + stream.read(10**6) == tar()
    into(packed, "x.tar.zst")
    assert content(tmp_path / "target") == FILES
    wrong = bytearray(packed)
    wrong[-10] ^= 255
    with pytest.raises(errors.CorruptArchiveError):
        into(bytes(wrong), "x.tar.zst")

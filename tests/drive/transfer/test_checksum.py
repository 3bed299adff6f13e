"""Which checksum is compared."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive.api.remote import RemoteFile
from colabmagic.drive.transfer import checksum

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("sha256", [None, hashlib.sha256(b"x").hexdigest()])
def test_the_servers_own(sha256: str | None) -> None:
    """MD5 always serves; SHA-256 only where the server tells it."""
    md5 = hashlib.md5(b"x").hexdigest()  # noqa: S324 (Drive's)
    remote = RemoteFile(id="1", name="x", mime_type="", size=1, md5=md5, sha256=sha256)
    digest, wanted = checksum.expected(remote)
    digest.update(b"x")
    assert digest.hexdigest() == wanted
    assert wanted in {md5, sha256}
    if sha256 is None:
        assert wanted == md5


@pytest.mark.parametrize("faster", ["md5", "sha256"])
def test_which_is_the_faster_counts(
    faster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SHA-256 is taken where the processor does it sooner, and MD5 elsewhere."""
    monkeypatch.setattr(checksum, "_is_faster", lambda one, _: one == faster)
    remote = RemoteFile(
        id="1", name="x", mime_type="", size=1, md5="a" * 32, sha256="b" * 64
    )
    digest, wanted = checksum.expected(remote)
    assert (digest.name, wanted[0]) == (faster, "a" if faster == "md5" else "b")


@pytest.mark.parametrize("sha256", [True, False])
def test_a_file_that_is_here(tmp_path: Path, *, sha256: bool) -> None:
    """Of the same bytes, all of them; a longer one of the same beginning is another."""
    data = b"x" * 5_000_000
    remote = RemoteFile(
        id="1", name="x", mime_type="", size=len(data),
        md5=hashlib.md5(data).hexdigest(),  # noqa: S324 (Drive's)
        sha256=hashlib.sha256(data).hexdigest() if sha256 else None,
    )  # fmt: skip
    here = tmp_path / "x"
    assert not checksum.is_content(here, remote)
    for content, same in ((data, True), (data + b"x", False), (b"y" + data[1:], False)):
        here.write_bytes(content)
        assert checksum.is_content(here, remote) is same
    assert not checksum.is_content(tmp_path, remote)

"""Which checksum is compared."""

from __future__ import annotations

import hashlib

import pytest

from colabmagic.drive.api.remote import RemoteFile
from colabmagic.drive.transfer import checksum


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

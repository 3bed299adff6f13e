"""A client of other authors, in another language, works against the fake."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.drive import FakeDrive
from tests.fakes.drive.proxy import ConnectProxy, tls_context

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("trustme")
RCLONE = shutil.which("rclone")
pytestmark = pytest.mark.skipif(RCLONE is None, reason="rclone is not installed")

CONFIG = """[fake]
type = drive
scope = drive
client_id = id
client_secret = secret
token = {{"access_token":"{token}","token_type":"Bearer","refresh_token":"r",\
"expiry":"2020-01-01T00:00:00Z"}}
"""


@pytest.fixture
def rclone(tmp_path: Path) -> Iterator[Any]:
    """Rclone."""
    ca_file = tmp_path / "ca.pem"
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    with (
        FakeDrive(tls=tls_context(ca_file), blob_dir=blobs) as drive,
        ConnectProxy(drive.port) as proxy,
    ):
        config = tmp_path / "rclone.conf"
        config.write_text(CONFIG.format(token=drive.token))

        def run(*arguments: str) -> Any:
            """Run."""
            command = [RCLONE, "--config", config, "--ca-cert", ca_file, *arguments]
            return subprocess.run(
                command,
                env={**os.environ, "HTTPS_PROXY": proxy.url},
                check=True,
                capture_output=True,
                text=True,
                timeout=60,
            )

        yield drive, run


def test_copy_check_and_faults(rclone: Any, tmp_path: Path) -> None:
    """Copy check and faults."""
    drive, run = rclone
    source = tmp_path / "source"
    (source / "it's a dir").mkdir(parents=True)
    (source / "big.bin").write_bytes(os.urandom(9 << 20))
    (source / "it's a dir" / "small.txt").write_bytes(b"small")
    drive.faults.load(
        [
            {"kind": "status", "code": 403, "reason": "userRateLimitExceeded"},
            {"kind": "status", "match": "upload_id", "skip": 1, "times": 2},
            {"kind": "lost_reply", "match": "upload_id"},
        ]
    )
    run("copy", source, "fake:data", "--drive-chunk-size", "1M")
    assert drive.faults.left == 0
    run("check", source, "fake:data")
    target = tmp_path / "target"
    run("copy", "fake:data", target, "--multi-thread-cutoff", "5M")
    assert (target / "big.bin").read_bytes() == (source / "big.bin").read_bytes()
    assert drive.operations["token"] >= 1
    assert drive.violations == []

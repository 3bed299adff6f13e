"""7z archives: by the same policy, or a clear error."""

from __future__ import annotations

import io
import random
import shutil
from typing import TYPE_CHECKING

import py7zr
import pytest

from colabmagic.drive import errors
from tests.drive.archive.test_archives import named_seven, seven

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from colabmagic.drive.archive.members import Target


def test_links_in_a_7z(into: Callable[..., Target], tmp_path: Path) -> None:
    """By the same policy; modes are kept as far as a file may be run."""
    source = tmp_path.parent / f"{tmp_path.name}-source"
    source.mkdir()
    (source / "run").write_text("#!")
    (source / "run").chmod(0o755)
    (source / "l").symlink_to("run")
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w") as archive:
        archive.writeall(source, "d")
    shutil.rmtree(source)
    with pytest.raises(errors.UnsafeMemberError, match="link"):
        into(out.getvalue(), "x.7z")
    shutil.rmtree(tmp_path / "target" / "d")
    into(out.getvalue(), "x.7z", links="inside")
    assert (tmp_path / "target" / "d" / "l").resolve().stat().st_mode & 0o100


@pytest.mark.parametrize("what", ["encrypted", "wrong byte", "cut off", "twice"])
def test_bad_7z(into: Callable[..., Target], what: str) -> None:
    """An error of ours, whatever py7zr says."""
    data = bytearray(seven({"a": random.Random(1).randbytes(9000)}))  # noqa: S311
    if what == "encrypted":
        data = bytearray(seven({"a": b"secret"}, password="x"))  # noqa: S106
    elif what == "wrong byte":
        data[5000] ^= 1
    elif what == "cut off":
        del data[-20:]
    else:
        data = bytearray(named_seven({"a": b"1", "./a": b"2"}))
    with pytest.raises(errors.ArchiveError):
        into(bytes(data), "x.7z")

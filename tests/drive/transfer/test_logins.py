"""Files that hold a login: recognised before they are uploaded."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.account.tokens import token_path
from colabmagic.drive.transfer.logins import Logins, refuse_login

if TYPE_CHECKING:
    from pathlib import Path

LOGIN = json.dumps({"client_secret": "s", "refresh_token": "r"}).encode()


def has(path: Path, name: str | None = None) -> bool:
    """Tell whether a file is a login."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return Logins().has(descriptor, name or path.name)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("name", "data", "is_login"),
    [
        ("a.json", LOGIN, True),
        ("a.JSON.bak", LOGIN, True),
        ("a.txt", LOGIN, False),  # of another tool, such a name is not looked into
        ("a.json", b'{"refresh_token": "r"}', False),
        ("a.json", b"", False),
        ("a.json", LOGIN + b" " * 64 * 1024, False),  # none is so large
        ("a.json", b"\xff" + LOGIN, True),
    ],
    ids=range(7),
)
def test_a_login_of_any_tool(
    tmp_path: Path, name: str, data: bytes, *, is_login: bool
) -> None:
    """By what is in it, where its name is that of such a file."""
    (tmp_path / name).write_bytes(data)
    assert has(tmp_path / name) is is_login


def test_ours_under_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The very file that is kept here, and its other names; not a folder's others."""
    monkeypatch.setenv("COLABMAGIC_HOME", str(tmp_path))
    kept = token_path()
    kept.parent.mkdir(parents=True)
    assert Logins().kept is None
    kept.write_bytes(b"anything")
    os.link(kept, tmp_path / "weights.bin")
    (tmp_path / "other").write_bytes(b"anything")
    assert has(kept)
    assert has(tmp_path / "weights.bin")
    assert not has(tmp_path / "other")


def test_it_is_refused(tmp_path: Path) -> None:
    """With its name and the reason, and nothing that is in it; its position stays."""
    path = tmp_path / "a b.json"
    path.write_bytes(LOGIN.replace(b'"r"', b'"MARKER"'))
    with path.open("rb") as file:
        with pytest.raises(errors.DrivePathError, match="is a login") as caught:
            refuse_login(file.fileno(), path, path.name)
        assert file.tell() == 0
    assert f"'{path}'" in caught.value.what
    assert "MARKER" not in str(caught.value)

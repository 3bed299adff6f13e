"""A login as it is kept: for one user alone, as a whole, where it is found again."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.drive import errors
from colabmagic.drive.account import auth, tokens
from tests.drive.account.examples import MARK, account, user, written
from tests.drive.leaks import everything

if TYPE_CHECKING:
    from pathlib import Path


def test_the_store(env: dict[str, str], tmp_path: Path, private_key: str) -> None:
    """Mode 0600 from the first moment, replaced as a whole, without the access token."""
    path = tmp_path / "deep" / "token.json"
    for name in ("one", "two"):
        file = str(written(tmp_path / "t", user(name, scopes=[auth.WRITE])))
        credentials: Any = auth.find_credentials(file, env=env)
        credentials.token = f"{MARK}-access"
        auth.store(credentials, path)
        assert path.stat().st_mode & 0o777 == 0o600
        assert f"{MARK}-access" not in path.read_text()
        assert json.loads(path.read_text())["refresh_token"] == f"{MARK}-{name}"
        assert auth.locate(str(path), env=env).credentials
    assert [each.name for each in path.parent.iterdir()] == ["token.json"]
    before = path.read_text()
    robot = auth.find_credentials(
        str(written(tmp_path / "k", account(private_key))), env=env
    )
    with pytest.raises(AttributeError):
        auth.store(robot, path)
    assert path.read_text() == before
    assert [each.name for each in path.parent.iterdir()] == ["token.json"]


@pytest.mark.parametrize(
    ("given", "below"),
    [
        ({"COLABMAGIC_HOME": "~/x"}, "x"),
        ({"COLABMAGIC_HOME": "x/y"}, "x/y"),
        ({"COLABMAGIC_HOME": "."}, ""),
        ({"COLABMAGIC_HOME": "~nobody-of-this-name/x"}, "~nobody-of-this-name/x"),
        (
            {"XDG_CONFIG_HOME": "relative"},
            ".config",
        ),  # to be ignored, says its standard
        ({}, ".config"),
    ],
    ids=str,
)
def test_a_login_is_never_kept_in_the_working_directory(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, str],
    below: str,
) -> None:
    """That may be a repository; a path that begins nowhere begins at home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    found = tokens.token_path(given)
    assert found == tmp_path / below / "colabmagic" / "drive-token.json"


def test_a_whole_path_is_taken_as_it_is(tmp_path: Path) -> None:
    """From either variable; ours goes first."""
    end = "colabmagic/drive-token.json"
    given = {"XDG_CONFIG_HOME": str(tmp_path / "a")}
    assert tokens.token_path(given) == tmp_path / "a" / end
    given["COLABMAGIC_HOME"] = str(tmp_path / "b")
    assert tokens.token_path(given) == tmp_path / "b" / end


def test_a_store_that_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by Ctrl-C before the last step: what was there stays, and nothing beside it."""
    path = tmp_path / "token.json"
    login: Any = tokens.user_credentials(tokens.Hidden(user("one")))
    tokens.store(login, path)
    before = path.read_text()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        tokens.store(tokens.user_credentials(tokens.Hidden(user("two"))), path)
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_read_is_hidden(tmp_path: Path) -> None:
    """Also what lies deeper in it, and in any text that is made of it."""
    file = written(
        tmp_path / "t", {"installed": {"client_secret": MARK}, "a": [{"b": MARK}]}
    )
    path, found = tokens.read_json(
        file, lambda reason: errors.DriveError(reason, hint="")
    )
    assert path == file
    assert found["installed"]["client_secret"] == MARK
    assert MARK not in f"{found} {found!r} {found['installed']!r} {found['a']!r}"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "No such file"),
        (b"{" + b" " * 2**20, "too large"),
        (b"\xff" + MARK.encode(), "no text"),
        (b" ", "it is empty"),
        (MARK.encode(), "no JSON object"),
        (f'["{MARK}"]'.encode(), "no JSON object"),
        (b"[" * 100_000, "no JSON object"),
    ],
    ids=range(7),
)
def test_what_cannot_be_read(tmp_path: Path, content: bytes | None, what: str) -> None:
    """The caller's own words, with the reason, and nothing of what the file holds."""
    file = tmp_path / "c.json"
    if content is not None:
        file.write_bytes(content)

    def refuse(*told: str) -> errors.DriveError:
        return errors.LoginFailedError(" ".join(told), hint="x")

    with pytest.raises(errors.LoginFailedError, match=what) as caught:
        tokens.read_json(file, refuse, refuse)
    assert MARK not in everything(caught.value)


@pytest.mark.parametrize(
    ("address", "safe"),
    [
        ("https://oauth2.googleapis.com/token", True),
        ("http://127.0.0.1:80/token", True),
        ("http://localhost/token", True),
        ("http://[::1]:9/token", True),
        ("http://oauth2.googleapis.com/token", False),
        ("http://127.0.0.1.example/token", False),
        ("https:///token", False),
        ("ftp://127.0.0.1/", False),
        ("http://[x", False),
        ("", False),
    ],
)
def test_where_a_secret_may_travel(address: str, *, safe: bool) -> None:
    """Where nobody can read it on the way, or to this machine."""
    if safe:
        tokens.check_address(address, "token_uri", "c.json")
        return
    with pytest.raises(errors.NoCredentialsError, match="would send secrets") as caught:
        tokens.check_address(address, "token_uri", "c.json")
    assert str(caught.value.seen).startswith("token_uri ")


def test_scopes() -> None:
    """As a list or as one text; what is shown of them is short, however many there are."""
    hidden = tokens.Hidden
    assert tokens.scopes_of(hidden(scopes=["a", "b"])) == ("a", "b")
    assert tokens.scopes_of(hidden(scope="a b")) == ("a", "b")
    assert tokens.scopes_of(hidden(scopes=[])) is None
    assert tokens.in_short([auth.READ, "openid"]) == "drive.readonly, openid"
    assert tokens.in_short(["x" * 999] * 99).count("x") == 5 * tokens.LONGEST


def test_who_may_read_a_file(tmp_path: Path) -> None:
    """Nobody a file that is not there; a group or others by any right of theirs."""
    file = tmp_path / "t"
    assert not tokens.is_open_to_others(file)
    file.write_text(json.dumps({}))
    for mode, is_open in ((0o600, False), (0o640, True), (0o602, True), (0o700, False)):
        file.chmod(mode)
        assert tokens.is_open_to_others(file) is is_open
        tokens.tighten(file)
        assert file.stat().st_mode & 0o777 == (0o600 if is_open else mode)

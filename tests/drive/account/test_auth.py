"""Where credentials come from, in which order, and that they are never shown."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.drive import errors
from colabmagic.drive.account import auth, tokens
from colabmagic.drive.client import connect
from tests.drive.account.examples import (
    KAGGLE,
    MARK,
    account,
    kaggle_with,
    user,
    written,
)
from tests.drive.leaks import everything

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.drive import FakeDrive


def _refresh_token(found: auth.Found) -> str:
    return str(found.credentials.refresh_token).removeprefix(f"{MARK}-")  # type: ignore[attr-defined]


def test_the_order(env: dict[str, str], tmp_path: Path) -> None:
    """Given, then the variable, then our own login, then gcloud's."""
    written(auth.adc_path(env), user("gcloud"))
    assert _refresh_token(auth.locate(env=env)) == "gcloud"
    assert auth.locate(env=env).scopes is None
    written(auth.token_path(env), user("own", scopes=[auth.WRITE]))
    assert _refresh_token(auth.locate(env=env)) == "own"
    assert _refresh_token(auth.locate("adc", env=env)) == "gcloud"
    env["GOOGLE_APPLICATION_CREDENTIALS"] = str(written(tmp_path / "a", user("named")))
    assert _refresh_token(auth.locate(env=env)) == "named"
    assert _refresh_token(auth.locate("adc", env=env)) == "named"
    given = written(tmp_path / "b", user("given"))
    assert _refresh_token(auth.locate(str(given), env=env)) == "given"


def test_the_named_file_is_missing(env: dict[str, str], tmp_path: Path) -> None:
    """A variable that leads nowhere is an error: another login must not be taken silently."""
    written(auth.token_path(env), user())
    env["GOOGLE_APPLICATION_CREDENTIALS"] = str(tmp_path / "none")
    with pytest.raises(errors.NoCredentialsError, match="cannot be read") as caught:
        auth.locate(env=env)
    assert "unset it" in caught.value.hint


def test_reading_asks_for_less(
    env: dict[str, str], tmp_path: Path, private_key: str
) -> None:
    """A service account gets the right to read where that is enough."""
    file = str(written(tmp_path / "key.json", account(private_key)))
    assert auth.locate(file, env=env).scopes == (auth.WRITE,)
    found = auth.locate(file, env=env, write=False)
    assert found.scopes == (auth.READ,)
    assert found.kind == "a service account's key"


def test_a_login_for_reading_does_not_write(env: dict[str, str]) -> None:
    """It is told before anything is asked, with the way to get more."""
    written(auth.token_path(env), user(scopes=[auth.READ]))
    assert auth.locate(env=env, write=False)
    assert auth.locate(env=env)  # what for is not known yet
    with pytest.raises(errors.InsufficientScopeError) as caught:
        auth.locate(env=env, write=True)
    assert caught.value.render() == [
        "InsufficientScopeError: this login may read Drive, not write",
        "  seen: the login of --login: drive.readonly",
        "  try:  %mount_drive --login --client client.json",
        "        and tick the box for Google Drive in Google's window",
    ]
    assert "auth/drive" in auth.GCLOUD.partition("--scopes=")[2].split(",")[-1]
    written(auth.token_path(env), user(scopes="openid email"))
    with pytest.raises(errors.InsufficientScopeError, match="is not for Drive"):
        auth.locate(env=env, write=False)
    written(auth.token_path(env), user(scopes=[auth.OWN_FILES]))
    assert auth.locate(env=env, write=True)


def test_nothing_to_log_in_with(env: dict[str, str], tmp_path: Path) -> None:
    """The first line can be pasted as it stands, the second says what it takes."""
    for given, said in ((None, "nothing is here"), ("adc", "gcloud has no login")):
        with pytest.raises(errors.NoCredentialsError, match=said) as caught:
            auth.locate(given, env=env, sysroot=tmp_path)
        # only what was looked at
        assert ("drive-token" in str(caught.value.seen)) is (given is None)
        lines = caught.value.render()
        assert len(lines) == 4
        assert lines[2] == f"  try:  {auth.GCLOUD if given else auth.LOGIN}"
        assert lines[3].startswith("        no client.json yet? ")
        assert "%mount_drive --doctor" in lines[3]
        assert "client.json; no client.json yet?" in str(caught.value) or given


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("gcloud", auth.GCLOUD),
        ("own", auth.LOGIN),
        ("file", auth.LOGIN_ELSEWHERE),
        ("secret", auth.LOGIN_ELSEWHERE),
    ],
)
def test_more_rights_come_by_the_way_that_the_login_came(
    env: dict[str, str], tmp_path: Path, place: str, line: str
) -> None:
    """The line makes this very login again."""
    info, given = user(scopes=[auth.READ]), None
    if place == "secret":
        env["MINE"], given = json.dumps(info), "secret:MINE"
    elif place == "file":
        given = str(written(tmp_path / "a.json", info))
    else:
        path = auth.adc_path(env) if place == "gcloud" else auth.token_path(env)
        written(path, info)
    with pytest.raises(errors.InsufficientScopeError) as caught:
        auth.locate(given, env=env, sysroot=tmp_path, write=True)
    assert caught.value.hint.splitlines()[0] == line


def test_a_client_is_no_login(env: dict[str, str], tmp_path: Path) -> None:
    """The whole line is told that makes a login of it."""
    info = {"installed": {"client_secret": MARK}}
    file = written(tmp_path / "my client.json", info)
    with pytest.raises(errors.NoCredentialsError, match="OAuth client") as caught:
        auth.locate(str(file), env=env)
    assert caught.value.hint == f"%mount_drive --login --client '{file}'"
    env["MINE"] = json.dumps(info)
    with pytest.raises(errors.NoCredentialsError, match="OAuth client") as caught:
        auth.locate("secret:MINE", env=env, sysroot=tmp_path)
    assert caught.value.hint.startswith(auth.LOGIN_ELSEWHERE)


def test_own_addresses_are_kept(drive: FakeDrive, tmp_path: Path) -> None:
    """A login is renewed where its file says, which google-auth itself would not do."""
    drive.store.add_file("a", b"1")
    info = user(token_uri=f"{drive.url}/token", quota_project_id="bill")
    credentials: Any = auth.find_credentials(str(written(tmp_path / "t", info)))
    assert credentials.quota_project_id == "bill"
    d = connect(credentials=credentials, api_root=drive.url)
    assert d.stat("MyDrive/a").size == 1
    assert drive.operations["token"] == 1
    info["universe_domain"] = "example.com"
    credentials = auth.find_credentials(str(written(tmp_path / "t", info)))
    assert credentials.universe_domain == "example.com"


def test_a_service_account(drive: FakeDrive, tmp_path: Path, private_key: str) -> None:
    """It logs in where its key says."""
    drive.store.add_file("a", b"1")
    info = account(private_key, token_uri=f"{drive.url}/token")
    d = connect(credentials=str(written(tmp_path / "k", info)), api_root=drive.url)
    assert d.stat("MyDrive/a").size == 1


def test_workload_identity(env: dict[str, str], tmp_path: Path) -> None:
    """Kinds that only google-auth knows are left to it."""
    info = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/locations/global/workforcePools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": "/x"},
    }
    found = auth.locate(str(written(tmp_path / "w", info)), env=env)
    assert found.kind == "external account"
    assert found.scopes is None


@pytest.mark.parametrize(
    ("text", "what", "seen"),
    [
        ("{", "holds no credentials", "it is no JSON object"),
        ("[1]", "holds no credentials", "it is no JSON object"),
        ("[" * 100_000, "holds no credentials", "it is no JSON object"),
        ({**user(), "refresh_token": {"a": MARK}}, "holds no", "has no 'refresh_token'"),
        ({**user(), "scopes": 5}, "holds no credentials", "TypeError"),
        (" " * 2**20 + "{}", "cannot be read", "too large"),
        (user(refresh_token=""), "holds no credentials", "it has no 'refresh_token'"),
        ({"client_id": MARK}, "holds no credentials", "it has no 'refresh_token'"),
        ({"type": MARK[:4] + "x" * 999}, "holds no credentials", "its type is 'MARKx"),
        ({"type": "service_account", "private_key": MARK}, "holds no cred", "no 'client_email'"),
        (account(f"{MARK}"), "service account's key, and damaged", "private_key"),
        (account("-----BEGIN PRIVATE KEY-----\n" + MARK), "damaged", "private_key"),
        ("", "holds no credentials", "it is empty"),
        ({"installed": {"client_secret": MARK}}, "is an OAuth client", "installed"),
        ({**user(), "token_uri": "http://evil.example/"}, "would send secrets", "http://evil"),
        ({**user(), "token_uri": "https://"}, "would send secrets", "https://"),
        ({**user(), "token_uri": "http://[x"}, "would send secrets", "http://[x"),
        ({"type": "external_account", "token_url": "ftp://x"}, "would send", "token_url"),
    ],
)  # fmt: skip
def test_files_that_are_no_credentials(
    env: dict[str, str], tmp_path: Path, text: object, what: str, seen: str
) -> None:
    """One clear error each, and nothing secret in it, its variables or what is behind it."""
    file = tmp_path / "c.json"
    file.write_text(text if isinstance(text, str) else json.dumps(text))
    with pytest.raises(errors.NoCredentialsError, match=what) as caught:
        auth.locate(str(file), env=env)
    assert seen in str(caught.value.seen)
    assert len(str(caught.value.seen)) < 120
    assert MARK not in everything(caught.value)


def test_what_gcloud_writes(env: dict[str, str], tmp_path: Path) -> None:
    """Entries that are empty, null or Google's own are as if they were not there."""
    info = user(
        account="", universe_domain="googleapis.com", token_uri=None, scopes=None
    )
    found = auth.locate(str(written(tmp_path / "g", info)), env=env)
    assert found.credentials.token_uri == tokens.TOKEN_URI  # type: ignore[attr-defined]
    assert found.scopes is None


@pytest.mark.parametrize("by_variable", [False, True], ids=["given", "variable"])
@pytest.mark.parametrize(
    "name", ["~no-such-user/x.json", "a\0b", "a\ud800", "n" * 5000, "no", "/"]
)
def test_names_that_lead_to_no_file(
    env: dict[str, str], name: str, *, by_variable: bool
) -> None:
    """One clear error of a bounded length, with who has named it."""
    if by_variable:
        env["GOOGLE_APPLICATION_CREDENTIALS"] = name
    with pytest.raises(errors.NoCredentialsError, match="cannot be read") as caught:
        auth.locate(None if by_variable else name, env=env)
    told = str(caught.value)
    assert told.isprintable()
    assert len(told) < 900
    assert ("unset it" in caught.value.hint) is by_variable


def test_what_is_in_a_file_is_no_name_of_one(env: dict[str, str]) -> None:
    """A key that is pasted in place of a name is not shown once more."""
    for given in (f' {{"private_key": "{MARK}"}}', "{" + MARK * 999):
        with pytest.raises(errors.NoCredentialsError, match="name of a file") as caught:
            auth.locate(given, env=env)
        assert MARK not in str(caught.value)
        assert "--creds secret:NAME" in caught.value.hint


def test_bytes_that_are_no_text(env: dict[str, str], tmp_path: Path) -> None:
    """They are not shown."""
    file = tmp_path / "c.json"
    file.write_bytes(b"\xff\xfe" + MARK.encode())
    with pytest.raises(errors.NoCredentialsError, match="cannot be read") as caught:
        auth.locate(str(file), env=env)
    assert MARK not in everything(caught.value)


# --- secrets of platforms ---------------------------------------------------------


def test_a_secret_of_kaggle(
    env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name, or the one that we look for; before our own login."""
    secret = json.dumps(user("secret"))
    kaggle_with(
        monkeypatch, {"mine": secret, auth.SECRET_NAME: json.dumps(user("usual"))}
    )
    written(auth.token_path(env), user("own"))
    found = auth.locate("secret:mine", env={**env, **KAGGLE}, sysroot=tmp_path)
    assert (found.source, _refresh_token(found)) == ("a secret of Kaggle", "secret")
    found = auth.locate(env={**env, **KAGGLE}, sysroot=tmp_path)
    assert _refresh_token(found) == "usual"
    kaggle_with(monkeypatch, {})
    found = auth.locate(env={**env, **KAGGLE}, sysroot=tmp_path)
    assert _refresh_token(found) == "own"
    with pytest.raises(errors.NoCredentialsError) as caught:
        auth.locate("secret:mine", env={**env, **KAGGLE}, sysroot=tmp_path)
    assert caught.value.render() == [
        "NoCredentialsError: there is no secret called 'mine'",
        "  seen: asked: Kaggle",
        f"  try:  {auth.TO_ADD_ONE}",
    ]
    assert MARK not in everything(caught.value)


def test_kaggle_without_internet(
    env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its switch is named when the secret was asked for by name, and else passed over."""
    kaggle_with(monkeypatch, {}, ConnectionError(MARK))
    with pytest.raises(errors.NoCredentialsError, match="does not give") as caught:
        auth.locate("secret:mine", env={**env, **KAGGLE}, sysroot=tmp_path)
    assert "turn Internet on" in caught.value.hint
    written(auth.token_path(env), user("own"))
    assert _refresh_token(auth.locate(env={**env, **KAGGLE}, sysroot=tmp_path)) == "own"


def test_a_secret_elsewhere(
    env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an environment variable; of the others nothing is shown either."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MY_DRIVE", json.dumps(user("variable")))
    found = auth.locate("secret:MY_DRIVE", sysroot=tmp_path)
    assert found.source == "a secret of the environment"
    monkeypatch.setenv("MY_DRIVE", MARK)
    with pytest.raises(errors.NoCredentialsError, match="'MY_DRIVE'") as caught:
        auth.locate("secret:MY_DRIVE", sysroot=tmp_path)
    assert MARK not in everything(caught.value)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with pytest.raises(errors.NoCredentialsError) as caught:
        auth.locate(sysroot=tmp_path)
    assert MARK not in everything(caught.value)


# --- the store --------------------------------------------------------------------


def test_a_login_that_others_can_read(env: dict[str, str]) -> None:
    """It is taken from them as soon as it is used."""
    path = written(auth.token_path(env), user())
    path.chmod(0o644)
    assert tokens.is_open_to_others(path)
    auth.locate(env=env)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_login_that_cannot_be_taken_from_others(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is said, with the command."""
    path = written(auth.token_path(env), user())
    path.chmod(0o644)

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(type(path), "chmod", refuse)
    with pytest.warns(UserWarning, match="chmod 600"):
        auth.locate(env=env)


def test_nothing_secret_is_shown(
    drive: FakeDrive, tmp_path: Path, private_key: str,
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Not in a repr, nor in what all libraries log at DEBUG while a login is renewed."""
    caplog.set_level(logging.DEBUG)
    drive.store.add_file("a", b"1")
    shown = []
    users = [user(token_uri=f"{drive.url}/token"), account(private_key)]
    users[1]["token_uri"] = f"{drive.url}/token"
    for info in users:
        found = auth.locate(str(written(tmp_path / "t", info)))
        d = connect(credentials=found.credentials, api_root=drive.url)
        d.stat("MyDrive/a")
        shown += [repr(found), str(found), repr(found.credentials), repr(d)]
    drive.store.revoked_refresh_tokens.add(f"{MARK}-user")
    found = auth.locate(str(written(tmp_path / "t", users[0])))
    with pytest.raises(errors.GrantExpiredError, match="not renew") as caught:
        connect(credentials=found.credentials, api_root=drive.url).stat("MyDrive/a")
    assert "7 days" in caught.value.hint
    shown += [str(caught.value), "\n".join(caught.value.render())]
    shown += [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    shown += capfd.readouterr()
    told = "\n".join(shown)
    assert MARK not in told
    assert private_key.splitlines()[1] not in told
    assert not [token for token in drive.store.access_tokens if token in told]


def test_a_pipe_is_no_login(env: dict[str, str], tmp_path: Path) -> None:
    """Nobody waits for what comes out of it, whatever names it."""
    os.mkfifo(tmp_path / "pipe")
    own = auth.token_path(env)
    own.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(own, 0o600)
    for given in (str(tmp_path / "pipe"), None):
        with pytest.raises(errors.NoCredentialsError, match="cannot be read") as caught:
            auth.locate(given, env=env)
        assert "pipe" in str(caught.value.seen)

"""``python -m colabmagic drive``: from a client's JSON to a login, in a process of its own."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from colabmagic import __main__ as entry
from colabmagic.drive import command
from colabmagic.drive.account import auth
from colabmagic.drive.client import connect

if TYPE_CHECKING:
    from tests.fakes.drive import FakeDrive

ROOT = Path(__file__).parents[2]


@pytest.fixture
def client(drive: FakeDrive, tmp_path: Path) -> Path:
    """Return the JSON of a client for desktop."""
    path = tmp_path / "client.json"
    entries = {
        "client_id": "id",
        "client_secret": "SECRET-C",
        "auth_uri": f"{drive.url}/auth",
        "token_uri": f"{drive.url}/token",
    }
    path.write_text(json.dumps({"installed": entries}))
    return path


@pytest.mark.parametrize("way", ["browser", "paste"])
def test_from_nothing_to_a_file_on_drive(
    drive: FakeDrive, client: Path, tmp_path: Path, way: str
) -> None:
    """As the guide tells it: one command, one page, and Drive answers with what was kept."""
    drive.store.add_file("a.txt", b"hello")
    out = tmp_path / "token.json"
    line = [
        sys.executable,
        "-m",
        "colabmagic",
        "drive",
        "login",
        "--client",
        str(client),
    ]
    line += ["--out", str(out), "--timeout", "30"]
    line += ["--no-browser"] if way == "paste" else []
    # A browser that is a program of ours, so that none of the user's opens.
    quiet = tmp_path / "browser"
    quiet.write_text("#!/bin/sh\n")
    quiet.chmod(0o755)
    env = {
        **os.environ,
        "DISPLAY": ":0",
        "BROWSER": f"{quiet} %s",
        "PYTHONPATH": str(ROOT),
    }
    for name in ("SSH_CONNECTION", "SSH_TTY", "JUPYTERHUB_USER", "CODESPACES"):
        env.pop(name, None)
    with subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=env, cwd=tmp_path,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        address = ""
        while not address:
            found = re.search(r"http://\S+/auth\?\S+", process.stdout.readline())
            address = found[0] if found else ""
        answer = requests.get(address, timeout=10, allow_redirects=way == "browser")
        pasted = None if way == "browser" else answer.headers["Location"] + "\n"
        told, errors = process.communicate(pasted, timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert f"The login is in '{out}'" in told
    assert "secret:NAME" in told
    assert out.stat().st_mode & 0o777 == 0o600
    assert "SECRET" not in told
    assert "fake-refresh" not in told
    d = connect(credentials=str(out), api_root=drive.url)
    assert d.stat("MyDrive/a.txt").size == 5


def test_an_error_is_three_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the error stream, with status 1 and no traceback."""
    line = ["drive", "login", "--client", str(tmp_path / "none.json")]
    assert entry.main(line) == 1
    told, errors = capsys.readouterr()
    assert told == ""
    assert len(errors.splitlines()) == 3
    assert errors.startswith("LoginFailedError: the client file")


def test_an_interrupt(
    client: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with one word, and the status that shells give."""

    def press(_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.input", press)
    assert command.main(["login", "--client", str(client), "--no-browser"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_the_doctor(
    drive: FakeDrive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """It prints its report; the status tells whether something is broken."""
    monkeypatch.setenv("COLABMAGIC_HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("COLABMAGIC_DRIVE_API_ROOT", drive.url)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    assert command.main(["doctor"]) == 1
    assert "[no-credentials]" in capsys.readouterr().out


def test_a_wrong_command(capsys: pytest.CaptureFixture[str]) -> None:
    """It is told by argparse, and the help names the command beside the check of GPUs."""
    with pytest.raises(SystemExit) as caught:
        command.main(["login"])
    assert caught.value.code == 2
    with pytest.raises(SystemExit):
        entry.main(["--help"])
    assert "log in to Google Drive" in capsys.readouterr().out


def test_the_check_of_gpus_stays_light() -> None:
    """The other command brings in nothing of Drive's."""
    code = (
        "import sys; from colabmagic.__main__ import main; main(['gpu_check', '-q']);"
        "assert not [m for m in sys.modules if 'drive' in m.split('.')[:2]], sys.modules"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, env=env, timeout=60)


def test_where_the_login_goes_by_itself(
    client: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Without --out it is found later without being named."""
    monkeypatch.setenv("COLABMAGIC_HOME", str(tmp_path / "home"))

    def paste(_: object) -> str:
        address = re.search(r"http://\S+/auth\?\S+", capsys.readouterr().out)
        assert address is not None
        reply = requests.get(address[0], timeout=10, allow_redirects=False)
        return reply.headers["Location"]

    monkeypatch.setattr("builtins.input", paste)
    line = ["login", "--client", str(client), "--no-browser", "--readonly"]
    assert command.main(line) == 0
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    assert auth.locate(write=False).scopes == (auth.READ,)


@pytest.mark.parametrize("line", [["doctor"], ["login", "--client", "none.json"]])
def test_a_terminal_of_ascii(
    line: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under LANG=C: what it does not have is a question mark; without one nothing is said."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "none.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    told = io.BytesIO()
    for stream in (io.TextIOWrapper(told, "ascii", write_through=True), None):
        monkeypatch.setattr("sys.stdout", stream)
        monkeypatch.setattr("sys.stderr", stream)
        assert command.main(line) == 1
    assert b"?" in told.getvalue()

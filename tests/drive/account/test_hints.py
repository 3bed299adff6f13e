"""Lines to log in with: they can be pasted as they stand."""

from __future__ import annotations

import shlex

import pytest

from colabmagic.drive.account import hints
from colabmagic.drive.command import _parser


def test_a_login_elsewhere_is_a_line_of_our_program() -> None:
    """With options that it has."""
    python, module, name, drive, *words = shlex.split(hints.LOGIN_ELSEWHERE)
    assert (python, module, name, drive) == ("python", "-m", "colabmagic", "drive")
    asked = _parser().parse_args(words)
    assert (str(asked.client), str(asked.out)) == ("client.json", "token.json")


@pytest.mark.parametrize("line", [hints.LOGIN, hints.GCLOUD, hints.LOGIN_ELSEWHERE])
def test_a_line_is_one_line(line: str) -> None:
    """And names the same client as the others."""
    assert "\n" not in line
    assert "client.json" in line


def test_what_to_do_first_comes_first() -> None:
    """The line to paste has a line of its own; below it stands what it takes."""
    assert hints.TO_LOG_IN.splitlines()[0] == hints.LOGIN
    assert hints.TO_USE_GCLOUD.splitlines()[0] == hints.GCLOUD
    scopes = hints.GCLOUD.partition("--scopes=")[2].split(",")
    assert "https://www.googleapis.com/auth/drive" in scopes

"""What is pasted at a login: a whole address serves, and of all else is said what it is."""

from __future__ import annotations

import pytest

from colabmagic.drive import errors
from colabmagic.drive.account.pasted import taken_apart, wrong_with

HERE = "http://127.0.0.1:50000/"


def told(text: str) -> str:
    """Return what is wrong with a text, for a login of the state “s”."""
    return wrong_with(
        taken_apart(lambda: text), lambda answer: answer.get("state") == "s"
    )


@pytest.mark.parametrize(
    "text",
    [
        f"{HERE}?state=s&code=4/0A&scope=x",
        f"  {HERE}?state=s&co\n  de=4/0A",
        f"{HERE}?error=access_denied&state=s",
        "127.0.0.1:50000/?state=s&code=4/0A",
        "?state=s&code=4/0A",
        "state=s&code=4/0A",
    ],
)
def test_what_serves(text: str) -> None:
    """Wrapped or not, with what stands before it or not: what counts is in it."""
    assert told(text) == ""


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "nothing was pasted"),
        (" \n", "nothing was pasted"),
        ("4/0AX-code_of.mine", "a code alone is not enough"),
        ("hello", "a code alone is not enough"),
        ("code=4/0A", "a part of the address only"),
        (HERE, "contains “code=”; what you pasted does not"),
        (f"{HERE}?state=s", "contains “code=”; what you pasted does not"),
        ("http://[x", "contains “code=”; what you pasted does not"),
        ("https://accounts.google.com/o/oauth2/auth?state=s", "Google's page itself"),
        (f"{HERE}?state=t&code=4/0A", "of another login"),
    ],
)
def test_what_does_not(text: str, wrong: str) -> None:
    """It is said of what was pasted, not of what was wanted, and nothing of it is shown."""
    said = told(text)
    assert wrong in said
    assert "0A" not in said


def test_nobody_is_here() -> None:
    """The way by another machine is told, as a line to be pasted."""

    def ask() -> str:
        raise EOFError

    with pytest.raises(errors.LoginFailedError, match="nobody is here") as caught:
        taken_apart(ask)
    assert caught.value.hint.startswith("python -m colabmagic drive login --client")

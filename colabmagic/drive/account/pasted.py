"""The address that a user pastes at a login: what is in it, or what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from colabmagic.drive.account.hints import LOGIN_ELSEWHERE
from colabmagic.drive.account.tokens import Hidden
from colabmagic.drive.errors import LoginFailedError

if TYPE_CHECKING:
    from collections.abc import Callable

_FORM: Final = " form"  # no name in an answer begins with a blank
_NOT_IT: Final = {
    "nothing": "nothing was pasted",
    "no address": "the whole address is wanted, from http:// on; a code alone is not enough",
    "google": "that is Google's page itself; allow Drive there, and copy the address of the "
    "page after it, which cannot be reached",
    "other": "the whole address contains “code=”; what you pasted does not",
}


def wrong_with(answer: Hidden, accepts: Callable[[Hidden], bool]) -> str:
    """Say why what was pasted does not end this login; empty where it does.

    Parameters
    ----------
    answer
        Of `taken_apart`.
    accepts
        Tells whether an answer is the right one.
    """
    if not {"code", "error"} & answer.keys():
        return _NOT_IT[answer[_FORM]]
    if "state" not in answer:
        return "it is a part of the address only; the whole one is wanted"
    if not accepts(answer):
        return "it is of another login; open the newest page"
    return ""


def taken_apart(read: Callable[[], str]) -> Hidden:
    """Return the query of an address that is pasted, and what form that has.

    Parameters
    ----------
    read
        Asks for it; no name of ours is to hold it.

    Raises
    ------
    LoginFailedError
        Nobody is here.
    """
    nobody = False
    form = "other"
    try:
        pasted = ["".join(read().split())]  # it may be wrapped
        parts = urlsplit(pasted[0])
        query = (
            parts.query if parts.scheme else pasted[0].partition("?")[2] or pasted[0]
        )
        form = _form(parts.scheme, parts.hostname or "", is_empty=not pasted.pop())
        found = {name: values[0] for name, values in parse_qs(query).items()}
        return Hidden(found, **{_FORM: form})
    except (EOFError, NotImplementedError):  # a notebook that runs by itself
        nobody = True
    except ValueError:
        pass
    if nobody:
        raise LoginFailedError(
            "nobody is here to paste the address",
            hint=f"{LOGIN_ELSEWHERE}\n"
            "on your own PC; then keep what is in it as a secret: --creds secret:NAME",
        )
    return Hidden({_FORM: form})


def _form(scheme: str, host: str, *, is_empty: bool) -> str:
    """Return what form something has that was pasted."""
    if is_empty:
        return "nothing"
    if not scheme:
        return "no address"
    return "google" if host.endswith(".google.com") else "other"

"""The tree of Drive's errors, and how each draws itself."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.errors import ColabMagicError

if TYPE_CHECKING:
    from collections.abc import Iterator

CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, errors.DriveError)
]
RETRYABLE = {
    "ConnectionFailedError",
    "MountDeadError",
    "MountFailedError",
    "MountHungError",
    "RateLimitedError",
    "ServerFailedError",
    "SessionLostError",
}


def _tree(kind: type, indent: str = "") -> Iterator[str]:
    children = [each for each in CLASSES if each.__bases__[0] is kind]
    for child in children:
        last = child is children[-1]
        others = ", ".join(base.__name__ for base in child.__bases__[1:])
        name = f"{child.__name__} ({others})" if others else child.__name__
        yield f"{indent}{'└── ' if last else '├── '}{name}"
        yield from _tree(child, indent + ("    " if last else "│   "))


def test_the_tree_is_the_docstring() -> None:
    """One screen tells what to catch, and it is true."""
    drawn = "\n".join(
        f"    {line}" for line in ["DriveError", *_tree(errors.DriveError)]
    )
    assert drawn in (errors.__doc__ or ""), f"write this into errors.py:\n{drawn}"


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_each_draws_itself(kind: type[errors.DriveError]) -> None:
    """Three lines: what happened, what was seen, what to type; also in logs and afar."""
    error = kind("it broke", seen="a crack", hint="%mount_drive --doctor")
    assert error.render() == [
        f"{kind.__name__}: it broke",
        "  seen: a crack",
        "  try:  %mount_drive --doctor",
    ]
    assert str(error) == "it broke | seen: a crack | try: %mount_drive --doctor"
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 (ours)
    assert (type(again), str(again)) == (kind, str(error))
    assert isinstance(error, ColabMagicError)
    assert kind.__doc__


def test_a_command_has_a_line_of_its_own() -> None:
    """What is to be known beside it stands below; a log has one line."""
    error = errors.NoCredentialsError("nothing", hint="%mount_drive --doctor\nmore")
    assert error.render()[1:] == ["  try:  %mount_drive --doctor", "        more"]
    assert str(error) == "nothing | try: %mount_drive --doctor; more"


def test_what_may_succeed_later() -> None:
    """Only trouble that passes by itself; a limit for the day does not."""
    assert {kind.__name__ for kind in CLASSES if kind.retryable} == RETRYABLE


def test_natural_bases() -> None:
    """Who catches Python's own classes catches ours."""
    assert issubclass(errors.DriveFileNotFoundError, FileNotFoundError)
    assert issubclass(errors.MissingPackageError, ImportError)
    assert issubclass(errors.DriveError, RuntimeError)

"""Entries of Google's JSON: left out, right, or of another kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.drive import errors
from colabmagic.drive.api.fields import list_at, number_at, object_at, text_at

if TYPE_CHECKING:
    from collections.abc import Callable

READ: dict[str, Callable[[dict[str, Any]], object]] = {
    "text": lambda meta: text_at(meta, "x"),
    "number": lambda meta: number_at(meta, "x"),
    "object": lambda meta: object_at(meta, "x"),
    "list": lambda meta: list_at(meta, "x", str),
}


@pytest.mark.parametrize(
    ("kind", "nothing"),
    [("text", None), ("number", None), ("object", {}), ("list", [])],
)
def test_what_is_left_out(kind: str, nothing: object) -> None:
    """``null`` is the same; empty, where something empty can be gone on with."""
    assert READ[kind]({}) == nothing
    assert READ[kind]({"x": None}) == nothing
    assert text_at({"x": None}, "x", "else") == "else"


@pytest.mark.parametrize(
    ("kind", "given", "found"),
    [
        ("text", "", ""), ("text", "a", "a"), ("number", "0", 0), ("number", 7, 7),
        ("number", "999999999999999999", 10**18 - 1), ("object", {"a": 1}, {"a": 1}),
        ("list", ["a"], ["a"]), ("list", [], []),
    ],
)  # fmt: skip
def test_what_is_right(kind: str, given: object, found: object) -> None:
    """Numbers are written as text by Google, and taken as numbers too."""
    assert READ[kind]({"x": given}) == found


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("text", 5), ("text", ["a"]), ("text", False), ("number", -1), ("number", True),
        ("number", 1.0), ("number", 10**18), ("number", "1" * 19), ("number", "٣"),
        ("number", "5\n"), ("number", ""), ("object", []), ("object", "a"),
        ("list", {}), ("list", "ab"), ("list", ["a", 5]),
    ],
)  # fmt: skip
def test_what_is_of_another_kind(kind: str, given: object) -> None:
    """It is not Google that answers; the entry is named, not what stands in it."""
    with pytest.raises(errors.ServerFailedError, match="form") as caught:
        READ[kind]({"x": given})
    assert str(caught.value.seen).startswith("x is no ")

"""Paths as users write them."""

from __future__ import annotations

import pytest

from colabmagic.drive.api.paths import above, parts_of, without_begin


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("MyDrive/a/b", ["MyDrive", "a", "b"]),
        ("/content/drive/MyDrive//a/./b/", ["MyDrive", "a", "b"]),
        ("/content/drive", []),
        ("/content/other/a", ["content", "other", "a"]),
        ("a/../b", ["a", "..", "b"]),  # refused later: it is no name
        (".", []),
        ("", []),
    ],
)
def test_the_names_in_a_path(path: str, parts: list[str]) -> None:
    """From Drive's root on, however Colab or a shell writes it."""
    assert parts_of(path) == parts


@pytest.mark.parametrize(
    ("path", "names", "before"),
    [
        ("MyDrive/a/b", ["a", "b"], ["MyDrive"]),
        ("/content/drive/Shareddrives/team/x", ["x"], ["Shareddrives", "team"]),
        ("data/x", ["data", "x"], []),
        ("MyDrive", [], ["MyDrive"]),
    ],
)
def test_what_stands_above_the_names(
    path: str, names: list[str], before: list[str]
) -> None:
    """As the user wrote it: errors name a path as he knows it."""
    assert above(path, names) == before


def test_a_path_cannot_steer_the_screen() -> None:
    """Neither as it is told nor in what is to be typed."""
    told = without_begin("a\x1b[31m/b")
    assert "\x1b" not in str(told)
    assert told.hint == '"MyDrive/a [31m/b", if it is in My Drive'

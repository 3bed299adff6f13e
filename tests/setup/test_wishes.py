"""Tests for `colabmagic.setup.wishes`."""

from __future__ import annotations

import datetime as dt

import pytest

from colabmagic.setup.wishes import PARTS, Wish, Wishes, read_table

SECRET = "hooks.example/s3cret"  # noqa: S105 (of the test)


def values(table: dict[str, object]) -> dict[str, str | None]:
    """Return what a table asks for."""
    found = read_table(table, "a.toml")
    assert found.problems == ()
    assert [each.error for each in found.by_part.values() if each.error] == []
    return {name: wish.value for name, wish in found.by_part.items()}


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({}, {}),
        ({"drive": True}, {"drive": ""}),
        ({"drive": False}, {"drive": None}),
        ({"drive": " /content/drive "}, {"drive": "/content/drive"}),
        ({"gpu": True}, {"gpu": ""}),
        ({"cuda": 12.4}, {"cuda": "12.4"}),
        ({"cuda": 12}, {"cuda": "12"}),
        ({"require": 2}, {"require": "2"}),
        ({"require": "t4"}, {"require": "t4"}),
        ({"require": False, "cd": False}, {"require": None, "cd": None}),
        ({"keepalive": "4h", "train": True}, {"keepalive": "4h", "train": ""}),
    ],
)
def test_what_can_be_written(
    table: dict[str, object], expected: dict[str, str | None]
) -> None:
    """Texts, yes and no, and numbers where these are natural."""
    assert values(table) == expected


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("drive", 3, "drive cannot be a number"),
        ("drive", "", "drive cannot be an empty text"),
        ("gpu", "t4", "gpu cannot be a text"),
        ("require", True, "require cannot be true or false"),
        ("cd", True, "cd cannot be true or false"),
        ("cuda", [12], "cuda cannot be a list"),
        ("train", {"device": "cuda"}, "train cannot be a table"),
        ("keepalive", 4, "keepalive cannot be a number"),
        ("keepalive", dt.date(2026, 1, 2), "keepalive cannot be a date"),
        ("keepalive", f"https://{SECRET}", "an address, which may hold a secret"),
    ],
)
def test_a_wrong_value_spoils_its_part_alone(
    name: str, value: object, words: str
) -> None:
    """It names the file, what was found and what is right; never the value itself."""
    found = read_table({name: value, "gpu" if name != "gpu" else "cd": False}, "a.toml")
    wish = found.by_part[name]
    assert wish.error is not None
    assert wish.error.what.startswith("a.toml: ")
    assert words in wish.error.what
    assert wish.error.hint
    assert SECRET not in str(wish.error)
    assert len([each for each in found.by_part.values() if each.error]) == 1
    assert name in found.wanted  # so that it is seen to fail


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("drvie", "there is no 'drvie'; did you mean drive?"),
        ("--drive", "did you mean drive?"),
        ("colour", f"there are {', '.join(PARTS)}"),
        ("x" * 100, "'" + "x" * 40 + "'"),
    ],
)
def test_an_unknown_key_is_one_line(name: str, words: str) -> None:
    """It is told, with the file's name, and nothing else is spoilt."""
    found = read_table({name: 1, "drive": True}, "a.toml")
    (problem,) = found.problems
    assert problem.startswith("a.toml: ")
    assert words in problem
    assert found.wanted == ("drive",)


@pytest.mark.parametrize(
    "name", ["token", "notify", "HF_TOKEN", "api_key", "creds", "password"]
)
def test_secrets_are_told_where_they_belong(name: str) -> None:
    """The key is named; the value is in no word of ours."""
    (problem,) = read_table({name: SECRET}, "a.toml").problems
    assert "does not belong in a file" in problem
    assert "Secrets" in problem
    assert SECRET not in problem


def test_the_stronger_source_counts() -> None:
    """Part by part; also that a part is left out."""
    line = Wishes(by_part={"drive": Wish(value=None), "train": Wish(value="cpu")})
    file = read_table({"drive": True, "train": "cuda", "gpu": True, "x": 1}, "a.toml")
    both = line.beside(file)
    assert both.wanted == ("gpu", "train")
    assert both.by_part["train"] == Wish(value="cpu")
    assert both.by_part["gpu"].source == "a.toml"
    assert both.sources == ("a.toml",)
    assert both.problems == file.problems


def test_the_order_is_that_of_the_parts() -> None:
    """However they are written."""
    table = dict.fromkeys(("keepalive", "train", "drive", "cuda", "gpu"), True)
    table = {**table, "cd": "x", "require": "t4"}
    assert read_table(table, "a.toml").wanted == PARTS


def test_a_number_that_python_does_not_write() -> None:
    """It may have 4,300 digits; one of TOML in hexadecimal may have more."""
    error = read_table({"require": 16**5000}, "a.toml").by_part["require"].error
    assert error is not None
    assert error.what == "a.toml: require cannot be so long a number"

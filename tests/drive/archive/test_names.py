"""Names in archives: which may be written below a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from colabmagic.drive import errors
from colabmagic.drive.archive.names import leads_out, safe_parts

ROOT = Path("/content/data")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a/b", ["a", "b"]),
        ("./a//b/.", ["a", "b"]),
        ("a\\b", ["a", "b"]),
        ("...", ["..."]),
        ("..a/b..", ["..a", "b.."]),
        ("\u00e4 \U0001f600", ["\u00e4 \U0001f600"]),
        ("", []),
        ("n" * 255, ["n" * 255]),
    ],
)
def test_what_is_safe(name: str, parts: list[str]) -> None:
    """Its names one by one, without those that lead nowhere."""
    assert safe_parts(name, ROOT) == parts


@pytest.mark.parametrize(
    "name",
    [
        "/a",
        "\\a",
        "..",
        "a/..",
        "a\\..\\..\\b",
        "C:a",
        "c:\\a",
        "a\nb",
        "a\0b",
        "a\x7f",
    ],
)
def test_what_leads_out(name: str) -> None:
    """Up, to a root, to a drive of Windows, or to where no name can lead."""
    with pytest.raises(errors.UnsafeMemberError, match="outside") as caught:
        safe_parts(name, ROOT)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "name", ["n" * 256, "\u00e4" * 128, "/".join("d" * 129), "/".join(["n" * 200] * 21)]
)
def test_what_no_disk_can_have(name: str) -> None:
    """By bytes, not by letters; and no deeper than every tool can remove again."""
    with pytest.raises(errors.UnsafeMemberError, match="longer or deeper") as caught:
        safe_parts(name, ROOT)
    assert len(str(caught.value)) < 400


def test_the_folder_counts_too() -> None:
    """Its own path is a part of the whole that the disk has to take."""
    longest = Path("/" + "/".join(["n" * 99] * 40))
    assert len(os.fsencode(longest)) < 4031
    assert safe_parts("a" * 20, longest)
    with pytest.raises(errors.UnsafeMemberError):
        safe_parts("a" * 99, longest)


def test_a_colon_is_a_drive_behind_a_letter_alone() -> None:
    """Folders are called by ratios and times; packing asks the same of its names."""
    assert safe_parts("4:3/a", ROOT) == ["4:3", "a"]
    assert safe_parts("ab:c", ROOT) == ["ab:c"]
    assert leads_out("a:b/c")
    assert not leads_out("a")
    assert not leads_out("")

"""Options by their names, short, long and shortened."""

from __future__ import annotations

import pytest

from colabmagic.cuda.packages.options import find_option, takes_address


@pytest.mark.parametrize(
    ("name", "long"),
    [
        ("-r", "--requirement"),
        ("--requirement", "--requirement"),
        ("--extra", "--extra-index-url"),
        ("--req", None),  # --requirement or --require-hashes
        ("--require-", "--require-hashes"),
        ("--", None),
        ("-", None),
        ("--nonsense", None),
        ("-Z", None),
    ],
)
def test_names(name: str, long: str | None) -> None:
    """The beginning of one long name is that option, of two it is none."""
    found = find_option(name)
    assert (found and found.name) == long


@pytest.mark.parametrize(
    ("value", "is_one"),
    [("https://h", True), ("./d", True), ("$URL", True), ("dev", False), ("", False)],
)
def test_addresses(value: str, *, is_one: bool) -> None:
    """What may stand behind ``--extra-index-url``."""
    assert takes_address(value) == is_one

"""Tests for `colabmagic.cuda.flags`."""

from __future__ import annotations

import pytest

from colabmagic.cuda.flags import FLAGS, with_flags, without_flags

OURS = "-ccbin /usr/bin/g++-11"


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize(
    ("his", "told"),
    [
        (None, OURS),
        ("", OURS),
        ("-lineinfo", f"{OURS} -lineinfo"),
        (f"{OURS}0 -lineinfo", f"{OURS} {OURS}0 -lineinfo"),  # another compiler
        (f"{OURS} -lineinfo", f"{OURS} -lineinfo"),  # inherited from another kernel
    ],
)
def test_flags_of_the_user_come_last(name: str, his: str | None, told: str) -> None:
    """He has the last word; nothing is said twice."""
    env = {} if his is None else {name: his}
    assert with_flags({name: OURS, "CUDA_ARCH": "90"}, env) == {
        name: told,
        "CUDA_ARCH": "90",
    }


def test_flags_that_we_do_not_set_are_left_alone() -> None:
    """What only the user wants stays where it is."""
    assert with_flags({}, {FLAGS[0]: "-lineinfo"}) == {}


@pytest.mark.parametrize(
    ("now", "before", "left"),
    [
        (f"{OURS} -g", None, "-g"),
        (f"-g {OURS}  -G", "", "-g -G"),
        (f"{OURS} -lineinfo -g", "-lineinfo", "-lineinfo -g"),
        (f"{OURS}0 -g", "-lineinfo", f"{OURS}0 -g"),
        ("-g", "-lineinfo", "-g"),
        ("", "-lineinfo", ""),
    ],
)
def test_flags_that_came_later_stay(now: str, before: str | None, left: str) -> None:
    """Ours go, what was there before comes back, and nothing else changes."""
    ours = f"{OURS} {before}" if before else OURS
    assert without_flags(now, ours, before) == left

"""Tests for `colabmagic.cuda.flags`."""

from __future__ import annotations

import pytest

from colabmagic.cuda.flags import FLAGS, with_flags

OURS = "-ccbin /usr/bin/g++-11"


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize(
    ("his", "told"),
    [
        (None, OURS),
        ("", OURS),
        ("-lineinfo", f"{OURS} -lineinfo"),
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

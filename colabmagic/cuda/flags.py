"""The variables by which nvcc is told flags: the toolkit's, and the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

FLAGS: Final = ("NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS")


def with_flags(variables: Mapping[str, str], env: Mapping[str, str]) -> dict[str, str]:
    """Return what a toolkit wants, with the flags for nvcc that the user has set himself.

    His come last: where both name a compiler, nvcc takes the last one, and says so.

    Parameters
    ----------
    variables
        What the toolkit wants in the environment.
    env
        The environment without us.
    """
    wanted = dict(variables)
    for name in FLAGS:
        his, ours = env.get(name), wanted.get(name)
        # A kernel that another one of ours has started has both already.
        if his and ours:
            has_both = f"{his} ".startswith(f"{ours} ")
            wanted[name] = his if has_both else f"{ours} {his}"
    return wanted


def without_flags(now: str, ours: str, before: str | None) -> str:
    """Return flags to which the user has added some, without those that we had set.

    Parameters
    ----------
    now
        All of them.
    ours
        What we had set, with what was there before.
    before
        What was there before us; None: nothing.
    """
    head, found, rest = f" {now} ".partition(f" {ours} ")
    if not ours or not found:
        return now  # he has set others
    parts = (head, before or "", rest)
    return " ".join(part.strip() for part in parts if part.strip())

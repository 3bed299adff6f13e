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
            wanted[name] = his if his.startswith(ours) else f"{ours} {his}"
    return wanted

"""What a process that was forked must not share with its parent.

Data loaders fork. A connection that both go on to use mixes their answers, so that one
gets the file of the other; a lock that another thread held stays locked for ever.
"""

from __future__ import annotations

import os
from typing import Final, Protocol
from weakref import WeakSet


class Forked(Protocol):
    """Has something that is its process's alone."""

    def begin_in_child(self) -> None:
        """Let go of what is the parent's; called in the child, before anything else."""


_known: Final[WeakSet[Forked]] = WeakSet()


def notice_forks(one: Forked) -> None:
    """Have something told whenever this process is a forked one.

    Parameters
    ----------
    one
        It is told as long as it lives.
    """
    _known.add(one)


def _in_child() -> None:
    """Tell all."""
    for each in list(_known):
        each.begin_in_child()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_in_child)

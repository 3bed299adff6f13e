"""Free what an error that is over keeps alive."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from colabmagic.memory.devices import empty_caches
from colabmagic.memory.exceptions import (
    cut_tracebacks,
    drop_tracebacks,
    end_loops,
    links,
)
from colabmagic.memory.walk import exceptions_in

if TYPE_CHECKING:
    from collections.abc import Iterable


def strip(
    errors: Iterable[object], users: Iterable[object], *, keep_place: bool = False
) -> None:
    """Take the tracebacks off the errors that escaped from cells.

    Parameters
    ----------
    errors
        The errors that escaped; those they came from are found.
    users
        The values of the user's names: an exception that he keeps himself stays whole.
    keep_place
        Leave the entries of the cell itself, which hold nothing.
    """
    found = links(errors)
    kept = exceptions_in(users) if found else {}
    end_loops(found, kept)
    if keep_place:
        cut_tracebacks(found, kept)
    else:
        drop_tracebacks(found, kept)


def collect() -> None:
    """Free what is unreachable now, and the memory that only an allocator keeps."""
    gc.collect()  # frames and exceptions refer to each other
    empty_caches()

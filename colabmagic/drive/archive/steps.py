"""Steps of long work, as a front end shows them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from colabmagic.report.progress import Progress


@contextlib.contextmanager
def step(
    progress: Progress, what: str, name: str, total: float | None = None
) -> Iterator[None]:
    """Tell the begin of a step, and its end, also if it fails.

    Parameters
    ----------
    progress
        Is told.
    what
        A verb.
    name
        Of a file: foreign text.
    total
        In the unit in which it is told.
    """
    progress.start(f"{what} {clean(name)}", total)
    try:
        yield
    finally:
        progress.finish()

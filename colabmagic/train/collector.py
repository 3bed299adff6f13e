"""Steps that the garbage collector should not come between."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def paused_collector() -> Iterator[None]:
    """Hold the garbage collector back.

    A big model means thousands of small objects at once, and each full collection that
    they set off walks everything that torch has: more work than the block itself.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()

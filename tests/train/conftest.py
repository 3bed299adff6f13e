"""The devices for the tests of `colabmagic.train`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.fakes.accelerator.accelerator_fixtures import (
    fake,
    pytest_collection_modifyitems,
    registered_fake,
)
from tests.train.places import place

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["fake", "place", "pytest_collection_modifyitems", "registered_fake"]


@pytest.fixture(autouse=True)
def _no_cell_stays_open() -> Iterator[None]:
    """Let a test that leaves a cell open fail alone: the next one begins without."""
    yield
    service = sys.modules.get("colabmagic.train.service")
    running = None if service is None else service._running
    if running is not None:
        running.cancel(KeyboardInterrupt())
    assert running is None, "a cell stays open"

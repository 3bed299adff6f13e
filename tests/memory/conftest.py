"""The device for the tests of `colabmagic.memory`."""

from __future__ import annotations

from tests.fakes.accelerator.accelerator_fixtures import (
    fake,
    pytest_collection_modifyitems,
    registered_fake,
)

__all__ = ["fake", "pytest_collection_modifyitems", "registered_fake"]

"""The devices for the tests of `colabmagic.train`."""

from __future__ import annotations

from tests.fakes.accelerator.accelerator_fixtures import (
    fake,
    pytest_collection_modifyitems,
    registered_fake,
)
from tests.train.places import place

__all__ = ["fake", "place", "pytest_collection_modifyitems", "registered_fake"]

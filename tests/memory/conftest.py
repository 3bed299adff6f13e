"""The device for the tests of `colabmagic.memory`."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from tests.fakes.accelerator.accelerator_fixtures import (
    fake as healed,
)
from tests.fakes.accelerator.accelerator_fixtures import (
    pytest_collection_modifyitems,
    registered_fake,
)

if TYPE_CHECKING:
    import types

__all__ = ["healed", "pytest_collection_modifyitems", "registered_fake"]


@pytest.fixture
def fake(healed: types.ModuleType) -> types.ModuleType:
    """Give the device empty: these tests count its bytes.

    The errors of the test before hold their tensors in cycles, which nobody has collected.
    """
    gc.collect()
    return healed

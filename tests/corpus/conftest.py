"""A notebook and a device for the corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.accelerator.accelerator_fixtures import (
    fake,
    pytest_collection_modifyitems,
    registered_fake,
)

if TYPE_CHECKING:
    from tests.corpus.notebook import Notebook

__all__ = ["fake", "pytest_collection_modifyitems", "registered_fake"]


@pytest.fixture(scope="session")
def notebook() -> Notebook:
    """Give one shell for all cases of this process."""
    from tests.corpus.notebook import Notebook

    return Notebook()

"""The devices for the tests of `colabmagic.explain`."""

from __future__ import annotations

import pytest

from tests.fakes.accelerator.accelerator_fixtures import (
    fake,
    pytest_collection_modifyitems,
    registered_fake,
)


@pytest.fixture(scope="session", autouse=True)
def _dynamo() -> None:
    """Import what replaces ``torch.manual_seed`` when an optimizer first needs it."""
    import torch._dynamo

    assert torch._dynamo


__all__ = ["fake", "pytest_collection_modifyitems", "registered_fake"]

"""Fake drivers, built once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.drivers import build

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the fake NVIDIA libraries."""
    try:
        return build.build(tmp_path_factory.mktemp("fake_drivers"))
    except build.BuildError as error:
        pytest.skip(f"no fake NVIDIA drivers: {error}")

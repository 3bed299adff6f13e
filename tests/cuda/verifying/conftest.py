"""One toolkit for all tests that compile."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.cuda.toolkits import NotToBeHadError, make

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def cuda_13(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return CUDA 13.0 from NVIDIA's wheels: made once, and not to be written to."""
    root = tmp_path_factory.mktemp("toolkits") / "13.0"
    try:
        made = make("13.0", root)
    except NotToBeHadError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"CUDA 13.0 cannot be fetched here: {error}")
    assert made["environment"] == {}
    return root

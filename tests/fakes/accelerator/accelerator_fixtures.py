"""Fixtures for tests that need an accelerator; a ``conftest.py`` imports them."""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.fakes.accelerator import fake_accelerator

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the device before the first test.

    The build could exceed a test's time limit, and a backward pass before the device is
    known shuts it out of the process.
    """
    wanted = any(
        "registered_fake" in getattr(item, "fixturenames", ()) for item in items
    )
    if wanted and not fake_accelerator.missing_tools():
        # What goes wrong here goes wrong again, and is shown, in the fixture.
        with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
            _register()


@pytest.fixture(scope="session")
def registered_fake() -> types.ModuleType:
    """Register the device type once; without a compiler, skip and say why."""
    missing = fake_accelerator.missing_tools()
    if missing and os.environ.get("CI", "").lower() != "true":
        pytest.skip("the fake accelerator needs " + ", ".join(missing))
    return _register()


def _register() -> types.ModuleType:
    """Register the device type, once."""
    fake = fake_accelerator.register()
    # Comes with the first optimizer step otherwise, and replaces torch.manual_seed:
    # a test would be blamed for it.
    import torch._dynamo

    assert torch._dynamo
    # Torch's own objects are not looked through again by each collection of a test.
    gc.collect()
    gc.freeze()
    return fake


@pytest.fixture
def fake(registered_fake: types.ModuleType) -> Iterator[types.ModuleType]:
    """Give ``torch.fake`` empty, with fresh counters and no faults; heal it afterwards."""
    devices = range(registered_fake.device_count())
    if any(registered_fake.stats(number)["current"] for number in devices):
        gc.collect()  # the error of a test before holds its tensors in a ring
    registered_fake.heal()
    yield registered_fake
    registered_fake.heal()

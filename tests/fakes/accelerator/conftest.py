"""The device for the tests beside this file."""

from __future__ import annotations

from tests.fakes.accelerator.accelerator_fixtures import fake, registered_fake

__all__ = ["fake", "registered_fake"]

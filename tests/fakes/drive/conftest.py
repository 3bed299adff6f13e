"""Fixtures: a running fake Drive and clients for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.fakes.drive import FakeDrive
from tests.fakes.drive.clients import googleapiclient_service

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def drive() -> Iterator[Any]:
    """Drive."""
    with FakeDrive() as running:
        yield running


@pytest.fixture
def service(drive: FakeDrive) -> Iterator[Any]:
    """Service."""
    with googleapiclient_service(drive.url) as client:
        yield client


@pytest.fixture
def http(drive: FakeDrive) -> Iterator[Any]:
    """Http."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {drive.token}"
        yield session

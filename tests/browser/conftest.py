"""Fixtures: a Jupyter server and a browser per module, a page and notebook per test."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.jupyter import JupyterServer, find_chromium, running_browser
from tests.browser.lab import PageLog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

HERE = Path(__file__).parent
MISSING = "no browser: install chromium, or set CHROMIUM to a Chrome or Chromium"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the browser tests in one process: they share a server and a browser."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group("browser"))
            item.add_marker(pytest.mark.timeout(300))


# Not for the whole session: while the browser runs, Playwright keeps an event loop
# running in this thread, and the other tests could start none of their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start one Chromium for the module."""
    chromium = find_chromium()
    if chromium is None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with running_browser(chromium) as started:
        yield started


@pytest.fixture(scope="module")
def server(
    browser: Browser,  # noqa: ARG001 (no server without a browser)
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[JupyterServer]:
    """Serve notebooks; the page changes the theme, so that each is run once."""
    started = JupyterServer(tmp_path_factory.mktemp("server"), "light")
    yield started
    started.close()


@pytest.fixture
def page_log() -> PageLog:
    """Collect the errors and the foreign requests of the page."""
    return PageLog()


@pytest.fixture
def page(browser: Browser, server: JupyterServer, page_log: PageLog) -> Iterator[Page]:
    """Open an empty page with an empty profile; its kernels end with the test."""
    context = browser.new_context(viewport={"width": 1200, "height": 1000})
    opened = context.new_page()
    page_log.watch(opened, server)
    yield opened
    context.close()
    server.stop_kernels()

"""The quickstart in JupyterLab, cell by cell as a person does, in both themes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from playwright.sync_api import expect

from tests.browser import lab
from tests.browser.lab import PageLog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page

    from tests.browser.jupyter import JupyterServer

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart.ipynb"
WRONG_DEVICE = [
    "%load_ext colabmagic",
    "%%train_on cdua\nran = True",
    "'ran' in globals()",
]

# The open page, what went wrong in it, and the path of the notebook.
Read = tuple["Page", PageLog, str]


@pytest.fixture(scope="module")
def read(browser: Browser, server: JupyterServer) -> Iterator[Read]:
    """Open the quickstart, run it cell by cell, save it, and leave it open."""
    log = PageLog()
    context = browser.new_context(viewport={"width": 1200, "height": 1000})
    page = context.new_page()
    log.watch(page, server)
    path = server.add_notebook(QUICKSTART)
    lab.open_lab(page, server, path)
    lab.run_all_cells(page)
    lab.save(page)
    yield page, log, path
    context.close()
    server.stop_kernels()


def cell_with(page: Page, source: str) -> Locator:
    """Return the output area of the first code cell whose source has a text."""
    cell = lab.code_cells(page).filter(
        has=page.locator(".jp-InputArea-editor", has_text=source)
    )
    return cell.first.locator(".jp-OutputArea")


def assert_report_reads_well(page: Page) -> None:
    """Assert that the card of %gpu_check is there, says something and can be read."""
    card = cell_with(page, "%gpu_check").locator(".jp-RenderedHTMLCommon")
    expect(card).to_be_visible()
    expect(card).to_have_text(re.compile(r"READY|NOT USABLE|NO GPU", re.IGNORECASE))
    for _ in lab.in_each_theme(page):
        assert lab.unreadable(card) == []


def assert_training_shows_its_end(page: Page) -> None:
    """Assert that the training cell shows its last epoch and both lines of ours."""
    output = cell_with(page, "%%train_on auto")
    expect(output).to_contain_text("epoch 12: loss")
    expect(output).to_contain_text("cpu")
    for _ in lab.in_each_theme(page):
        assert lab.unreadable(output) == []


def test_the_theme_is_the_one_asked_for(read: Read) -> None:
    """The page really is light, or dark, when its colours are looked at."""
    for theme in lab.in_each_theme(read[0]):
        assert lab.page_is_dark(read[0]) == (theme == "dark")
        lab.screenshot(read[0], f"quickstart-{theme}")


def test_the_report_card_can_be_read(read: Read) -> None:
    """The card of %gpu_check is visible, and its text stands out from its ground."""
    assert_report_reads_well(read[0])


def test_training_shows_its_end(read: Read) -> None:
    """The training cell shows the last epoch, and where it ran."""
    assert_training_shows_its_end(read[0])


def test_no_cell_fails(read: Read) -> None:
    """No output of the quickstart is an error, and numpy works on what came home."""
    assert lab.red_outputs(read[0]).all_inner_texts() == []
    expect(cell_with(read[0], "predicted ==")).to_contain_text("unseen digits")


def test_the_page_is_well_and_stays_on_this_machine(
    read: Read,
) -> None:
    """No script of the page fails, and no request leaves loopback."""
    assert read[1].errors == []
    assert read[1].foreign_requests == []


def test_the_saved_notebook_reads_well_untrusted(
    read: Read,
    page: Page,
    page_log: PageLog,
    server: JupyterServer,
) -> None:
    """Sent to someone else, who has not run it, it still shows all that matters."""
    saved = nbformat.read(server.notebooks / read[2], as_version=4)
    saved.metadata["sent_by"] = "a friend"  # so the signature no longer fits
    lab.open_lab(page, server, server.add_notebook(saved))
    lab.screenshot(page, "untrusted")
    assert not any(page.evaluate(lab.TRUSTED_CELLS))
    assert_report_reads_well(page)
    assert_training_shows_its_end(page)
    assert page_log.errors == []
    assert page_log.foreign_requests == []


def test_a_wrong_device_is_one_short_error(
    page: Page, page_log: PageLog, server: JupyterServer
) -> None:
    """A typing error names the devices that exist, in three lines; nothing ran."""
    lab.open_lab(page, server, server.add_notebook(WRONG_DEVICE))
    done = lab.run_all_cells(page)
    lab.screenshot(page, "wrong-device")
    expect(lab.red_outputs(page)).to_have_count(1)
    error = done.nth(1).locator(".jp-OutputArea-output")
    expect(error).to_have_count(1)
    expect(error).to_contain_text("BadDeviceError: there is no device 'cdua'")
    expect(error).to_contain_text("devices here: auto, cpu")
    expect(error).to_contain_text("%%train_on")
    expect(error).not_to_contain_text("Traceback")
    assert len(error.inner_text().strip().splitlines()) <= 3
    expect(done.nth(2)).to_contain_text("False")
    assert page_log.errors == []

"""``%colab_setup`` in JupyterLab: one table, the second time nothing new, one error line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import nbformat
import pytest
from playwright.sync_api import expect

from tests.browser import lab
from tests.browser.lab import PageLog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.browser.jupyter import JupyterServer

DEFAULTS = """[tool.colabmagic]
cd = "project"
train = true
keepalive = "1h"
trian = true
"""
CELLS = [
    "%load_ext colabmagic",
    "%colab_setup",
    "r = %colab_setup --cuda 3.9",
    "%colab_setup --require t4",
]
SHOWN = re.compile(r"Setup: ")

# The open page, its errors, the notebook's path.
Seen = tuple["Page", PageLog, str]


@pytest.fixture(scope="module")
def seen(browser: Browser, server: JupyterServer) -> Iterator[Seen]:
    """Run the cells beside a file of defaults; save; leave it open."""
    log = PageLog()
    context = browser.new_context(viewport={"width": 1200, "height": 1000})
    page = context.new_page()
    log.watch(page, server)
    (server.notebooks / "project").mkdir()
    (server.notebooks / "colabmagic.toml").write_text(DEFAULTS)
    path = server.add_notebook(CELLS)
    lab.open_lab(page, server, path)
    lab.run_all_cells(page)
    lab.save(page)
    yield page, log, path
    (server.notebooks / "colabmagic.toml").unlink()
    context.close()
    server.stop_kernels()


def test_one_table_that_can_be_read(seen: Seen) -> None:
    """In both themes; the line of progress has become the table."""
    cells = lab.code_cells(seen[0])
    for theme in lab.in_each_theme(seen[0]):
        for number in (1, 2, 3):
            output = cells.nth(number).locator(".jp-OutputArea-output")
            card = output.filter(has_text=SHOWN)
            expect(card).to_have_count(1)
            assert lab.unreadable(card) == []
        lab.screenshot(seen[0], f"setup-{theme}")
    first = cells.nth(1)
    expect(first.locator(".jp-OutputArea-output")).to_have_count(1)
    expect(first).to_contain_text("3 done")
    expect(first).to_contain_text("there is no 'trian'; did you mean train?")
    expect(first).to_contain_text("GPU check:")


def test_a_failing_part_and_nothing_new(seen: Seen) -> None:
    """CUDA says why; the other rows say already."""
    output = lab.code_cells(seen[0]).nth(2)
    expect(output).to_contain_text("Why: cuda: CUDA 3.9 is too old")
    expect(output.get_by_text("already", exact=True)).to_have_count(3)


def test_what_is_required_is_one_red_line(seen: Seen) -> None:
    """Below the table."""
    errors = lab.red_outputs(seen[0])
    expect(errors).to_have_count(1)
    expect(errors).to_have_text(re.compile(r"^SetupRequiredError: t4 .*; see above$"))


def test_the_page_and_the_saved_notebook(seen: Seen, server: JupyterServer) -> None:
    """The file holds the tables, and nothing of the progress; the page is well."""
    saved = nbformat.read(server.notebooks / seen[2], as_version=4)
    (first,) = saved.cells[1].outputs
    assert first.data["text/plain"].startswith("Setup: READY")
    assert "colab_setup 1/" not in str(saved)
    assert seen[1].errors == []
    assert seen[1].foreign_requests == []

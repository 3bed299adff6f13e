"""Plans of ``%cuda_install`` in JupyterLab, in both themes: all can be read and copied."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser import lab

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.jupyter import JupyterServer
    from tests.browser.lab import PageLog

CELLS = (
    "%load_ext colabmagic",
    "%cuda_install --plan 11.1 --method runfile",
    "%%cuda_install --plan 12.7\nnumpy",
    "%cuda_install --list",
)
SHOWN = (r"CUDA 11\.1:", r"CUDA 12\.7: not possible here", r"CUDA toolkits:")


def test_plans_can_be_read(
    page: Page, page_log: PageLog, server: JupyterServer
) -> None:
    """Each report is visible and readable; a long command scrolls and is not wrapped."""
    path = server.add_notebook(list(CELLS))
    lab.open_lab(page, server, path)
    done = lab.run_all_cells(page)
    expect(lab.red_outputs(page)).to_have_count(0)
    long = page.locator("code", has_text="# download https://").first
    spaces = long.evaluate("code => getComputedStyle(code).whiteSpace")
    assert spaces in {"pre", "nowrap"}
    for theme in lab.in_each_theme(page):
        lab.screenshot(page, f"cuda-{theme}")
        for first_words in SHOWN:
            report = lab.output_with(done, re.compile(first_words))
            expect(report).to_be_visible()
            assert lab.unreadable(report) == []
    assert page_log.errors == []
    assert page_log.foreign_requests == []

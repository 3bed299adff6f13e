"""Examples in JupyterLab, in both themes: all that we show can be read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser import lab

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.jupyter import JupyterServer
    from tests.browser.lab import PageLog

EXAMPLES = Path(__file__).parents[2] / "examples"
# What must be there to be seen, by notebook: the reports, each by its first words.
REPORTS = {
    "dataloader": [],  # a fast machine ends before a card is due: see test_loop
    "out_of_memory": [r"Out of memory: +on", r"GPU memory: +132\.7 MB"],
    "train_test_split": [],
    "compare": [],
    "whole_notebook": [],
}


@pytest.mark.parametrize("name", REPORTS)
def test_an_example(
    page: Page, page_log: PageLog, server: JupyterServer, name: str
) -> None:
    """Each cell runs, fails only where it is meant to, and its outputs can be read."""
    path = server.add_notebook(EXAMPLES / f"{name}.ipynb")
    lab.open_lab(page, server, path)
    done = lab.run_all_cells(page)
    errors = lab.red_outputs(page)
    expect(errors).to_have_count(1 if name == "out_of_memory" else 0)
    for theme in lab.in_each_theme(page):
        lab.screenshot(page, f"{name}-{theme}")
        for first_words in REPORTS[name]:
            report = lab.output_with(done, re.compile(first_words))
            expect(report).to_be_visible()
            assert lab.unreadable(report) == []
    assert page_log.errors == []
    assert page_log.foreign_requests == []

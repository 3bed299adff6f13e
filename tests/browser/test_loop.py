"""A loop that takes its time, in JupyterLab: a bar, then the card below."""

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

    from playwright.sync_api import Browser, Locator, Page

    from tests.browser.jupyter import JupyterServer

BATCHES = 40
CELLS = [
    "%load_ext colabmagic",
    f"""import time, torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

class Slow(Dataset):
    def __len__(self):
        return {BATCHES * 8}
    def __getitem__(self, index):
        time.sleep(0.015)
        return torch.randn(4), index % 2

train_loader = DataLoader(Slow(), batch_size=8)
model = nn.Linear(4, 2)""",
    "%%train_on cpu\nfor x, y in train_loader:\n    model(x).sum().backward()",
]
BAR = re.compile(rf"train_loader: +\d+%.*\d+/{BATCHES} ")
CARD = re.compile(r"train_on cpu: DONE")
END = re.compile(rf"^{BATCHES} batches in 1 pass, \d+\.\d s$")

# The open page, what it showed while the loop ran, its errors, the notebook's path.
Seen = tuple["Page", list[str], PageLog, str]


@pytest.fixture(scope="module")
def seen(browser: Browser, server: JupyterServer) -> Iterator[Seen]:
    """Run the cells; look at the last one while it runs; save; leave it open."""
    log = PageLog()
    context = browser.new_context(viewport={"width": 1200, "height": 1000})
    page = context.new_page()
    log.watch(page, server)
    path = server.add_notebook(CELLS)
    lab.open_lab(page, server, path)
    lab.run_all_cells(page, but=1)
    lab.start_cell(page)
    bar = last_output(page).filter(has_text=BAR)
    expect(bar).to_be_visible(timeout=lab.CELL_TIMEOUT_MS)
    while_it_ran = last_output(page).all_inner_texts()
    unreadable = lab.unreadable(bar)
    lab.screenshot(page, "bar-light")
    assert unreadable == []
    lab.wait_for_cell(lab.code_cells(page).nth(len(CELLS) - 1))
    lab.save(page)
    yield page, while_it_ran, log, path
    context.close()
    server.stop_kernels()


def last_output(page: Page) -> Locator:
    """Return the outputs of the cell that trains, one locator for all."""
    return lab.code_cells(page).nth(len(CELLS) - 1).locator(".jp-OutputArea-output")


def test_a_bar_while_it_runs(seen: Seen) -> None:
    """The bar names the loader; there is no card yet."""
    shown = "\n".join(seen[1])
    assert BAR.search(shown), shown
    assert not CARD.search(shown)


def test_the_card_comes_last(seen: Seen) -> None:
    """When the cell has ended, the bar is a line, and the card below can be read."""
    outputs = last_output(seen[0])
    expect(outputs.filter(has_text=CARD)).to_have_count(1)
    expect(outputs.filter(has_text=BAR)).to_have_count(0)
    expect(outputs.filter(has_text=END)).to_have_count(1)
    card = outputs.filter(has_text=CARD)
    expect(card).to_contain_text(f"{BATCHES} batches")
    expect(card).to_contain_text("waited for train_loader")
    expect(card).to_contain_text("num_workers")
    for theme in lab.in_each_theme(seen[0]):
        lab.screenshot(seen[0], f"card-{theme}")
        assert lab.unreadable(card) == []


def test_the_saved_notebook_holds_the_card(seen: Seen, server: JupyterServer) -> None:
    """In the file: one line, the end of the bar, and the card as text and as HTML."""
    saved = nbformat.read(server.notebooks / seen[3], as_version=4)
    line, bar, card = saved.cells[len(CELLS) - 1].outputs
    assert END.match(bar.data["text/plain"])
    assert line.text == "train_on cpu: running on the CPU\n"
    assert card.output_type == "display_data"
    assert CARD.match(card.data["text/plain"])
    assert f"{BATCHES} batches" in card.data["text/plain"]
    assert CARD.search(re.sub(r"<[^>]+>", "", card.data["text/html"]))
    assert not BAR.search(str(saved))


def test_the_page_is_well(seen: Seen) -> None:
    """No script of the page fails, and no request leaves loopback."""
    assert seen[2].errors == []
    assert seen[2].foreign_requests == []

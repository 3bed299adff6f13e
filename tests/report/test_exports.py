"""Reports in saved notebooks, as nbconvert writes them for others to read."""

from __future__ import annotations

import re
from html import unescape

import nbformat
import pytest
from nbconvert import HTMLExporter, MarkdownExporter

from colabmagic.gpu import check
from colabmagic.report.html import render_html
from tests.gpu.machines import load
from tests.report.test_html import EVIL, REPORT

PAGES = {
    "evil": render_html(REPORT),
    "one_lost": check(load("one_lost")).html,
    "colab_cpu": check(load("colab_cpu")).html,
    "all": check(load("own_t4_busy"), show_all=True).html,
}
# The sanitiser completes every table with this, and then refuses its own tag.
OWN_DOING = re.compile(r"&lt;/?tbody&gt;")
MARKUP_AS_TEXT = re.compile(r"&lt;/?(?:div|p|table|caption|t[a-z]+|strong|span)\b")


def notebook(html: str) -> nbformat.NotebookNode:
    """Return a notebook with one output."""
    data = {"text/html": html, "text/plain": "the text"}
    output = nbformat.v4.new_output("display_data", data)
    cell = nbformat.v4.new_code_cell("%gpu_check", outputs=[output])
    return nbformat.v4.new_notebook(cells=[cell])


def words(html: str) -> list[str]:
    """Return the words of a page, without its markup."""
    return unescape(re.sub(r"<[^>]*>", " ", html)).split()


def body(page: str) -> str:
    """Return the part of a page that holds the notebook."""
    return page[page.index("<main") if "<main" in page else page.index("<body") :]


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("sanitize", [False, True])
def test_html(name: str, *, sanitize: bool) -> None:
    """Every word is there in its order, and no markup is shown as text."""
    exporter = HTMLExporter(sanitize_html=sanitize)
    exporter.template_name = "basic"
    page, _ = exporter.from_notebook_node(notebook(PAGES[name]))
    page = OWN_DOING.sub("", page)
    shown = words(page)
    expected = words(PAGES[name])
    start = next(
        place
        for place in range(len(shown))
        if shown[place : place + len(expected)] == expected
    )
    assert start >= 0
    assert not MARKUP_AS_TEXT.search(page)
    assert "<script>alert" not in page


def test_markdown() -> None:
    """Markdown keeps the HTML table as it is."""
    page, _ = MarkdownExporter().from_notebook_node(notebook(PAGES["one_lost"]))
    assert "PROBLEM: GPU is lost" in page
    assert EVIL not in page

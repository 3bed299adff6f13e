"""What a person does in JupyterLab: open, run, save, look."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.jupyter import THEMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from playwright.sync_api import Locator, Page

    from tests.browser.jupyter import JupyterServer

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
LOAD_TIMEOUT_MS = 60_000
KERNEL_TIMEOUT_MS = 60_000
CELL_TIMEOUT_MS = 90_000

# The execution indicator on the page is no proof: it is idle before there is
# a kernel. So ask the application itself.
KERNEL_IS_IDLE = """() => {
    const widget = window.jupyterapp && window.jupyterapp.shell.currentWidget;
    const session = widget && widget.sessionContext && widget.sessionContext.session;
    const kernel = session && session.kernel;
    return kernel && kernel.status === 'idle'
        && kernel.connectionStatus === 'connected';
}"""
SAVE = "() => window.jupyterapp.commands.execute('docmanager:save')"
IS_SAVED = "() => !window.jupyterapp.shell.currentWidget.context.model.dirty"
TRUSTED_CELLS = """() => [...window.jupyterapp.shell.currentWidget.content.model.cells]
    .filter(cell => cell.type === 'code').map(cell => cell.trusted)"""
CHANGE_THEME = """theme =>
    window.jupyterapp.commands.execute('apputils:change-theme', {theme})"""
THEME_IS_LIGHT = "is => document.body.dataset.jpThemeLight === is"
SHOW_NOTEBOOK_ONLY = """() => {
    window.jupyterapp.shell.collapseLeft();
    window.jupyterapp.shell.collapseRight();
}"""
SCROLL_TO_TOP = """() => {
    const panels = document.querySelectorAll('.jp-WindowedPanel-outer');
    for (const panel of panels) panel.scrollTop = 0;
}"""
# How high the window must be to show all cells and what lies around them.
NOTEBOOK_BOTTOM = """() => {
    const cells = document.querySelectorAll('.jp-Notebook .jp-Cell');
    const top = cells[0].getBoundingClientRect().top;
    return cells[cells.length - 1].getBoundingClientRect().bottom - top + 150;
}"""

# The contrast of every piece of text below an element, as WCAG 2 defines it. The
# colours are what is computed; backgrounds are laid one over the other as on screen.
CONTRASTS = """root => {
    const context = new OffscreenCanvas(1, 1).getContext('2d');
    const linear = value => value <= 0.04045
        ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) =>
        0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
    const mix = colours => {
        context.globalAlpha = 1;
        context.fillStyle = 'white';
        context.fillRect(0, 0, 1, 1);
        for (const [colour, opacity] of colours) {
            context.globalAlpha = opacity;
            context.fillStyle = colour;
            context.fillRect(0, 0, 1, 1);
        }
        return context.getImageData(0, 0, 1, 1).data;
    };
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
        const text = walker.currentNode.textContent.trim();
        const owner = walker.currentNode.parentElement;
        if (!text || !owner.getClientRects().length) continue;
        const layers = [];
        let opacity = 1;
        for (let node = owner; node; node = node.parentElement) {
            const style = getComputedStyle(node);
            opacity *= Number(style.opacity);
            layers.unshift([style.backgroundColor, 1]);
        }
        const below = light(mix(layers));
        const above = light(mix([...layers, [getComputedStyle(owner).color, opacity]]));
        const ratio = (Math.max(above, below) + 0.05) / (Math.min(above, below) + 0.05);
        found.push([text, ratio]);
    }
    return found;
}"""

# Errors of the front end itself, seen without any extension; the last one is of themes
# that change while the style of the one before still loads.
FRONT_END_NOISE = re.compile(
    r"Cannot read properties of undefined \(reading 'schema'\)|Command '.*registered"
    r"|Failed to execute 'removeChild' on 'Node'"
)
FINISHED_PROMPT = re.compile(r"\[\d+\]:")


@dataclass
class PageLog:
    """What went wrong in a page, or went to the outside."""

    errors: list[str] = field(default_factory=list)
    foreign_requests: list[str] = field(default_factory=list)

    def watch(self, page: Page, server: JupyterServer) -> None:
        """Note the page's errors, and all that does not go to the server."""
        own = (f"{server.url}/", f"ws://127.0.0.1:{server.port}/", "data:", "blob:")

        def note_error(error: object) -> None:
            if not FRONT_END_NOISE.search(str(error)):
                self.errors.append(str(error))

        def note_request(url: str) -> None:
            if not url.startswith(own):
                self.foreign_requests.append(url)

        page.on("pageerror", note_error)
        page.on("request", lambda request: note_request(request.url))
        page.on("websocket", lambda socket: note_request(socket.url))


def open_lab(page: Page, server: JupyterServer, path: str) -> None:
    """Open a notebook in JupyterLab, in a workspace of its own."""
    workspace = f"test-{time.time_ns()}"
    page.goto(f"{server.url}/lab/workspaces/{workspace}/tree/{path}")
    first = page.locator(".jp-Notebook .jp-Cell").first
    expect(first).to_be_visible(timeout=LOAD_TIMEOUT_MS)
    page.wait_for_function(KERNEL_IS_IDLE, timeout=KERNEL_TIMEOUT_MS)


def code_cells(page: Page) -> Locator:
    """Return the code cells of the open notebook."""
    return page.locator(".jp-Notebook .jp-CodeCell")


def run_all_cells(page: Page, but: int = 0) -> Locator:
    """Walk through the notebook with Shift+Enter and return the code cells.

    Each cell is awaited before the next one is started, because a failed cell
    makes the front end drop what is queued behind it. The last `but` cells are not
    started.
    """
    cells = page.locator(".jp-Notebook .jp-Cell")
    cells.first.click()
    for index in range(cells.count() - but):
        cell = cells.nth(index)
        start_cell(page)
        if "jp-CodeCell" in (cell.get_attribute("class") or ""):
            wait_for_cell(cell)
    page.wait_for_function(KERNEL_IS_IDLE, timeout=KERNEL_TIMEOUT_MS)
    return code_cells(page)


def start_cell(page: Page) -> None:
    """Run the selected cell and select the one below, without waiting for its end."""
    page.keyboard.press("Shift+Enter")


def wait_for_cell(cell: Locator) -> None:
    """Wait until a cell has run."""
    prompt = cell.locator(".jp-InputPrompt").first
    expect(prompt).to_have_text(FINISHED_PROMPT, timeout=CELL_TIMEOUT_MS)


def save(page: Page) -> None:
    """Save the open notebook and wait until it is saved."""
    page.evaluate(SAVE)
    page.wait_for_function(IS_SAVED, timeout=LOAD_TIMEOUT_MS)


def output_with(cells: Locator, text: str | re.Pattern[str]) -> Locator:
    """Return the one output that has a text."""
    return cells.locator(".jp-OutputArea-output").filter(has_text=text)


def red_outputs(page: Page) -> Locator:
    """Return the outputs that the page shows in red: errors, and what is on stderr."""
    # JupyterLab renders an error's traceback under the type of stderr.
    return page.locator("[data-mime-type='application/vnd.jupyter.stderr']")


def unreadable(element: Locator, least: float = 4.5) -> Iterable[tuple[str, float]]:
    """Return the texts below an element whose contrast is too low (WCAG AA: 4.5)."""
    contrasts = element.evaluate(CONTRASTS)
    assert contrasts, "no text is visible there"
    return [(text, round(ratio, 2)) for text, ratio in contrasts if ratio < least]


def in_each_theme(page: Page) -> Iterator[str]:
    """Show the open page in light and in dark, one after the other; yield which it is."""
    for theme, name in THEMES.items():
        if page_is_dark(page) == (theme == "dark"):
            yield theme
            continue
        page.evaluate(CHANGE_THEME, name)
        page.wait_for_function(THEME_IS_LIGHT, arg=str(theme == "light").lower())
        yield theme


def page_is_dark(page: Page) -> bool:
    """Tell whether the page has a dark ground."""
    colour = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    red, green, blue = map(float, re.findall(r"[\d.]+", colour)[:3])
    return red + green + blue < 3 * 128


def screenshot(page: Page, name: str) -> Path:
    """Keep a picture of the whole notebook under build/screenshots."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    path = SCREENSHOTS / f"{name}.png"
    # It lies over the page while a theme comes, and fades.
    expect(page.locator("#jupyterlab-splash")).to_have_count(0)
    with _all_in_view(page):
        page.screenshot(path=path)
    return path


def picture_of_cells(page: Page, path: Path) -> Path:
    """Keep a picture of the cells alone, without what lies around them."""
    cells = page.locator(".jp-Notebook .jp-Cell")
    with _all_in_view(page):
        # The last cell is the empty one that Shift+Enter made.
        boxes = [cells.nth(index).bounding_box() for index in (0, cells.count() - 2)]
        first, last = boxes
        assert first
        assert last
        page.screenshot(
            path=path,
            clip={
                "x": first["x"],
                "y": first["y"],
                "width": first["width"],
                "height": last["y"] + last["height"] - first["y"],
            },
        )
    return path


@contextmanager
def _all_in_view(page: Page) -> Iterator[None]:
    """Make the window as high as the notebook, and hide the side bars."""
    page.evaluate(SHOW_NOTEBOOK_ONLY)
    size = page.viewport_size
    assert size is not None
    bottom = page.evaluate(NOTEBOOK_BOTTOM)
    page.set_viewport_size({"width": size["width"], "height": min(int(bottom), 8000)})
    page.evaluate(SCROLL_TO_TOP)
    yield
    page.set_viewport_size(size)

"""Take the README's picture: its own session, run in a real JupyterLab."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser import lab  # noqa: E402 (the path comes first)
from tests.browser.jupyter import (  # noqa: E402
    JupyterServer,
    find_chromium,
    running_browser,
)
from tests.repo.session import session_cells  # noqa: E402

IMAGES = ROOT / "docs" / "images"
WIDTH = 960


def main() -> int:
    """Run the session in Lab and keep the part of the page that holds its cells."""
    chromium = find_chromium()
    if chromium is None:
        print("no browser: install chromium, or set CHROMIUM", file=sys.stderr)
        return 1
    IMAGES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_browser(chromium) as browser,
    ):
        server = JupyterServer(Path(folder), "light")
        try:
            context = browser.new_context(
                viewport={"width": WIDTH, "height": 1000}, device_scale_factor=1.5
            )
            page = context.new_page()
            lab.open_lab(page, server, server.add_notebook(session_cells()))
            lab.run_all_cells(page)
            target = lab.picture_of_cells(page, IMAGES / "session.png")
        finally:
            server.stop_kernels()
            server.close()
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Take pictures of `%gpu_check`'s report on captured machines, light and dark."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from colabmagic.gpu import check  # noqa: E402 (the path comes first)
from tests.browser.jupyter import find_chromium, running_browser  # noqa: E402
from tests.gpu.machines import load  # noqa: E402

IMAGES = ROOT / "build" / "reports"
IN_README = ROOT / "docs" / "images" / "gpu_check.png"
SHOWN = ("colab_t4", "colab_driver_too_old", "one_lost")
MACHINES = (
    "colab_t4",
    "colab_cpu",
    "colab_driver_too_old",
    "one_lost",
    "own_a100_mig",
    "own_h200x8",
    "own_t4_busy",
)
SCHEMES = {"light": ("#ffffff", "#1f1f1f"), "dark": ("#111111", "#e0e0e0")}
PAGE = (
    "<body style='margin:16px;background:{0};color:{1};font:14px sans-serif'>{2}</body>"
)


def main() -> int:
    """Render each machine's report in both schemes."""
    chromium = find_chromium()
    if chromium is None:
        print("no browser: install chromium, or set CHROMIUM", file=sys.stderr)
        return 1
    IMAGES.mkdir(parents=True, exist_ok=True)
    with running_browser(chromium) as browser:
        for scheme, colours in SCHEMES.items():
            page = browser.new_page(viewport={"width": 900, "height": 400})
            for machine in MACHINES:
                page.set_content(PAGE.format(*colours, check(load(machine)).html))
                path = IMAGES / f"{machine}-{scheme}.png"
                page.screenshot(path=path, full_page=True)
                print(path.relative_to(ROOT))
            page.close()
        page = browser.new_page(
            viewport={"width": 900, "height": 100}, device_scale_factor=1.5
        )
        reports = (check(load(machine)).html for machine in SHOWN)
        page.set_content(PAGE.format(*SCHEMES["light"], "<br>".join(reports)))
        page.screenshot(path=IN_README, full_page=True)
        print(IN_README.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Take pictures of `%cuda_install`'s plans and outcomes on captured machines."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from colabmagic.cuda.outcome import Outcome  # noqa: E402 (the path comes first)
from colabmagic.cuda.planning.make import make_plan  # noqa: E402
from colabmagic.cuda.verifying.ladder import Ladder, Rung  # noqa: E402
from tests.browser.jupyter import find_chromium, running_browser  # noqa: E402
from tests.cuda.planning.machines import load  # noqa: E402

IMAGES = ROOT / "build" / "reports"
PLANS = (
    ("colab_t4", "13.0", ""),
    ("colab_t4", "11.1", "torch==1.10.1"),
    ("kaggle_p100", "13.0", ""),
    ("debian12_cpu", "11.1", ""),
)
RUNGS = (
    Rung(name="files", verdict="ok", why="1847 files, 279 MB, sizes as installed."),
    Rung(name="version", verdict="ok", why="CUDA 13.0.88."),
    Rung(name="cubin", verdict="ok", why="Code for sm_75 (this GPU)."),
    Rung(name="run", verdict="no driver", why="Built, linked and started."),
)
SCHEMES = {"light": ("#ffffff", "#1f1f1f"), "dark": ("#111111", "#e0e0e0")}
PAGE = (
    "<body style='margin:16px;background:{0};color:{1};font:14px sans-serif'>{2}</body>"
)


def main() -> int:
    """Render each report in both schemes."""
    chromium = find_chromium()
    if chromium is None:
        print("no browser: install chromium, or set CHROMIUM", file=sys.stderr)
        return 1
    IMAGES.mkdir(parents=True, exist_ok=True)
    plans = [make_plan(wanted, body, load(name)) for name, wanted, body in PLANS]
    ladder = Ladder(root="/content/cuda/13.0.3", build="13.0.88", rungs=RUNGS)
    outcome = Outcome(
        plan=plans[0], root=Path(ladder.root), ladder=ladder, seconds=11.2
    )
    reports = "<br>".join(each.html for each in (*plans, outcome))
    with running_browser(chromium) as browser:
        for scheme, colours in SCHEMES.items():
            page = browser.new_page(viewport={"width": 900, "height": 400})
            page.set_content(PAGE.format(*colours, reports))
            path = IMAGES / f"cuda-{scheme}.png"
            page.screenshot(path=path, full_page=True)
            print(path.relative_to(ROOT))
            page.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

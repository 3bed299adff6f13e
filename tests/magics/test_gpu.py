"""``%gpu_check`` in a terminal; kernels are tested in ``tests/kernel``."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HEADLINE = "GPU check: "


def terminal(lines: list[str], folder: Path) -> list[str]:
    """Return what a terminal session prints for each line."""
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner"],
        input="\n".join(["%load_ext colabmagic", *lines, "exit()", ""]),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.split("In [")[2:]


def test_terminal_shows_once(tmp_path: Path) -> None:
    """Alone on its line the value is shown as ``Out``, else by the magic itself."""
    alone, bound, value, semicolon, called = terminal(
        [
            "%gpu_check",
            "r = %gpu_check",
            "r",
            "%gpu_check ;",
            "for _ in range(1): get_ipython().run_line_magic('gpu_check', '')\n",
        ],
        tmp_path,
    )[:5]
    for printed in (alone, bound, value, semicolon, called):
        assert printed.count(HEADLINE) == 1, printed
    assert f"Out[2]: {HEADLINE}" in alone
    assert "Out[" not in bound
    assert f"Out[4]: {HEADLINE}" in value

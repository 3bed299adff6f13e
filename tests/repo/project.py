"""What the repository holds, for the tests beside this file."""

from __future__ import annotations

import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "colabmagic"


@cache
def settings() -> dict[str, Any]:
    """Return pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@cache
def tracked_files() -> tuple[Path, ...]:
    """Return all files of the project that belong into it."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],  # noqa: S607 (the user's git)
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        found = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:  # an unpacked sdist
        found = [*ROOT.glob("*.*"), *PACKAGE.rglob("*"), *(ROOT / "tests").rglob("*")]
    return tuple(path for path in found if path.is_file())


def modules() -> list[Path]:
    """Return the source files of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def text_of(name: str) -> str:
    """Return the text of a file at the root of the project."""
    return (ROOT / name).read_text(encoding="utf-8")

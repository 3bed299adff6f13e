"""What steps work with, in a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from colabmagic.cuda.fetching.cache import Cache
from colabmagic.cuda.steps.base import Work
from colabmagic.cuda.store.layout import Home
from colabmagic.host.command import run
from colabmagic.report.progress import SILENT

if TYPE_CHECKING:
    from pathlib import Path


def make_work(root: Path, **options: Any) -> Work:  # noqa: ANN401 (of `Work`)
    """Return what steps share, in an empty folder of ours."""
    home = Home(root / "home")
    settings: dict[str, Any] = {
        "home": home,
        "staging": home.toolkits / ".staging-1",
        "cache": Cache(home.cache),
        "run": run,
        "progress": SILENT,
    }
    return Work(**{**settings, **options})


def parts_of(work: Work, layout: str) -> set[str]:
    """Return the paths of the files that were unpacked."""
    folder = work.staging / "parts" / layout
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() or path.is_symlink()
    }

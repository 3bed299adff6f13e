"""Small CUDA programs that are compiled to see whether a toolkit works."""

from __future__ import annotations

from pathlib import Path


def program(name: str) -> Path:
    """Return where a program's source lies.

    Parameters
    ----------
    name
        As "run.cu".
    """
    return Path(__file__).with_name(name)

"""Programs for another Python: what PyTorch does must not reach the kernel."""

from __future__ import annotations

from pathlib import Path


def script(name: str) -> str:
    """Return where a script lies.

    Parameters
    ----------
    name
        As "torch_child.py".
    """
    return str(Path(__file__).with_name(name))

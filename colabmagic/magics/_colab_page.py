"""What Colab's own package is asked for by ``%keepalive``: looked up by name, bounded."""

from __future__ import annotations

import importlib
from typing import Final

PROBE_S: Final = 3.0
_SCRIPT: Final = "1 + 1"


def answers(timeout_s: float = PROBE_S) -> bool | None:
    """Ask Colab's page for a sum; VS Code and the command line client stay silent.

    Only in a cell: a second reader of the kernel's input would take its answers away.

    Parameters
    ----------
    timeout_s
        How long to wait; Google's own default is for ever.

    Returns
    -------
    bool or None
        Whether it is the page; None where Google's package is not there.
    """
    try:
        output = importlib.import_module("google.colab.output")
    except ImportError:
        return None
    try:
        return output.eval_js(_SCRIPT, timeout_sec=timeout_s) is not None
    except Exception:  # noqa: BLE001 (Google's own: who says that it failed has answered)
        return True


def give_back() -> str:
    """Give the machine back, by Colab's official call; the kernel ends with it.

    Raises
    ------
    Exception
        Of Google's package, in its words.
    """
    importlib.import_module("google.colab.runtime").unassign()
    return "the machine is given back"

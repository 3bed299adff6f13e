"""The one place that imports ``google.colab``."""

from __future__ import annotations

import importlib
from typing import Any


def part(name: str) -> Any:  # noqa: ANN401 (Google's, without types)
    """Import a part of Google's package, by name: off Colab there is none to check.

    Parameters
    ----------
    name
        Of the module, as ``drive``.

    Raises
    ------
    ImportError
        It is not there.
    """
    return importlib.import_module(f"google.colab.{name}")

"""CUDA toolkits side by side, without root, proven by compiling, reversible.

::

    from colabmagic import cuda

    plan = cuda.plan("12.4")
    outcome = cuda.install(plan)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colabmagic.cuda.service import install, plan

__all__ = ["install", "plan"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 (a module's attributes)
    """Import the backend when it is asked for."""
    if name in __all__:
        from colabmagic.cuda import service  # noqa: PLC0415 (lazy)

        return getattr(service, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""A notebook that is left alone while it works: what really keeps it, and its end.

::

    from colabmagic import keepalive

    with keepalive.job("train in a thread"):  # counts as work for %keepalive
        train()
    keepalive.watch_pid(process.pid)  # so does a process, as long as it lives
    keepalive.on_expiry(save, timeout_s=60)  # run before the end, in time
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from colabmagic.keepalive.activity import job, watch_pid
    from colabmagic.keepalive.expiry import on_expiry
    from colabmagic.keepalive.options import KeepaliveOptions, parse_duration
    from colabmagic.keepalive.service import start, status, stop
    from colabmagic.keepalive.state import KeepaliveStatus

__all__ = [
    "KeepaliveOptions",
    "KeepaliveStatus",
    "job",
    "on_expiry",
    "parse_duration",
    "start",
    "status",
    "stop",
    "watch_pid",
]

_MODULES: Final = {
    "KeepaliveOptions": "options",
    "KeepaliveStatus": "state",
    "job": "activity",
    "on_expiry": "expiry",
    "parse_duration": "options",
    "start": "service",
    "status": "service",
    "stop": "service",
    "watch_pid": "activity",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 (a module's attributes)
    """Import the part that is asked for."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)

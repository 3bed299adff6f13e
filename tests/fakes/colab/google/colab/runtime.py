"""``runtime``: give the machine back."""

from __future__ import annotations

import os
import urllib.error
import urllib.request

from . import errors as _errors
from . import output as _output

__all__ = ["unassign"]


def unassign() -> None:
    """Give the machine back."""
    address = os.environ.get("TBE_RUNTIME_ADDR")
    if not address:
        raise _errors.RuntimeManagementError(
            "Unable to find the runtime management service."
        )
    request = urllib.request.Request(f"http://{address}/unassign", method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310 (loopback)
            pass
    except urllib.error.HTTPError as error:
        error.close()
        raise _errors.RuntimeManagementError(
            "Unable to request VM unassignment."
        ) from None
    _output.eval_js("google.colab.kernel.disconnect();", ignore_result=True)

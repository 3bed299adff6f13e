"""The backend of ``%train_on``, which brings in torch, imported whole or not at all."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

from colabmagic.errors import NotSupportedError, interrupted
from colabmagic.interrupts import deferred_interrupts

if TYPE_CHECKING:
    from types import ModuleType

_WAITS: Final = (
    "PyTorch is being imported; the stop waits until that is over. A second one cuts it "
    "off, and the kernel has to be restarted then"
)
_SERVICE: Final = "colabmagic.train.service"
_RESTART: Final = "restart the kernel (Colab: Runtime > Restart session)"
# What numpy says where it was cut off; torch says many things.
_CUT: Final = "more than once per process"


def service() -> ModuleType:
    """Import the backend; say it in our way where that fails.

    What is imported half can be imported no more in this process. So Ctrl-C waits until
    it is over; a second one does not.

    Raises
    ------
    NotSupportedError
        PyTorch is not here, or cannot be imported.
    """
    if _SERVICE in sys.modules:
        return import_module(_SERVICE)
    was_cut = _is_half_here()
    try:
        with deferred_interrupts(once=True, waits=_tell):
            return import_module(_SERVICE)
    except KeyboardInterrupt as error:
        if _is_half_here():
            interrupted(error, f"PyTorch was cut off as it was imported: {_RESTART}")
        raise
    except Exception as error:
        if was_cut or _CUT in str(error):
            raise NotSupportedError(
                "PyTorch was cut off as it was imported, and cannot be imported again",
                seen=f"{type(error).__name__}: {error}",
                hint=_RESTART,
            ) from error
        if isinstance(error, ModuleNotFoundError) and error.name == "torch":
            raise NotSupportedError(
                "PyTorch is not installed here", hint="%pip install torch"
            ) from error
        if isinstance(error, ImportError | OSError):  # OSError: a library is missing
            raise NotSupportedError(
                "PyTorch cannot be imported", seen=str(error), hint="%gpu_check"
            ) from error
        raise


def _tell() -> None:
    """Say that the stop button was seen."""
    print(f"colabmagic: {_WAITS}", flush=True)  # noqa: T201 (magics show)


def _is_half_here() -> bool:
    """Tell whether parts of torch are imported, and it itself is not."""
    parts = any(name.startswith("torch.") for name in sys.modules)
    return parts and "torch" not in sys.modules

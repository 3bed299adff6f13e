"""IPython magics for people who train PyTorch models in notebooks.

``%load_ext colabmagic`` registers the magics. Nothing heavy is imported here or by
loading the extension: each magic imports its backend when it is first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # not from typing: the name alone is enough for type checkers
if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__version__ = "0.1.0"
__all__ = ["__version__", "load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics; loading twice changes nothing."""
    from colabmagic.magics import register  # noqa: PLC0415 (lazy: loading stays light)

    register(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take back everything that loading added to the shell."""
    from colabmagic.magics import unregister  # noqa: PLC0415 (lazy)

    unregister(shell)

"""After a cell failed: free what its traceback keeps alive, before the next cell runs.

IPython keeps the last error for ``%tb`` and ``%debug``, and with it every frame of the
failed call and every tensor in these. Two events of the shell are enough; a cell that
follows no error pays for one look at ``sys.last_traceback``.
"""

from __future__ import annotations

import contextlib
import copy
import re
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from colabmagic.magics._config import ColabMagic

# A cell that asks for the error itself: it stays for as long as such cells follow.
_ASKS: Final = re.compile(
    r"^\s*%(?:tb|debug|pdb|xmode)\b"
    r"|\A\s*(?:tb|debug|pdb|xmode)\b[^=(.\n]*\Z"  # IPython adds the sign by itself
    r"|\.last_(?:traceback|value|type|exc)\b"
    r"|\b(?:print_last|post_mortem)\b|\bpm\(\)"
    r"|line_magic\(\s*['\"](?:tb|debug)\b",
    re.MULTILINE,
)
_LAST: Final = ("last_type", "last_value", "last_traceback", "last_exc")


class ErrorHooks:
    """The two hooks of one shell.

    Parameters
    ----------
    shell
        The shell.
    settings
        ``free_after_error`` is asked at each error.
    """

    def __init__(self, shell: InteractiveShell, settings: ColabMagic) -> None:
        self._shell = shell
        self._settings = settings

    def install(self) -> None:
        """Begin to watch; the hooks must not be there already."""
        self._shell.events.register("pre_run_cell", self._before_cell)
        self._shell.events.register("post_run_cell", self._after_cell)

    def remove(self) -> None:
        """Take the hooks back, as far as they are still there."""
        hooks = {"pre_run_cell": self._before_cell, "post_run_cell": self._after_cell}
        for event, hook in hooks.items():
            callbacks = self._shell.events.callbacks[event]
            if hook in callbacks:
                callbacks.remove(hook)

    def _before_cell(self, info: Any) -> None:  # noqa: ANN401 (IPython's own object)
        """Free what the error before this cell holds, unless the cell asks for it."""
        if getattr(sys, "last_traceback", None) is None:
            return
        if not self._settings.free_after_error or self._shell.call_pdb:
            return
        if _ASKS.search(getattr(info, "raw_cell", None) or ""):
            return
        if not getattr(info, "store_history", True):
            return  # not typed: a front end asks for variables between two cells
        from colabmagic.magics._frames import run_frames  # noqa: PLC0415 (rare)

        if len(run_frames()) <= 1:  # else a cell runs another, and may want its error
            # What cannot be freed must not show in every later cell.
            with contextlib.suppress(Exception):
                free(self._shell)

    def _after_cell(self, result: Any) -> None:  # noqa: ANN401 (IPython's own object)
        """Explain an error that says that memory ran out, and free its memory."""
        error = getattr(result, "error_in_exec", None)
        if error is None:
            return
        _remember_for_the_doctor(error)
        if "torch" not in sys.modules:
            return
        from colabmagic.magics import _oom  # noqa: PLC0415 (only after an error)

        source = getattr(getattr(result, "info", None), "raw_cell", None) or ""
        frees = self._settings.free_after_error and not self._shell.call_pdb
        try:
            _oom.explain(self._shell, error, source, frees=frees)
        except Exception:  # noqa: BLE001 (a report must not become a second error)
            return


def _remember_for_the_doctor(error: BaseException) -> None:
    """Keep the words of an error of Drive's: the error itself is freed before the next cell."""
    drive: Any = sys.modules.get("colabmagic.drive.errors")
    if drive is not None and isinstance(error, drive.DriveError):
        from colabmagic.drive.trouble import last_error  # noqa: PLC0415 (only after one)

        last_error.remember(error)


def free(shell: InteractiveShell, *, keep_place: bool = False) -> None:
    """Let go of the last error, wherever the shell and Python keep it.

    Parameters
    ----------
    shell
        The shell.
    keep_place
        Keep the error and the lines of the cell in its traceback: only what they hold
        goes.
    """
    from colabmagic.memory import scrub  # noqa: PLC0415 (only after an error)

    namespace = shell.user_ns or {}
    scrub.strip(_last_errors(shell), list(namespace.values()), keep_place=keep_place)
    _forget(shell)
    if keep_place:
        error = getattr(sys, "last_value", None)
        sys.last_traceback = getattr(error, "__traceback__", None)
    else:
        for name in _LAST:
            if hasattr(sys, name):
                delattr(sys, name)
        _replace_result(shell)
    scrub.collect()


def _last_errors(shell: InteractiveShell) -> list[object]:
    """Return the errors that somebody keeps for the user to ask about."""
    result = shell.last_execution_result
    syntax = getattr(shell, "SyntaxTB", None)
    return [
        getattr(sys, "last_value", None),
        getattr(sys, "last_exc", None),
        getattr(result, "error_in_exec", None),
        getattr(result, "error_before_exec", None),
        getattr(syntax, "last_syntax_error", None),
    ]


def _forget(shell: InteractiveShell) -> None:
    """Empty what draws errors and what debugs them."""
    drawer: Any = shell.InteractiveTB
    if getattr(drawer, "tb", None) is not None:
        drawer.tb = None
    debugger = getattr(drawer, "pdb", None)
    if debugger is not None:  # `%debug` was here
        with contextlib.suppress(Exception):  # a debugger of another make
            debugger.forget()
            debugger.botframe = None
    syntax: Any = getattr(shell, "SyntaxTB", None)
    if getattr(syntax, "last_syntax_error", None) is not None:
        syntax.last_syntax_error = None


def _replace_result(shell: InteractiveShell) -> None:
    """Keep of the last result that it failed, and how, but not the error itself.

    The error may hold tensors in its arguments or attributes. A copy is changed: whoever
    ran the cell by ``run_cell`` may have the result still.
    """
    result: Any = shell.last_execution_result
    error = getattr(result, "error_in_exec", None)
    if error is not None:
        result = copy.copy(result)
        result.error_in_exec = RuntimeError(f"{type(error).__name__} (freed)")
        shell.last_execution_result = result

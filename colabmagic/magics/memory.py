"""``%gpu_memory``: who holds the memory of tensors, and what frees it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments
from IPython.display import display

from colabmagic.magics import _after_error
from colabmagic.magics._base import parse
from colabmagic.magics._shown import ShownOnce, is_last_line, is_whole_terminal_cell
from colabmagic.memory.devices import allocated_bytes
from colabmagic.memory.holders import FREE, MemoryFacts, find_holders
from colabmagic.memory.report import MemoryReport
from colabmagic.report.size import in_words

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_NAME = "gpu_memory"


@magics_class
class MemoryMagics(Magics):  # type: ignore[misc]  # untyped on IPython 7
    """The magic that says who holds memory."""

    @magic_arguments()
    @argument(
        "--free",
        action="store_true",
        help="first free what no name of yours holds: the last error's frames, garbage, "
        "and what the devices' allocators only keep",
    )
    @argument("-q", "--quiet", action="store_true", help="show nothing, only return")
    @line_magic
    def gpu_memory(self, line: str) -> MemoryReport:
        """Say who holds the memory of tensors, and what to type to free it.

        Your names, ``Out[n]``, ``_``, errors that are kept, and what is inside
        containers, models and optimizers, on GPUs and (from 1 MB) on the CPU. PyTorch is
        not imported, and no device is started.

        Examples::

            %gpu_memory
            %gpu_memory --free
            r = %gpu_memory -q
            r.holdings[0].names, r.holdings[0].size_bytes
        """
        options = parse(self.gpu_memory, line.rstrip("; "))
        assert self.shell is not None
        freed_bytes, freed = None, None
        if options.free:
            freed_bytes, freed = _free(self.shell)
        report = NotebookMemoryReport(
            facts=_facts(self.shell), freed_bytes=freed_bytes, freed=freed
        )
        if options.quiet:
            if is_last_line(_NAME):  # its value would be shown; a name below it may be
                report.hide()
        elif not is_whole_terminal_cell(_NAME):
            display(report)
        return report


class NotebookMemoryReport(ShownOnce, MemoryReport):
    """A report that is shown once in the cell that made it, and again in later cells."""


def _facts(shell: InteractiveShell) -> MemoryFacts:
    """Look through what the shell keeps for the user."""
    namespace = shell.user_ns or {}
    hook: Any = shell.displayhook
    hidden = {
        f"get_ipython().displayhook.{name} = None  # {name}": getattr(hook, name, None)
        for name in ("_", "__", "___")
    }
    hidden[f"{FREE}  # the last error"] = getattr(sys, "last_value", None)
    return find_holders(namespace, outputs=namespace.get("_oh") or {}, hidden=hidden)


def _free(shell: InteractiveShell) -> tuple[int | None, str]:
    """Free what no name holds; return how much came free, and say it."""
    before = allocated_bytes()
    _after_error.free(shell)
    after = allocated_bytes()
    if before is None or after is None:
        return None, "No device of this process tells how much came free."
    freed = max(before - after, 0)
    return freed, f"{in_words(freed)} came free on the devices; caches are empty."

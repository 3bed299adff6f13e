"""All errors of colabmagic.

Each leaf says what happened, what was seen and what to type. In a notebook the
error draws itself in at most three lines, or four where a command needs a word beside
it; ``COLABMAGIC_TRACEBACK=1`` or ``%xmode Verbose`` brings the whole traceback back.

::

    ColabMagicError
    ├── BadDeviceError (ValueError)
    ├── DeviceUnavailableError (RuntimeError)
    ├── NestedCellError (RuntimeError)
    ├── NotSupportedError (RuntimeError)
    ├── DeviceMemoryError (RuntimeError)
    ├── DeviceFailedError (RuntimeError)
    ├── NanLossError (ArithmeticError)
    └── GpuCheckError (RuntimeError)
"""

from __future__ import annotations

import os
import sys

TRACEBACK_VARIABLE = "COLABMAGIC_TRACEBACK"


class ColabMagicError(Exception):
    """Base of all errors of colabmagic.

    Parameters
    ----------
    what
        What happened, one sentence.
    seen
        The evidence, one line; left out where `what` says it all.
    hint
        What to type or click now; a command that is to be pasted has a line of its own.
    """

    def __init__(self, what: str, *, seen: str | None = None, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.seen = seen
        self.hint = hint

    def __str__(self) -> str:
        """Return all three parts, for logs and scripts."""
        hint = "; ".join(self.hint.splitlines())
        parts = [self.what, self.seen and f"seen: {self.seen}", f"try: {hint}"]
        return " | ".join(part for part in parts if part)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with all three parts (worker processes send errors home)."""
        return _rebuild, (type(self), self.what, self.seen, self.hint)

    def render(self) -> list[str]:
        """Return the lines that a person should see."""
        lines = [f"{type(self).__name__}: {self.what}"]
        if self.seen:
            lines.append(f"  seen: {self.seen}")
        first, *more = self.hint.splitlines() or [""]
        return [*lines, f"  try:  {first}", *(f"        {line}" for line in more)]

    def _render_traceback_(self) -> list[str]:
        """Answer IPython: three lines, unless the user asked for the traceback."""
        if wants_traceback():
            raise NotImplementedError  # IPython then draws the ordinary traceback
        return self.render()


def _rebuild(
    kind: type[ColabMagicError], what: str, seen: str | None, hint: str
) -> ColabMagicError:
    """Make an error anew from its parts."""
    return kind(what, seen=seen, hint=hint)


def wants_traceback() -> bool:
    """Tell whether the user asked for whole tracebacks."""
    if os.environ.get(TRACEBACK_VARIABLE, "") not in {"", "0"}:
        return True
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    tracebacks = getattr(shell, "InteractiveTB", None)
    return getattr(tracebacks, "mode", "") == "Verbose"


def interrupted(error: KeyboardInterrupt, text: str) -> None:
    """Have an interrupt show itself in a notebook as one line, without frames of ours.

    Parameters
    ----------
    error
        It stays what it is: it stops all cells that wait.
    text
        What it stopped, and what now.
    """
    error.args = (text,)

    def lines(*_: object) -> list[str]:
        if wants_traceback():
            raise NotImplementedError  # IPython then draws the ordinary traceback
        return [f"KeyboardInterrupt: {text}"]

    error._render_traceback_ = lines  # type: ignore[attr-defined]


class BadDeviceError(ColabMagicError, ValueError):
    """The device text names nothing that exists."""


class DeviceUnavailableError(ColabMagicError, RuntimeError):
    """The device that was asked for is not there, and ``--strict`` was given."""


class NestedCellError(ColabMagicError, RuntimeError):
    """A cell magic that runs code was used inside itself."""


class NotSupportedError(ColabMagicError, RuntimeError):
    """The cell does something that cannot be done right on a device."""


class DeviceMemoryError(ColabMagicError, RuntimeError):
    """The device has too little memory for what the cell uses."""


class DeviceFailedError(ColabMagicError, RuntimeError):
    """The device stopped working while the cell ran."""


class NanLossError(ColabMagicError, ArithmeticError):
    """The loss is not finite, and ``--nan-guard`` was given."""


class GpuCheckError(ColabMagicError, RuntimeError):
    """The machine lacks what ``%gpu_check --require`` asks for.

    Parameters
    ----------
    what, seen, hint
        As for every error here.
    report
        The `colabmagic.gpu.GpuReport`; None after a journey between processes.
    """

    def __init__(
        self,
        what: str,
        *,
        seen: str | None = None,
        hint: str,
        report: object = None,
    ) -> None:
        super().__init__(what, seen=seen, hint=hint)
        self.report = report

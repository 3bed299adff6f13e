"""No parameter is updated by half: Ctrl-C waits while an optimizer steps."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

from colabmagic.interrupts import handle_as_before, handle_interrupts

if TYPE_CHECKING:
    from types import CodeType, FrameType

    from colabmagic.interrupts import Handler

# Torch wraps the ``step`` of every optimizer class in one function: its frame tells.
_STEP: Final[CodeType] = Optimizer.profile_hook_step(lambda _: None).__code__


@dataclass(eq=False)
class StepGuard:
    """Lets the first Ctrl-C wait until the step that runs is over; the second does not.

    Our handler stands there for the whole cell and costs nothing: when Ctrl-C comes it
    looks for a step on the stack. The hook that torch calls after each step passes on
    what came meanwhile.
    """

    _before: Handler | None = None
    _handler: Handler | None = None
    _hook: Any = None
    _waiting: bool = False

    def install(self) -> None:
        """Take the interrupts of this cell; nothing is done outside the main thread."""
        if self._handler is not None:
            return
        handler = self._on_signal  # one object, to be recognised by
        before = handle_interrupts(handler)
        if before is None:
            return
        self._before, self._handler, self._waiting = before, handler, False
        self._hook = register_optimizer_step_post_hook(self._after_step)

    def close(self) -> None:
        """Give them back to who had them; a second call changes nothing."""
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
        if self._handler is not None and self._before is not None:
            handle_as_before(self._handler, self._before)
        self._handler, self._waiting = None, False

    def _after_step(self, *_: object) -> None:
        """Pass on what came meanwhile; torch calls it when a step is over."""
        if self._waiting:
            frame = sys._getframe(1)  # noqa: SLF001 (torch's own, in which the step ran)
            if not _is_in_step(
                frame.f_back
            ):  # else a step inside a step: that one counts
                self._deliver(signal.SIGINT, frame)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """Remember an interrupt, or pass it on: outside of a step, and the second one."""
        if not self._waiting and _is_in_step(frame):
            self._waiting = True
            return
        self._deliver(number, frame)

    def _deliver(self, number: int, frame: FrameType | None) -> None:
        """Call the handler of before."""
        self._waiting = False
        if self._before is not None:
            self._before(number, frame)


def _is_in_step(frame: FrameType | None) -> bool:
    """Tell whether an optimizer's step is on the stack."""
    while frame is not None:
        if frame.f_code is _STEP:
            return True
        frame = frame.f_back
    return False

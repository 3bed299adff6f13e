"""No parameter is updated by half: Ctrl-C waits while an optimizer steps."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # without the enumerations of `signal`, which cost 2 µs a call
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

_SIGINT: Final = _signal.SIGINT


@dataclass(eq=False)
class StepGuard:
    """Lets the first Ctrl-C wait until the step that runs is over; the second does not.

    It works through the hooks that torch calls around each ``step``. They are not called
    when a step raises, so our handler looks at the stack: where no step is on it, the
    interrupt is passed on at once.
    """

    _handles: list[Any] = field(default_factory=list)
    _step: int = 0  # the ``id`` of the frame of the outermost step; 0 outside of steps
    _code: CodeType | None = None  # of that frame: the ``id`` alone may be used anew
    _pressed: bool = False
    _before: Callable[[int, FrameType | None], Any] | None = None
    _handler: Any = None

    def install(self) -> None:
        """Watch all optimizers."""
        self._handler = self._on_signal  # one object, to be recognised by
        self._handles = [
            register_optimizer_step_pre_hook(self._begin),
            register_optimizer_step_post_hook(self._end),
        ]

    def close(self) -> None:
        """Watch no more; the handler of before is back. A second call changes nothing."""
        while self._handles:
            self._handles.pop().remove()
        self._disarm()

    def _begin(self, *_: object) -> None:
        """Let interrupts wait from now on; torch calls it before a step."""
        if (
            torch.compiler.is_compiling()
            or threading.current_thread() is not threading.main_thread()
        ):
            return  # no signal is handled there
        frame = sys._getframe(1)  # noqa: SLF001 (torch's own, in which the step runs)
        if self._step:
            if self._runs(frame.f_back):
                return  # a step inside a step: the outer one counts
            self._deliver()  # the last one has raised
        before = _signal.getsignal(_SIGINT)
        if not callable(before):
            return
        self._before, self._code, self._step = before, frame.f_code, id(frame)
        _signal.signal(_SIGINT, self._handler)

    def _end(self, *_: object) -> None:
        """Pass on what came meanwhile; torch calls it when a step is over."""
        if self._step and id(sys._getframe(1)) == self._step:  # noqa: SLF001
            self._deliver()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """Remember an interrupt, or pass it on: outside of a step, and the second one."""
        if not self._pressed and self._runs(frame):
            self._pressed = True
            return
        self._pressed = True
        self._deliver(number, frame)

    def _deliver(self, number: int = _SIGINT, frame: FrameType | None = None) -> None:
        """Put the handler of before back, and call it if there was an interrupt."""
        before, pressed = self._before, self._pressed
        self._disarm()
        if pressed and before is not None:
            before(number, frame or sys._getframe(1))  # noqa: SLF001 (what Python passes)

    def _disarm(self) -> None:
        """Put the handler of before back, unless somebody has set another since."""
        self._step, self._pressed = 0, False
        if self._before is not None and _signal.getsignal(_SIGINT) is self._handler:
            _signal.signal(_SIGINT, self._before)
        self._before = None  # last: until here our handler may still be called

    def _runs(self, frame: FrameType | None) -> bool:
        """Tell whether the step is on the stack still."""
        while frame is not None:
            if id(frame) == self._step and frame.f_code is self._code:
                return True
            frame = frame.f_back
        return False

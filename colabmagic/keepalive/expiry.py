"""What is to be done before the end: functions that run once, in order, each in time.

::

    handle = keepalive.on_expiry(save_checkpoint, timeout_s=60)
    handle.remove()
"""

from __future__ import annotations

import inspect
import math
import threading
import types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from colabmagic.keepalive.errors import KeepaliveOptionError
from colabmagic.keepalive.options import is_number
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT_S: Final = 120.0
MOST_TIMEOUT_S: Final = 3600.0
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class HookResult:
    """What became of one function.

    Attributes
    ----------
    name
        Of the function.
    state
        ``ok``, ``failed``, or ``late``: it was given up, and may still run.
    took_s
        How long, in seconds.
    text
        The error, or what it returned if that is a text.
    """

    name: str
    state: str
    took_s: float
    text: str = ""

    def __str__(self) -> str:
        """Return it in one line."""
        said = f": {self.text}" if self.text else ""
        return f"{self.name} {self.state}, {self.took_s:.1f} s{said}"


@dataclass(eq=False, slots=True)
class Hook:
    """A function that runs before the end; `remove` takes it back.

    Attributes
    ----------
    name
        As the status calls it.
    timeout_s
        After so many seconds it is given up.
    """

    call: Callable[[], object]
    name: str
    timeout_s: float
    _owner: Hooks

    def remove(self) -> None:
        """Do not run it; nothing happens where it is gone."""
        self._owner.remove(self)

    def __repr__(self) -> str:
        """Return its name."""
        return f"<before the end: {self.name}, at most {self.timeout_s:g} s>"


@dataclass(eq=False, slots=True)
class Hooks:
    """Functions in the order of their registration."""

    _hooks: list[Hook] = field(default_factory=list)

    def add(
        self,
        call: Callable[[], object],
        *,
        timeout_s: float = TIMEOUT_S,
        name: str | None = None,
    ) -> Hook:
        """Register a function; see `on_expiry`."""
        if not callable(call):
            raise KeepaliveOptionError(
                f"on_expiry takes a function, not {type(call).__name__}",
                hint="keepalive.on_expiry(save), without parentheses behind save",
            )
        _check_call(call)
        if not is_number(timeout_s) or not 0 < timeout_s <= MOST_TIMEOUT_S:
            raise KeepaliveOptionError(
                f"timeout_s cannot be {repr(timeout_s)[:40]}",
                hint=f"write seconds, at most {MOST_TIMEOUT_S:.0f}",
            )
        named = clean(str(name or getattr(call, "__name__", "") or "function"))
        hook = Hook(call, named[:_LONGEST], float(timeout_s), self)
        # Who runs a cell again means the same function, not one more.
        kept = [each for each in self._hooks if not _is_same(each, hook)]
        self._hooks[:] = [*kept, hook]
        return hook

    def remove(self, hook: Hook) -> None:
        """Take one back."""
        self._hooks[:] = [each for each in self._hooks if each is not hook]

    def clear(self) -> None:
        """Take all back."""
        self._hooks.clear()

    def all(self) -> tuple[Hook, ...]:
        """Return those that are registered now."""
        return tuple(self._hooks)


def longest_s(hooks: tuple[Hook, ...]) -> float:
    """Return how long all of them may take together, in seconds.

    Parameters
    ----------
    hooks
        What is to run.
    """
    return sum(hook.timeout_s for hook in hooks)


def _check_call(call: Callable[[], object]) -> None:
    """Refuse now what could only fail at the end."""
    name = getattr(call, "__name__", "") or "the function"
    if inspect.iscoroutinefunction(call):
        raise KeepaliveOptionError(
            f"{name} is async, and nobody awaits it at the end",
            hint=f"keepalive.on_expiry(lambda: asyncio.run({name}()))",
        )
    try:
        signature = inspect.signature(call)
    except (TypeError, ValueError):  # some of C have none
        return
    try:
        signature.bind()
    except TypeError as error:
        raise KeepaliveOptionError(
            f"{name} is called with nothing at the end, but: {error}",
            hint="keepalive.on_expiry(lambda: save(model))",
        ) from None


def _is_same(one: Hook, other: Hook) -> bool:
    """Tell whether two hooks do the very same, as a cell that runs again makes them."""
    if one.name != other.name:
        return False
    if one.call is other.call:
        return True
    functions = (one.call, other.call)
    if all(isinstance(each, types.MethodType) for each in functions):
        return (
            one.call.__self__ is other.call.__self__  # type: ignore[attr-defined]
            and one.call.__func__ is other.call.__func__  # type: ignore[attr-defined]
        )
    return (
        all(isinstance(each, types.FunctionType) for each in functions)
        and one.call.__code__ == other.call.__code__
        and one.call.__globals__ is other.call.__globals__
        and not any(
            each.__closure__ or each.__defaults__ or each.__kwdefaults__
            for each in functions
        )
    )


class HookRun:
    """Runs hooks one after the other, each in a thread that can be left behind.

    `poll` moves it on and never waits, so that beats go on meanwhile.

    Parameters
    ----------
    hooks
        In order.
    now
        Returns seconds.
    done
        Called in a hook's thread when it is through; wakes whoever polls.
    """

    def __init__(
        self,
        hooks: tuple[Hook, ...],
        now: Callable[[], float],
        done: Callable[[], object] = lambda: None,
    ) -> None:
        self._left, self._begun = list(hooks), set[Hook]()
        self._now, self._done = now, done
        self._running: _Call | None = None
        self.results: list[HookResult] = []

    def follow(self, hooks: tuple[Hook, ...], *, more: bool) -> None:
        """Leave out what was taken back since, and take in what is new.

        Parameters
        ----------
        hooks
            Those that are registered now.
        more
            Whether new ones are taken in.
        """
        known = {*self._left, *self._begun}
        self._left = [
            hook
            for hook in hooks
            if hook not in self._begun and (more or hook in known)
        ]

    def poll(self) -> bool:
        """Move on; return whether all are through."""
        while True:
            call = self._running
            if call is not None:
                result = call.result(self._now())
                if result is None:
                    return False
                self.results.append(result)
                self._running = None
            if not self._left:
                return True
            hook = self._left.pop(0)
            self._begun.add(hook)
            self._running = _Call(hook, self._now(), self._done)

    @property
    def ok(self) -> bool:
        """Whether all that ran ended well."""
        return all(result.state == "ok" for result in self.results)

    @property
    def due_s(self) -> float:
        """Seconds until the running one is given up."""
        call = self._running
        return math.inf if call is None else max(0.0, call.gives_up - self._now())


class _Call:
    """One hook in its thread."""

    def __init__(self, hook: Hook, now: float, done: Callable[[], object]) -> None:
        self._hook, self._began, self._done = hook, now, done
        self.gives_up = now + hook.timeout_s
        self._found = ("ok", "")
        self._ended = threading.Event()
        name = f"colabmagic-expiry-{hook.name}"
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        """Call it, and note what became of it."""
        self._found = ("failed", "")
        try:
            self._found = self._outcome()
        finally:
            self._ended.set()
            self._done()

    def _outcome(self) -> tuple[str, str]:
        """Call it; return its state and its words."""
        try:
            value: Any = self._hook.call()
            if inspect.iscoroutine(value) or inspect.isgenerator(value):
                value.close()  # else Python warns beside our own words
                kind = type(value).__name__
                return "failed", f"it returned a {kind}, so nothing of it has run"
            return "ok", clean(value)[:_LONGEST] if isinstance(value, str) else ""
        except BaseException as error:  # noqa: BLE001 (told; the others run)
            name = type(error).__name__
            try:
                said = str(error)
            except BaseException:  # noqa: BLE001 (an error that cannot be shown)
                said = ""
            return "failed", clean(f"{name}: {said}" if said else name)[:_LONGEST]

    def result(self, now: float) -> HookResult | None:
        """Return what became of it; None while it has time."""
        took = now - self._began
        if self._ended.is_set():
            state, text = self._found
        elif now >= self.gives_up:
            state, text = "late", f"given up after {self._hook.timeout_s:g} s"
        else:
            return None
        return HookResult(name=self._hook.name, state=state, took_s=took, text=text)


HOOKS: Final = Hooks()


def on_expiry(
    fn: Callable[[], object],
    *,
    timeout_s: float = TIMEOUT_S,
    name: str | None = None,
) -> Hook:
    """Run a function once before the end that ``%keepalive`` knows of, in time.

    The end is its hard bound, the expected end of Colab's machine, or
    ``--then disconnect``. It runs in a thread of its own, after those that were
    registered before it.

    Parameters
    ----------
    fn
        Takes nothing. An error is told, and keeps the machine from being given back.
    timeout_s
        After so many seconds it is given up, and the next one runs.
    name
        As the status shall call it.

    Returns
    -------
    Hook
        Its `remove` takes it back.

    Raises
    ------
    KeepaliveOptionError
        It is no function, or the time is none.
    """
    return HOOKS.add(fn, timeout_s=timeout_s, name=name)

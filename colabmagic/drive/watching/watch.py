"""Watch a mount, and mount it anew when it is dead or hangs.

::

    watcher = Watcher(Path("/content/drive"), remount=again, notify=print)
    watcher.start()
    ...
    watcher.stop()

What cannot be healed is said: files that are open stay broken, and writes that Google's
program had not sent are lost with it. A mount that hangs while writes wait is left alone.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.drive.watching.own_use import WorkingDirectory, open_files
from colabmagic.drive.watching.probe import Health, Probe, probe
from colabmagic.drive.words import error_in_words, named, quoted, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from colabmagic.host.vm_clock import VmClock

INTERVAL_S: Final = 10.0
WATCH_TIMEOUT_S: Final = 1.8  # a mount that hangs is found within interval + 2 s
_PENDING_EVERY_S: Final = 60.0
_FIRST_BACKOFF_S: Final = 10.0
_LONGEST_BACKOFF_S: Final = 300.0
_EVENTS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchStatus:
    """What a watcher has seen and done.

    Attributes
    ----------
    path
        Where the mount is.
    probes
        How often it was asked.
    healed, failed
        How often mounting anew worked, and did not.
    events
        What happened, with the time; the last ones.
    running
        Whether the thread lives.
    held
        Why a mount that needs it is not mounted anew; None if it does not need it.
    """

    path: Path
    probes: int
    healed: int
    failed: int
    events: tuple[str, ...]
    running: bool
    held: str | None = None


def _nothing_pending() -> Sequence[Path]:
    """Know of no writes that wait."""
    return ()


def _always() -> str | None:
    """Let it heal at any time."""
    return None


class Watcher:
    """Asks a mount every few seconds whether it is there, and heals it.

    Parameters
    ----------
    path
        Where it is mounted.
    remount
        Mounts it anew, whatever is there; raises if that fails. An error that is not
        `retryable` ends the attempts until the mount is there again.
    notify
        Shows a sentence to the user; called in the thread of the watcher.
    pending
        Returns the files whose writes are not on Google's servers yet, in bounded time.
    interval_s
        Between two probes.
    timeout_s
        How long the mount may take to answer.
    clock
        Of the machine; with it the watcher warns before the machine ends.
    wait_for
        Returns why mounting anew has to wait, or None. On Colab the question for consent
        must not meet a cell that reads the keyboard.
    """

    def __init__(  # noqa: PLR0913 (by keyword)
        self,
        path: Path,
        *,
        remount: Callable[[], object],
        notify: Callable[[str], object],
        pending: Callable[[], Sequence[Path]] = _nothing_pending,
        interval_s: float = INTERVAL_S,
        timeout_s: float = WATCH_TIMEOUT_S,
        clock: VmClock | None = None,
        wait_for: Callable[[], str | None] = _always,
    ) -> None:
        self._path = Path(os.path.abspath(path))  # noqa: PTH100 (resolve() would touch it)
        self._remount, self._notify, self._clock = remount, notify, clock
        self._pending_of, self._wait_for = pending, wait_for
        self._interval_s, self._timeout_s = interval_s, timeout_s
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._healing = threading.Lock()
        self._place = WorkingDirectory(self._path)
        self._probes = self._healed = self._failed = 0
        self._events: deque[str] = deque(maxlen=_EVENTS)
        self._noting = threading.Lock()
        self._held: str | None = None
        self._told: Health = Health.ALIVE
        self._next_heal = 0.0
        self._failures_in_a_row = 0
        self._known_pending: tuple[Path, ...] | None = None
        self._looked_for_pending = -_PENDING_EVERY_S
        self._warned_of_end = False

    def start(self) -> None:
        """Begin to watch, in one thread that ends with the process."""
        thread = self._thread
        if thread is not None and thread.is_alive():
            if not self._ended.is_set():
                return
            thread.join()  # it was stopped, and ends: it would not watch any longer
        self._ended.clear()
        self._thread = threading.Thread(
            target=self._run, name="colabmagic-drive-watch", daemon=True
        )
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the thread; one that is mounting anew ends after that.

        Parameters
        ----------
        timeout_s
            How long to wait for its end.
        """
        self._ended.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def status(self) -> WatchStatus:
        """Return what was seen and done; asks nothing."""
        thread = self._thread
        with self._noting:
            events = tuple(self._events)
        return WatchStatus(
            path=self._path,
            probes=self._probes,
            healed=self._healed,
            failed=self._failed,
            events=events,
            running=thread is not None and thread.is_alive(),
            held=self._held,
        )

    def check_now(self) -> Probe:
        """Ask the mount, in this thread, and heal it if that is needed and not under way."""
        answer = self._ask(self._timeout_s)
        if self._healing.acquire(blocking=False):
            try:
                return self._treat(answer)
            finally:
                self._healing.release()
        return answer

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Only ask meanwhile: the user mounts by hand; what is under way ends before."""
        with self._healing:
            yield

    def come_back(self) -> None:
        """Go back to the working directory that healing has left, if the mount is there again."""
        why = self._come_back()
        if why is not None:
            self._say(why)

    # --- the thread -------------------------------------------------------------------

    def _run(self) -> None:
        """Ask at fixed times: a slow answer does not move the next question."""
        due = time.monotonic()
        while not self._ended.is_set():
            try:
                self.check_now()
                self._warn_of_end()
            except Exception as error:  # noqa: BLE001 (watching goes on)
                self._note(f"the watcher failed: {type(error).__name__}")
            due += self._interval_s
            behind = time.monotonic() - due
            if behind > 0:  # what was missed is not made up for
                due += -(-behind // self._interval_s) * self._interval_s
            self._ended.wait(max(0.0, due - time.monotonic()))

    def _ask(self, timeout_s: float) -> Probe:
        """Ask the mount once."""
        answer = probe(self._path, timeout_s)
        self._probes += 1
        return answer

    def _treat(self, answer: Probe) -> Probe:
        """Do what an answer asks for; return the last answer there is."""
        if answer.health is Health.ALIVE:
            self._alive()
            return answer
        if self._ended.is_set():
            return answer
        # What an attempt of ours has taken away is no mount that the user has ended.
        taken = answer.health is Health.ABSENT and self._failures_in_a_row > 0
        if not taken:
            self._tell_once(answer)
            if answer.health in {Health.ABSENT, Health.FAILING}:
                return answer
        if time.monotonic() < self._next_heal:
            return answer
        if answer.health is Health.HUNG:  # slow once is not hung
            answer = self._ask(self._timeout_s)
            if answer.health is Health.ALIVE:
                self._alive()
            if answer.health not in {Health.HUNG, Health.DEAD} or self._ended.is_set():
                return answer
        return self._heal(answer)

    def _alive(self) -> None:
        """Note that it answers."""
        if self._told is not Health.ALIVE:
            self._say(f"Drive at {self._name} answers again.")
        self._told, self._held = Health.ALIVE, None
        self._next_heal, self._failures_in_a_row = 0.0, 0
        self.come_back()
        now = time.monotonic()
        if now - self._looked_for_pending >= _PENDING_EVERY_S:
            self._looked_for_pending = now
            with contextlib.suppress(Exception):  # then the last known ones count
                self._known_pending = tuple(self._pending_of())

    # --- healing ----------------------------------------------------------------------

    def _heal(self, answer: Probe) -> Probe:
        """Mount anew, unless something speaks against it."""
        reason = self._wait_for()
        if reason is None and answer.health is Health.HUNG:
            reason = self._writes_at_risk()
        if reason is not None:
            self._hold(reason)
            return answer
        self._held = None
        began = time.monotonic()
        if not self._failures_in_a_row:  # else it was said at the first attempt
            self._say_what_is_lost(answer)
        self._place.leave()
        try:
            self._remount()
            answer = self._ask(self._timeout_s)
            if answer.health is not Health.ALIVE:
                self._failed_to_heal(f"after mounting: {answer.seen}", again=True)
                return answer
        except Exception as error:  # noqa: BLE001 (said, and tried again later)
            again = bool(getattr(error, "retryable", True))
            self._failed_to_heal(error_in_words(error), again=again)
            return answer
        self._healed += 1
        self._told = Health.ALIVE
        self._next_heal, self._failures_in_a_row = 0.0, 0
        self._known_pending = ()
        took = time.monotonic() - began
        why = self._come_back()  # first: a cell that hears of it may need its folder
        self._say(f"Drive at {self._name} is mounted anew, after {took:.1f} s.")
        if why is not None:
            self._say(why)
        return answer

    def _failed_to_heal(self, reason: str, *, again: bool) -> None:
        """Say that mounting anew failed, and when it is tried again."""
        self._failed += 1
        wait_s = min(_LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * 2**self._failures_in_a_row)
        self._failures_in_a_row += 1
        self._next_heal = time.monotonic() + wait_s if again else float("inf")
        then = f"It is tried again in {wait_s:.0f} s; or" if again else "To try again,"
        self._say(
            f"Drive at {self._name} could not be mounted anew: {reason}. "
            f"{then} type {self._command}"
        )

    def _writes_at_risk(self) -> str | None:
        """Return why a mount that hangs is left alone: writes that a remount would kill."""
        waiting = None if self._known_pending is None else list(self._known_pending)
        with contextlib.suppress(Exception):  # then only what was known before counts
            found = self._pending_of()
            waiting = list(dict.fromkeys([*found, *(waiting or ())]))
        if waiting is None:
            return (
                "nobody knows whether writes still wait in it. They are lost if it is "
                f"mounted anew; to do that, type {self._command} --force"
            )
        if waiting:
            return (
                f"{named(waiting)} may not be on Google's servers yet, and would be lost. "
                "Wait, or keep a copy outside of Drive; then, to mount it anew all the same, "
                f"type {self._command} --force"
            )
        return None

    def _hold(self, reason: str) -> None:
        """Say once why nothing is done."""
        if self._held != reason:
            self._held = reason
            self._say(f"Drive at {self._name} is not mounted anew yet: {reason}.")

    def _say_what_is_lost(self, answer: Probe) -> None:
        """Say, before, what no remount brings back."""
        lost = []
        waiting = list(self._known_pending or ())
        if answer.health is Health.DEAD:  # nothing is left that could be killed
            with contextlib.suppress(Exception):
                waiting += [path for path in self._pending_of() if path not in waiting]
        if waiting:
            lost.append(
                f"{named(waiting)} may never reach Google's servers: "
                "look with %mount_drive --sync"
            )
        elif answer.health is Health.HUNG and self._pending_of is not _nothing_pending:
            lost.append(
                "No write is known to wait in it; one of the last minute may be lost: "
                "look with %mount_drive --sync"
            )
        broken = open_files(self._path)
        if broken:
            lost.append(f"{named(broken)} stays broken where it is open: open it again")
        if lost:
            self._say(
                f"Drive at {self._name} is {answer.health.value}. {'. '.join(lost)}."
            )

    def _come_back(self) -> str | None:
        """Go back to the working directory that was left, if one was; say why it fails."""
        left = self._place.left
        reason = self._place.come_back(self._timeout_s)
        if reason is None:
            return None
        return (
            f"The working directory {quoted(left)} cannot be entered: {reason}. "
            f"It is {quoted(Path.cwd())} now."
        )

    # --- telling ----------------------------------------------------------------------

    @property
    def _name(self) -> str:
        """The path, as it may be shown."""
        return shown(self._path)

    @property
    def _command(self) -> str:
        """What mounts it by hand."""
        return f"%mount_drive {quoted(self._path)}"

    def _tell_once(self, answer: Probe) -> None:
        """Say how a mount fares, when that is new."""
        if self._told is answer.health:
            return
        self._told = answer.health
        what = {
            Health.DEAD: f"is dead ({answer.seen})",
            Health.HUNG: f"does not answer ({answer.seen})",
            Health.FAILING: f"fails ({answer.seen}): %mount_drive --doctor says why",
            Health.ABSENT: f"is not mounted any more. To have it again, type {self._command}",
        }[answer.health]
        self._say(f"Drive at {self._name} {what}.")

    def _warn_of_end(self) -> None:
        """Say once that the machine ends soon."""
        if self._clock is None:
            return
        warning = self._clock.warning()
        if warning is not None and not self._warned_of_end:
            self._say(warning)
        self._warned_of_end = warning is not None

    def _say(self, text: str) -> None:
        """Note an event and show it; who shows it may fail."""
        self._note(text)
        with contextlib.suppress(Exception):
            self._notify(text)

    def _note(self, text: str) -> None:
        """Note an event with the time of day."""
        with self._noting:
            self._events.append(f"{time.strftime('%H:%M:%S')} {text}")

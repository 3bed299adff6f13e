"""How the beats stand: an object that renders itself."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, ClassVar, Final

from colabmagic.keepalive.options import in_words
from colabmagic.report.document import Document
from colabmagic.report.model import NOTE, Code, Field, Finding, Report, Severity
from colabmagic.report.plain import to_plain

MIME_TYPE: Final = "application/vnd.colabmagic.keepalive+json"
TITLE: Final = "keepalive"


class Phase(Enum):
    """What the thread does."""

    WAITING = "waiting"  # for work
    BEATING = "beating"
    LEAVING = "leaving"  # the machine is given back soon
    ENDED = "ended"


class Cause(Enum):
    """Why it has ended."""

    NONE = ""
    USER = "stopped"
    REPLACED = "replaced"
    UNLOADED = "unloaded"
    WORK = "work-ended"
    BOUND = "bound"
    MACHINE = "machine"
    LEFT = "left"
    FAILED = "failed"

    def told(self, rests: bool) -> str:  # noqa: FBT001 (one thing to know)
        """Return it in words.

        Parameters
        ----------
        rests
            Whether it begins again with work.
        """
        if self is Cause.WORK and not rests:
            return "the work has ended"
        return _CAUSES[self]


_CAUSES: Final = {
    Cause.NONE: "it was never started",
    Cause.USER: "you stopped it",
    Cause.REPLACED: "a newer %keepalive took its place",
    Cause.UNLOADED: "the extension was unloaded",
    Cause.WORK: "the work has ended; it begins again when a cell or a job runs",
    Cause.BOUND: "the time that was set is over; to go on, type %keepalive",
    Cause.MACHINE: "the machine reaches its end",
    Cause.LEFT: "all was done, and the machine was given back",
    Cause.FAILED: "its thread failed",
}


def clock_time(wall: float) -> str:
    """Return Unix time as ``18:03 UTC``: few kernels have the clock of their user."""
    then, now = time.localtime(wall), time.localtime()
    return time.strftime("%H:%M %Z" if then[:3] == now[:3] else "%b %d %H:%M %Z", then)


@dataclass(frozen=True, kw_only=True)
class KeepaliveStatus(Document):
    """How it stands at one time.

    Attributes
    ----------
    running
        Whether it is on: it beats, or waits for work.
    phase
        ``off``, ``waiting``, ``beating``, ``leaving`` or ``ended``.
    beats, failed_beats, missed_beats
        How many were sent, could not be sent, and were slept through.
    started, last, next, expires
        Unix times; None where there is none.
    expires_with_machine
        Whether the end is that of the machine.
    rests
        Whether it has ended for want of work, and begins again with the next cell.
    reason
        Why it beats, waits, or has ended.
    cause
        The same of the end, as one word for programs.
    notify
        Where it posts to, without what is secret.
    hooks
        What became of the functions before the end.
    notes
        What is worth knowing.
    place
        Where this runs.
    advice
        What keeps a notebook alive there, and what does not.
    """

    mime_type: ClassVar[str] = MIME_TYPE

    running: bool = False
    phase: str = "off"
    beats: int = 0
    failed_beats: int = 0
    missed_beats: int = 0
    every_s: float = 0.0
    while_: str = "busy"
    then: str = "nothing"
    started: float | None = None
    last: float | None = None
    next: float | None = None
    expires: float | None = None
    expires_with_machine: bool = False
    rests: bool = False
    reason: str = "type %keepalive to start it"
    cause: str = ""
    notify: str | None = None
    hooks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    place: str = ""
    advice: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it does what it was asked for."""
        return self.running and not (self.failed_beats and not self.beats)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {each.name: to_plain(getattr(self, each.name)) for each in fields(self)}

    @property
    def headline(self) -> str:
        """Return it in one line."""
        return self._top().headline

    def __repr__(self) -> str:
        """Return it in one line."""
        return f"<{self.headline}>"

    def view(self) -> Report:
        """Return what a person sees."""
        top = self._top()
        return Report(
            title=top.title,
            verdict=top.verdict,
            summary=top.summary,
            findings=(*self._failures(), *self._findings()),
            fields=self._fields(),
        )

    def _top(self) -> Report:
        """Return the headline's parts."""
        if self.running and self.expires is not None:
            # Not a word of what it does just now: this line stays in the notebook.
            verdict = f"on until {clock_time(self.expires)}"
            summary = f"a beat each {in_words(self.every_s)}, {_WHILE[self.while_]}"
            return Report(title=TITLE, verdict=verdict, summary=summary)
        if self.phase == "off":
            return Report(title=TITLE, verdict="off", summary=self.reason)
        verdict = "resting" if self.rests else "ended"
        summary = f"{self.reason}; {_counted(self.beats)}"
        return Report(title=TITLE, verdict=verdict, summary=summary)

    def _failures(self) -> tuple[Finding, ...]:
        """Return what went wrong."""
        if not self.failed_beats:
            return ()
        return (
            Finding(
                code="beats-failed",
                severity=Severity.WARN,
                title=f"{_counted(self.failed_beats)} could not be sent",
                fix=("Restart the kernel, then type:", Code("%keepalive")),
            ),
        )

    def _findings(self) -> tuple[Finding, ...]:
        """Return reason, notes, hooks and advice."""
        notes = [f"{self.reason}"] if self.running else []
        notes += [note for note in self.notes if note != self.reason]
        notes += [f"before the end: {each}" for each in self.hooks]
        notes += self.advice
        return tuple(
            Finding(code=NOTE, severity=Severity.INFO, title=note)
            for note in dict.fromkeys(notes)  # what failed was told as it failed, too
        )

    def _fields(self) -> tuple[Field, ...]:
        """Return the figures."""
        if self.phase == "off":
            return ()
        found = [Field(label="beats", value=str(self.beats))]
        for label, value in (("last", self.last), ("next", self.next)):
            if value is not None:
                shown = time.strftime("%H:%M:%S", time.localtime(value))
                found.append(Field(label=label, value=shown))
        if self.missed_beats:
            found.append(Field(label="slept through", value=str(self.missed_beats)))
        if self.notify:
            found.append(Field(label="posts to", value=self.notify))
        return tuple(found)


def _counted(beats: int) -> str:
    """Return a number of beats in words."""
    return "1 beat" if beats == 1 else f"{beats} beats"


_WHILE: Final = {
    "busy": "only while something runs",
    "gpu": "only while a GPU is used",
    "always": "also while nothing runs",
}

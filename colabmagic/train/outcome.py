"""What a cell did: plain data, and its two lines."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from colabmagic.report.document import Document
from colabmagic.report.plain import to_plain
from colabmagic.report.size import in_words
from colabmagic.train.card import card

if TYPE_CHECKING:
    from collections.abc import Container

    from colabmagic.report.model import Report
    from colabmagic.train.comparison import Comparison
    from colabmagic.train.loop_advice import LoopAdvice


LEFT_BEHIND = "could not leave"
_MANY_NAMES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOutcome(Document):
    """What happened in one ``%%train_on`` cell.

    Attributes
    ----------
    device
        Where it ran.
    requested
        What was asked for.
    fallback
        Why it ran on the CPU instead; None if it did not.
    moved
        The names whose values went to the device, each with its size in words.
    moved_bytes
        How much was copied to the device at entry and while the cell ran.
    batches
        How many batches loaders gave.
    seconds
        Wall clock of the cell.
    peak_bytes
        Highest memory in use on the device; None where it does not tell.
    kept
        Whether things were left on the device.
    error
        Name of the exception that ended the cell; None if it ended well.
    notes
        What the user should know.
    result
        Value of the last expression, on the CPU.
    standing
        Whether the device is on for all cells.
    passes
        How often the cell went through a loader, begun passes included.
    loop_s
        Seconds from the first batch that was asked for to the last that came.
    wait_s
        Those of them in which the cell waited for a loader.
    transfer_s
        Those of them in which batches were sent to the device.
    rates
        Batches a second over the time, from the oldest to the newest.
    busy_percent
        How busy the device was on average; None where nobody tells.
    advice
        The one thing that would make the loop faster; None if none is sure.
    nan_step
        The first step whose loss was not finite, as ``--nan-guard`` saw it; else None.
    last_finite_step
        The last step before it whose loss was finite; 0 if there was none.
    nan_batch
        What the loader gave for that step, on the CPU; None where it was not kept.
    comparison
        How fast another device is (``--compare``); None if nobody asked.
    """

    mime_type: ClassVar[str] = "application/vnd.colabmagic.train+json"

    device: str
    requested: str
    fallback: str | None
    moved: tuple[str, ...]
    moved_bytes: int
    batches: int
    seconds: float
    peak_bytes: int | None
    kept: bool
    error: str | None
    notes: tuple[str, ...]
    result: Any = None
    standing: bool = False
    passes: int = 0
    loop_s: float = 0.0
    wait_s: float = 0.0
    transfer_s: float = 0.0
    rates: tuple[float, ...] = ()
    busy_percent: float | None = None
    advice: LoopAdvice | None = None
    nan_step: int | None = None
    last_finite_step: int | None = None
    nan_batch: Any = field(default=None, repr=False)
    comparison: Comparison | None = None

    def view(self) -> Report:
        """Return the card."""
        return card(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; the cell's own value and batch are not in it."""
        plain: dict[str, Any] = to_plain(replace(self, result=None, nan_batch=None))
        del plain["result"], plain["nan_batch"]
        return plain

    def entry_line(self, told: Container[str] = ()) -> str:
        """Return the line that is printed when the cell begins.

        Parameters
        ----------
        told
            Reasons for a fallback that the user has read in full already.
        """
        if self.fallback is not None:
            line = f"train_on {self.requested}: running on the CPU. "
            if self.fallback in told:
                first, _, rest = self.fallback.partition(". ")
                return f"{line}{first} (more: %gpu_check)" if rest else line + first
            return line + self.fallback
        if self.device == "cpu":
            return "train_on cpu: running on the CPU"
        if not self.moved:
            return f"train_on {self.device}: nothing to move yet"
        listed = ", ".join(self.moved)
        return f"train_on {self.device}: moved {listed} ({in_words(self.moved_bytes)})"

    def exit_line(self, told: Container[str] = ()) -> str:
        """Return the line that is printed when the cell has ended.

        Parameters
        ----------
        told
            Notes that the user has read already.
        """
        notes = [f"  note: {note}" for note in self.notes if note not in told]
        state = "done" if self.error is None else f"stopped by {self.error}"
        line = f"train_on {self.device}: {state}, {self.in_short()}"
        return "\n".join([line, *notes])

    def in_short(self) -> str:
        """Return time, batches, memory and where everything is, with commas between."""
        parts = [f"{self.seconds:.1f} s"]
        if self.batches:
            parts.append("1 batch" if self.batches == 1 else f"{self.batches} batches")
        if self.peak_bytes:
            parts.append(f"peak {in_words(self.peak_bytes)}")
        if self.device != "cpu":
            parts.append(
                "everything stays there until %train_on off"
                if self.standing
                else f"left on {self.device} (--keep)"
                if self.kept
                else "back on the CPU, but for what the note says"
                if any(LEFT_BEHIND in note for note in self.notes)
                else "everything is back on the CPU"
            )
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainState:
    """Whether later cells run on a device.

    Attributes
    ----------
    device
        Where they run; None while it is off.
    fallback
        Why that is the CPU though another device was asked for.
    cells
        How many cells have run there.
    seconds
        How long it has been on.
    there
        The user's names whose values are there.
    there_bytes
        Bytes that were moved there and still are.
    kept
        The user's names whose values a cell with ``--keep`` has left on a device.
    """

    device: str | None = None
    fallback: str | None = None
    cells: int = 0
    seconds: float = 0.0
    there: tuple[str, ...] = ()
    there_bytes: int = 0
    kept: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the state in words, and what to type."""
        if self.device is None and self.kept:
            return (
                "train_on is off: cells run on the CPU; left on a device by --keep: "
                f"{', '.join(self.kept)}\n  %train_on off brings that home"
            )
        if self.device is None:
            return (
                "train_on is off: cells run on the CPU\n"
                "  for one cell: %%train_on auto as its first line; "
                "for all later cells: %train_on auto"
            )
        line = f"train_on {self.device} is on for all later cells, {self.cells} so far"
        if self.fallback is not None:
            reason = self.fallback.partition(". ")[0].rstrip(".")
            line += f" (on the CPU: {reason}; more: %gpu_check)"
        if self.there:
            names = ", ".join(self.there[:_MANY_NAMES])
            rest = len(self.there) - _MANY_NAMES
            more = f" and {rest} more" if rest > 0 else ""
            line += f"; there: {names}{more} ({in_words(self.there_bytes)})"
        return line + "\n  %train_on off ends it and brings everything home"

    __repr__ = __str__

"""What a cell did: plain data, and its two lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from colabmagic.report.size import in_words

if TYPE_CHECKING:
    from collections.abc import Container


LEFT_BEHIND = "could not leave"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOutcome:
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
    """

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
        parts = [f"{self.seconds:.1f} s"]
        if self.batches:
            parts.append(f"{self.batches} batches")
        if self.peak_bytes:
            parts.append(f"peak {in_words(self.peak_bytes)}")
        if self.device != "cpu":
            parts.append(
                f"left on {self.device} (--keep)"
                if self.kept
                else "back on the CPU, but for what the note says"
                if any(LEFT_BEHIND in note for note in self.notes)
                else "everything is back on the CPU"
            )
        notes = [f"  note: {note}" for note in self.notes if note not in told]
        state = "done" if self.error is None else f"stopped by {self.error}"
        line = f"train_on {self.device}: {state}, " + ", ".join(parts)
        return "\n".join([line, *notes])

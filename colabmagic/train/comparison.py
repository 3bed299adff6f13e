"""How long a step takes on two devices: plain data, a table, and one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from colabmagic.report.document import Document
from colabmagic.report.model import Field, Report, Table
from colabmagic.report.plain import to_plain

if TYPE_CHECKING:
    from colabmagic.train.trial import StepTimes

_MINUTE_S = 60
_SHORT_S = 10.0
_FEW = 5  # steps: one slow one among them decides
_MILLISECOND_S = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Document):
    """The first steps of a cell on two devices, and what that means for the whole.

    Attributes
    ----------
    device
        Where the whole cell ran.
    other
        The device that it was compared with.
    whole_s
        How long the whole cell took on `device`; None if it did not end well.
    other_whole_s
        How long it would have taken on `other`, by its steps; None as above.
    steps
        Steps of the whole cell.
    """

    mime_type: ClassVar[str] = "application/vnd.colabmagic.comparison+json"

    device: StepTimes
    other: StepTimes
    whole_s: float | None = None
    other_whole_s: float | None = None
    steps: int = 0

    @property
    def speed_up(self) -> float:
        """How many times as fast a step is on `device`."""
        return self.other.step_s / max(self.device.step_s, 1e-9)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        plain: dict[str, Any] = to_plain(self)
        return plain | {"speed_up": self.speed_up}

    def line(self) -> str:
        """Return the line to print before the whole cell runs."""
        unit = self.device.unit
        what = "the cell takes" if unit == "cell" else f"a {unit} takes"
        return (
            f"train_on compare: {what} {duration(self.device.step_s)} on "
            f"{self.device.device} and {duration(self.other.step_s)} on "
            f"{self.other.device} "
            f"({_times(self.speed_up)}{self._doubt()}); now the whole cell"
        )

    def _doubt(self) -> str:
        """Return on how few steps the figures rest; "" where they are enough."""
        timed = min(self.device.timed, self.other.timed)
        if self.device.unit == "cell" or timed >= _FEW:
            return ""
        return f", by {timed} {self.device.unit}{'s' if timed > 1 else ''} only"

    def view(self) -> Report:
        """Return the table."""
        unit = self.device.unit
        columns = ["Device", f"Time of a {unit}", "Speed"]
        if unit != "cell":
            columns.insert(1, f"{unit.capitalize()}s timed")
        rows = []
        for each, speed in (
            (self.other, "1.0x"),
            (self.device, _factor(self.speed_up)),
        ):
            row = [each.device, duration(each.step_s), speed]
            if unit != "cell":
                row.insert(1, str(each.timed))
            rows.append(row)
        if self.whole_s is not None and self.other_whole_s is not None:
            columns.append("Whole cell")
            rows[0].append(f"about {clock(self.other_whole_s)}")
            rows[1].append(clock(self.whole_s))
        fields = []
        if self.device.skipped:
            fields.append(
                Field(
                    label="Not timed:",
                    value=f"the first {self.device.skipped}, in which a device warms up",
                )
            )
        return Report(
            title="train_on compare",
            verdict=f"{self.device.device} is {_times(self.speed_up)}{self._doubt()}",
            summary="",
            tables=(
                Table(
                    caption="The same cell from the same state",
                    columns=tuple(columns),
                    rows=tuple(tuple(row) for row in rows),
                ),
            ),
            fields=tuple(fields),
        )


def _factor(speed_up: float) -> str:
    """Return a speed-up in few letters."""
    digits = 2 if speed_up < 1 else 1
    return f"{speed_up:.{digits}f}x"


def _times(speed_up: float) -> str:
    """Return a speed-up in words."""
    factor = f"{max(speed_up, 1 / speed_up):.1f}"
    if factor == "1.0":
        return "as fast as the other"
    return f"{factor} times as {'slow' if speed_up < 1 else 'fast'}"


def duration(seconds: float) -> str:
    """Return a short time with its unit."""
    if seconds >= _SHORT_S:
        return f"{seconds:.0f} s"
    if seconds >= 1:
        return f"{seconds:.1f} s"
    if seconds >= _MILLISECOND_S:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds * 1e6:.3g} us"


def clock(seconds: float) -> str:
    """Return a time as hours, minutes and seconds; a short one with its unit."""
    if seconds < _SHORT_S:
        return duration(seconds)
    whole = round(seconds)
    minutes, rest = divmod(whole, _MINUTE_S)
    hours, minutes = divmod(minutes, _MINUTE_S)
    return f"{hours:02}:{minutes:02}:{rest:02}"

"""How the readings of a live view are laid out: the numbers, and charts of letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from colabmagic.gpu.live.sources import CPU
from colabmagic.gpu.rules.advice import gib
from colabmagic.report.chart import GAP, sparkline, squeeze
from colabmagic.report.model import Field, Report, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from colabmagic.gpu.live.sources import Reading

    History = list[tuple[float, Reading]]  # of one device: seconds, and what was read

_NARROW: Final = 30  # letters of a chart below the numbers …
_WIDE: Final = 15  # … and beside them: then a row of an H200 fits a page
_UNKNOWN: Final = "?"
_NOT_MEASURED: Final = "-"

# Device, name, use, memory, temperature, power: now, and in the end over all readings.
_NOW: Final = ("Device", "Name", "Use", "Memory used", "Temp", "Power")
_OVERALL: Final = (
    "Device",
    "Name",
    "Mean use",
    "Peak memory",
    "Max temp",
    "Mean power",
)
_CHARTED: Final = (2, 3)  # the columns that have a chart: use, memory


def frame(
    histories: list[History],
    *,
    ended: bool,
    wide: bool,
    summary: str,
    remarks: Iterable[Field] = (),
) -> Report:
    """Return what is shown at one moment.

    Parameters
    ----------
    wide
        Put the charts beside the numbers, as fits a page; else below, as fits a
        terminal of 80 columns.
    remarks
        What is to be said below the tables, beside what is wrong with one device.
    """
    head = _OVERALL if ended else _NOW
    return Report(
        title="GPU live",
        verdict="ENDED" if ended else "RUNNING",
        summary=summary,
        tables=(_wide if wide else _narrow)(head, histories, ended=ended),
        fields=(*_problems(histories), *remarks),
    )


def numbers(history: History, *, ended: bool) -> tuple[str, ...]:
    """Return the cells of one device without its charts.

    Parameters
    ----------
    ended
        Sum up all readings instead of telling the newest.
    """
    readings = [reading for _, reading in history]
    newest = readings[-1]
    looked_at = readings if ended else [newest]
    none = _NOT_MEASURED if newest.device == CPU else _UNKNOWN

    def value(field: str, pick: Callable[[list[float]], float]) -> float | None:
        """Return one value of those that could be read."""
        known = [getattr(one, field) for one in looked_at]
        known = [one for one in known if one is not None]
        return pick(known) if known else None

    return (
        newest.device,
        newest.name,
        _number(value("use_percent", mean), "%", _UNKNOWN),
        _memory(value("memory_used_bytes", max), value("memory_total_bytes", max)),
        _number(value("temperature_c", max), " °C", none),
        _power(value("power_w", mean), value("power_limit_w", max), none),
    )


def mean(values: list[float]) -> float:
    """Return the average."""
    return sum(values) / len(values)


def seconds(value: float) -> str:
    """Return a time that has passed, without needless digits."""
    return f"{value:.1f}".removesuffix(".0")


def _charts(history: History, width: int, *, ended: bool) -> tuple[str, str]:
    """Return use and memory over time; of many readings a share makes one letter."""
    readings = [reading for _, reading in history]
    uses = squeeze([one.use_percent for one in readings], width, mean)
    used = squeeze([one.memory_used_bytes for one in readings], width)
    total = max(one.memory_total_bytes or 0 for one in readings)
    charts = sparkline(uses, 100), sparkline(used, total)
    # Padded, so that columns keep their place while the charts grow.
    padding = 0 if ended else width
    return charts[0].ljust(padding, GAP), charts[1].ljust(padding, GAP)


def _measured(rows: list[tuple[str, ...]]) -> list[int]:
    """Return the columns that say something; a processor alone has no temperature."""
    columns = list(zip(*rows, strict=True))
    return [n for n, column in enumerate(columns) if set(column) != {_NOT_MEASURED}]


def _wide(
    head: tuple[str, ...], histories: list[History], *, ended: bool
) -> tuple[Table, ...]:
    """Return one table, each chart beside its number."""
    rows = [numbers(history, ended=ended) for history in histories]
    kept = _measured(rows)
    body = []
    for row, history in zip(rows, histories, strict=True):
        charts = dict(zip(_CHARTED, _charts(history, _WIDE, ended=ended), strict=True))
        cells = [f"{charts[n]} {row[n]}" if n in charts else row[n] for n in kept]
        # Only names may be broken into lines: a broken number is no number.
        body.append((*cells[:2], *(_unbroken(cell) for cell in cells[2:])))
    return _tables("Devices", tuple(head[n] for n in kept), body)


def _narrow(
    head: tuple[str, ...], histories: list[History], *, ended: bool
) -> tuple[Table, ...]:
    """Return a table of numbers, and one of charts."""
    rows = [numbers(history, ended=ended) for history in histories]
    kept = _measured(rows)
    body = [tuple(row[n] for n in kept) for row in rows]
    below = [
        (row[0], *_charts(history, _NARROW, ended=ended))
        for row, history in zip(rows, histories, strict=True)
    ]
    return (
        *_tables("Devices", tuple(head[n] for n in kept), body),
        *_tables("History", (head[0], "Use over time", "Memory over time"), below),
    )


def _tables(
    caption: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> tuple[Table, ...]:
    """Return a table, or none where there is nothing to put in."""
    if not rows:
        return ()
    return (Table(caption=caption, columns=columns, rows=tuple(rows)),)


def _unbroken(text: str) -> str:
    """Return a text that stays on one line."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _problems(histories: list[History]) -> Iterable[Field]:
    """Yield what is wrong with single devices."""
    for history in histories:
        problem = _problem(history)
        if problem:
            yield Field(label=f"{history[-1][1].device}: PROBLEM:", value=problem)


def _problem(history: History) -> str | None:
    """Say what keeps a device from answering, and since when."""
    problem = history[-1][1].problem
    if problem is None:
        return None
    since: float | None = None
    for at, reading in reversed(history):
        if reading.problem is None:
            return f"{problem}, since second {seconds(since or at)}"
        since = at
    return problem


def _number(value: float | None, unit: str, none: str) -> str:
    """Return a number with its unit."""
    return none if value is None else f"{value:.0f}{unit}"


def _memory(used: float | None, total: float | None) -> str:
    """Return memory used and there."""
    if total is None:
        return _UNKNOWN
    shown = _UNKNOWN if used is None else gib(round(used)).removesuffix(" GiB")
    return f"{shown} of {gib(round(total))}"


def _power(drawn: float | None, limit: float | None, none: str) -> str:
    """Return power drawn and allowed."""
    if drawn is None:
        return none
    return f"{drawn:.0f} W" if limit is None else f"{drawn:.0f} of {limit:.0f} W"

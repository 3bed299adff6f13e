"""Reports as plain text of at most 80 columns."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from colabmagic.report.model import Code

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from colabmagic.report.model import Finding, Listing, Report, Table

WIDTH = 80
_GAP = "  "
_MARGIN = "  "
_CODE_MARGIN = "      "
COMMANDS = ("%", "!", "python ", "pip ", "sudo ")
_NARROWEST = 6  # a column is not squeezed below this
_HARD_BLANK = "\xa0"  # no line ends there
_UNIT = re.compile(r"(?<!\w)(\d[\d.,]*) (?=[^\W\d_])")  # a figure, and what it counts
_STEP = re.compile(r"[^/]*/+|[^/]+")


def render_text(report: Report, width: int = WIDTH) -> str:
    """Return the whole report as text; only what can be typed is longer than `width`."""
    blocks = [
        _wrap("", clean(report.headline), width),
        *(_render_finding(finding, width) for finding in report.findings),
        *(_render_table(table, width) for table in report.tables),
        *(_render_listing(listing) for listing in report.listings),
        _render_fields(report, width),
    ]
    return "\n".join(line for block in blocks for line in block)


def clean(text: str) -> str:
    """Make foreign text safe for a terminal: one line, no control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


class _Wrapper(textwrap.TextWrapper):
    """Breaks words that are longer than a line at their slashes, where they have some."""

    def _split(self, text: str) -> list[str]:
        """Return the pieces between which a line may end."""
        room = self.width - len(self.subsequent_indent)
        pieces = super()._split(text)
        return [
            part
            for piece in pieces
            for part in (_STEP.findall(piece) if len(piece) > room else [piece])
        ]


def wrapped(text: str, width: int, *, label: str = "") -> list[str]:
    """Wrap text; figures stay with their units, and names in paths whole.

    Parameters
    ----------
    text
        One line.
    width
        Most columns.
    label
        What the first line begins with; the others are indented as far.
    """
    wrapper = _Wrapper(
        width,
        initial_indent=label,
        subsequent_indent=" " * len(label),
        break_on_hyphens=False,
    )
    lines = wrapper.wrap(_UNIT.sub(rf"\1{_HARD_BLANK}", text))
    return [line.replace(_HARD_BLANK, " ") for line in lines]


def _wrap(label: str, text: str, width: int) -> list[str]:
    """Wrap text behind a label."""
    return wrapped(text, width, label=label) or [label.rstrip()]


def _render_finding(finding: Finding, width: int) -> list[str]:
    """Return the lines of a finding: what, why we think so, what to do."""
    title = finding.caption
    labelled = (
        (finding.severity.word, (title,)),
        ("Seen", finding.evidence),
        ("Fix", finding.fix),
    )
    return [
        line
        for label, entries in labelled
        for number, entry in enumerate(entries)
        for line in _render_entry("" if number else label, entry, width)
    ]


def _render_entry(label: str, entry: str, width: int) -> list[str]:
    """Return the lines of one entry; a command stays on one line, to be copied."""
    if isinstance(entry, Code):
        return [*([f"  {label}"] if label else []), f"{_CODE_MARGIN}{clean(entry)}"]
    entry = clean(entry)
    lines = _wrap(f"  {label:<8}", entry, width)
    if len(lines) == 1 or not entry.startswith(COMMANDS):
        return lines
    if len(entry) + len(_MARGIN) > width:
        return lines
    return [*([f"  {label}"] if label else []), f"{_MARGIN}{entry}"]


def _render_table(table: Table, width: int) -> list[str]:
    """Return the lines of a table, cells wrapped where it is too wide."""
    rows = [table.columns, *table.rows]
    cleaned = [tuple(clean(cell) for cell in row) for row in rows]
    widths = _fit(
        [max(map(len, column)) for column in zip(*cleaned, strict=True)], width
    )
    return [line for row in cleaned for line in _render_row(row, widths)]


def _render_listing(listing: Listing) -> list[str]:
    """Return the lines under their caption, each on one line."""
    lines = (f"{_CODE_MARGIN}{clean(line)}" for line in listing.lines)
    return [f"{_MARGIN}{clean(listing.caption)}", *lines]


def _fit(widths: Sequence[int], limit: int) -> list[int]:
    """Narrow the widest columns until the table fits."""
    fitted = list(widths)
    room = limit - len(_GAP) * (len(fitted) - 1)
    while sum(fitted) > room and max(fitted) > _NARROWEST:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def _render_row(cells: Sequence[str], widths: Sequence[int]) -> Iterable[str]:
    """Yield the lines of one row; a cell that is too long takes several."""
    cut = [
        wrapped(cell, width) or [""] for cell, width in zip(cells, widths, strict=True)
    ]
    for number in range(max(map(len, cut))):
        parts = [
            (lines[number] if number < len(lines) else "").ljust(width)
            for lines, width in zip(cut, widths, strict=True)
        ]
        yield _GAP.join(parts).rstrip()


def _render_fields(report: Report, width: int) -> list[str]:
    """Return the labelled values, as many on a line as fit."""
    parts = [clean(f"{field.label} {field.value}") for field in report.fields]
    if report.elapsed_s is not None:
        parts.append(f"checked in {report.elapsed_s:.2f} s")
    lines: list[str] = []
    for part in parts:
        joined = f"{lines[-1]}{_GAP} {part}" if lines else part
        if lines and len(joined) <= width:
            lines[-1] = joined
        else:
            lines += _wrap("", part, width)
    return lines

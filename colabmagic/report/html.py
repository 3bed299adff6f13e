"""Reports as HTML that needs no style sheet, script or asset.

It must read well in light and dark pages, in a sanitised or untrusted notebook
and for a screen reader: real tables, words for every state, inline style only
as decoration. Everything that comes from outside is escaped here, once.

A sanitised export knows few tags, and prints all others as text: no ``p``, ``caption``,
``thead`` and ``th``. Roles say what these would say.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from colabmagic.report.model import Code
from colabmagic.report.text import COMMANDS, clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from colabmagic.report.model import Field, Finding, Listing, Report, Table

_PLAIN = "color:inherit;background:transparent"
_BOX = f"{_PLAIN};border:1px solid currentColor;padding:0.5em 0.8em;max-width:60em"
_TABLE = f"{_PLAIN};border-collapse:collapse;margin:0.2em 0 0.5em"
_CELL = f"{_PLAIN};border:1px solid currentColor;padding:0.2em 0.6em;text-align:left"
_HEADLINE = f"{_PLAIN};margin:0;font-size:1.15em"
_LINES = f"{_PLAIN};white-space:pre;overflow-x:auto;margin:0.2em 0 0.3em 1em;padding-bottom:0.3em"
_UNWRAPPED = f"{_PLAIN};white-space:pre"  # JupyterLab wraps code that does not say so
_LINE = f"{_PLAIN};margin:0.5em 0 0"
# Where a command does not fit into its line, one sees that what follows belongs to it.
_TYPED = f"{_PLAIN};padding-left:2em;text-indent:-2em"
_FIGURE = re.compile(r"\d[\d.,]* \w+")  # "105.0 MB"


def escape(text: str) -> str:
    """Make foreign text safe: no markup, no control characters."""
    return html.escape(clean(text))


def render_html(report: Report) -> str:
    """Return the whole report as one region of HTML."""
    parts = [
        f'<div role="region" aria-label="{escape(report.title)}" style="{_BOX}">',
        _render_headline(report),
        *(_render_finding(finding) for finding in report.findings),
        *(_render_table(table) for table in report.tables),
        *(_render_listing(listing) for listing in report.listings),
        _render_fields(report.fields),
        _render_elapsed(report.elapsed_s),
        "</div>",
    ]
    return "\n".join(part for part in parts if part)


def _render_headline(report: Report) -> str:
    """Return the verdict, which is what most people came for."""
    verdict = f"<strong>{escape(report.title)}: {escape(report.verdict)}</strong>"
    return f'<div style="{_HEADLINE}">{verdict} {escape(report.summary)}</div>'


def _render_finding(finding: Finding) -> str:
    """Return a finding as a table of what was seen and what to do."""
    caption = f"{finding.severity.word}: {finding.caption}"
    labelled = (("Seen", finding.evidence), ("Fix", finding.fix))
    rows = "".join(
        f"<tr>{_head(label, 'row')}{_cell(''.join(map(_entry, entries)))}</tr>"
        for label, entries in labelled
        if entries
    )
    if not rows:
        return f'<div style="{_LINE}">{escape(caption)}</div>'
    return _wrap_table(caption, rows)


def _entry(text: str) -> str:
    """Return one line of a cell; what is to be typed looks like it."""
    shown = escape(text)
    if isinstance(text, Code) or text.startswith(COMMANDS):
        return f'<div style="{_TYPED}"><code style="{_PLAIN}">{shown}</code></div>'
    return f'<div style="{_PLAIN}">{shown}</div>'


def _render_table(table: Table) -> str:
    """Return a table with a header row and a header cell for each row."""
    head = "".join(_head(column, "column") for column in table.columns)
    body = "".join(f"<tr>{_render_row(row)}</tr>" for row in table.rows)
    return _wrap_table(table.caption, f"<tr>{head}</tr>{body}")


def _render_listing(listing: Listing) -> str:
    """Return lines that are never wrapped; too long ones are scrolled."""
    lines = "".join(
        f'<div style="{_PLAIN}"><code style="{_UNWRAPPED}">{escape(line)}</code></div>'
        for line in listing.lines
    )
    caption = escape(listing.caption)
    return (
        f'<div style="{_LINE}"><strong>{caption}</strong></div>'
        f'<div role="group" aria-label="{caption}" style="{_LINES}">{lines}</div>'
    )


def _render_row(row: tuple[str, ...]) -> str:
    """Return the cells of a row, the first as its header."""
    first, *others = row
    return _head(first, "row") + "".join(_cell(_whole(cell)) for cell in others)


def _whole(text: str) -> str:
    """Return the text of a cell; a figure stays with its unit."""
    shown = escape(text)
    return shown.replace(" ", "&nbsp;") if _FIGURE.fullmatch(text) else shown


def _render_fields(fields: Iterable[Field]) -> str:
    """Return the labelled values in one paragraph."""
    parts = [f"{escape(field.label)} {escape(field.value)}" for field in fields]
    if not parts:
        return ""
    return f'<div style="{_LINE}">{" · ".join(parts)}</div>'


def _render_elapsed(elapsed_s: float | None) -> str:
    """Return how long the check took."""
    if elapsed_s is None:
        return ""
    return f'<div style="{_PLAIN}">checked in {elapsed_s:.2f} s</div>'


def _wrap_table(caption: str, inner: str) -> str:
    """Return a captioned table around rows that are HTML already."""
    title = f'<div style="{_LINE}"><strong>{escape(caption)}</strong></div>'
    label = f'aria-label="{escape(caption)}"'
    return f'{title}<table {label} style="{_TABLE}">{inner}</table>'


def _head(text: str, scope: str) -> str:
    """Return a header cell of a row or a column."""
    strong = f"<strong>{escape(text)}</strong>"
    return f'<td role="{scope}header" style="{_CELL}">{strong}</td>'


def _cell(inner: str) -> str:
    """Return a cell around text that is escaped already."""
    return f'<td style="{_CELL}">{inner}</td>'

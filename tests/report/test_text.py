"""Reports as text."""

from __future__ import annotations

import pytest

from colabmagic.report.model import Field, Finding, Listing, Report, Severity, Table
from colabmagic.report.text import clean, render_text

FINDING = Finding(
    code="bad-thing",
    severity=Severity.ERROR,
    title="A thing is bad.",
    evidence=("one", "two"),
    fix=("Do this.", "Then that."),
)


def report(**parts: object) -> Report:
    """Return a report with these parts."""
    return Report(title="Check", verdict="BAD", **parts)  # type: ignore[arg-type]


def test_finding() -> None:
    """Cause, evidence and steps stand under each other."""
    assert render_text(report(findings=(FINDING,))) == (
        "Check: BAD\n"
        "  Why     A thing is bad. [bad-thing]\n"
        "  Seen    one\n"
        "          two\n"
        "  Fix     Do this.\n"
        "          Then that."
    )


def test_command_stays_on_one_line() -> None:
    """A command that fits the page only without its label is not broken."""
    command = "%pip install " + "x" * 60
    finding = Finding(
        code="c", severity=Severity.WARN, title="T.", fix=(command, "Then restart.")
    )
    lines = render_text(report(findings=(finding,))).splitlines()
    assert lines[2:] == ["  Fix", f"  {command}", "          Then restart."]


def test_table_is_aligned() -> None:
    """Columns begin below their headings."""
    table = Table(
        caption="T", columns=("A", "B"), rows=(("long cell", "1"), ("x", "2"))
    )
    assert render_text(report(tables=(table,))).splitlines()[1:] == [
        "A          B",
        "long cell  1",
        "x          2",
    ]


def test_paths_are_broken_at_their_slashes() -> None:
    """A name that fits a line stays whole, so that it can be read and found."""
    path = "/".join(["", *(f"folder-{number:02}" for number in range(12)), "data.csv"])
    lines = render_text(
        Report(title="T", verdict="V", summary=f"at {path}: done")
    ).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) > 1
    assert all(line.endswith(("/", "done", "at")) for line in lines)
    assert path in "".join(lines)


@pytest.mark.parametrize("width", range(24, 60))
def test_a_figure_stays_with_its_unit(width: int) -> None:
    """``5.0`` at the end of a line and ``GB`` on the next are hard to read."""
    text = "used 5.0 GB of 15.0 GB, 3 files, 12.5 MB/s, at 3 o'clock in 0.5 s and 4 h"
    lines = render_text(
        Report(title="T", verdict="V", summary=text), width
    ).splitlines()
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if line[-1].isdigit()]
    assert " ".join(lines) == f"T: V  {text}"


@pytest.mark.parametrize("words", [1, 5, 40])
def test_never_wider_than_asked(words: int) -> None:
    """Long titles, cells and fields are wrapped."""
    text = " ".join(["something"] * words)
    whole = report(
        summary=text,
        findings=(Finding(code="c", severity=Severity.INFO, title=text, fix=(text,)),),
        tables=(Table(caption=text, columns=("A", "B", "C"), rows=((text,) * 3,)),),
        fields=(Field(label="F", value=text),) * 3,
        elapsed_s=1.234,
    )
    lines = render_text(whole).splitlines()
    assert max(map(len, lines)) <= 80
    assert "checked in 1.23 s" in lines[-1]


def test_foreign_text_cannot_steer_the_terminal() -> None:
    """Escape sequences and line breaks of a driver become blanks."""
    assert clean("a\x1b[31mb\nc\u202ed") == "a [31mb c d"
    assert "\x1b" not in render_text(report(summary="\x1b[2J"))


def test_a_listing_is_never_wrapped() -> None:
    """What runs, or can be typed next, stands below its caption, before the fields."""
    command = "python -m pip install " + "x" * 80
    listing = Listing(caption="Next", lines=(command, "!nvcc\x1b[31m"))
    made = report(listings=(listing,), fields=(Field(label="a", value="b"),))
    assert render_text(made).splitlines()[1:] == [
        "  Next",
        f"      {command}",
        "      !nvcc [31m",
        "a b",
    ]

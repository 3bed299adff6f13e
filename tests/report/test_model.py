"""Plain results."""

from __future__ import annotations

from colabmagic.report.model import Report, Severity, Unknown


def test_headline_without_summary() -> None:
    """An empty summary leaves no blanks at the end."""
    assert Report(title="T", verdict="GOOD").headline == "T: GOOD"
    assert Report(title="T", verdict="GOOD", summary="x").headline == "T: GOOD  x"


def test_every_severity_has_its_word() -> None:
    """Words tell severities apart, not colour."""
    assert len({severity.word for severity in Severity}) == len(Severity)


def test_unknown_is_a_value() -> None:
    """Two unknowns of one reason are equal, and no unknown is a number."""
    assert Unknown("x") == Unknown("x")
    assert Unknown("0") != 0

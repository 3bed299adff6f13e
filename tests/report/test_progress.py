"""Progress that nobody watches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabmagic.report.progress import SILENT

if TYPE_CHECKING:
    import pytest


def test_silent(capsys: pytest.CaptureFixture[str]) -> None:
    """The silent progress takes all calls and prints nothing."""
    SILENT.start("work", 3)
    SILENT.advance()
    SILENT.advance(2)
    SILENT.finish("done")
    assert capsys.readouterr() == ("", "")

"""Every fault of the list: healed or told, nothing lost, doubled, half or leaked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.drive import fault_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_the_table(tmp_path: Path, record_property: Callable[..., None]) -> None:
    """Each row ends as it must, and all six counts are zero; the table is printed."""
    rows, skipped = fault_table.run_all(tmp_path)
    record_property("table", fault_table.as_text(rows, skipped))
    assert [(row.name, row.on, row.problems) for row in rows if row.problems] == []
    assert [(row.name, row.on, row.zeros) for row in rows if any(row.zeros)] == []
    assert len(rows) + len(skipped) == len(fault_table.cases()) > 100

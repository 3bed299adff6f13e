"""Every fault of the list is healed or told, and leaves what was there before."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.cuda import fault_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("sh") is None, reason="there is no shell")
def test_the_table(tmp_path: Path, record_property: Callable[..., None]) -> None:
    """Each row ends as it must; the slow ones are in ``python -m tests.cuda.fault_table``."""
    rows, skipped = fault_table.run_all(tmp_path, slow=False)
    record_property("table", fault_table.as_text(rows, skipped))
    found = {row.name: fault_table.wrong(row) for row in rows}
    assert {name: problems for name, problems in found.items() if problems} == {}
    slow = sum(case.slow for case in fault_table.cases())
    assert len(rows) + len(skipped) + slow == len(fault_table.cases()) > 70

"""Every cell of the corpus gives the CPU's results on a device, and all comes home."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.corpus.case import all_cases
from tests.corpus.run import expected_work, run_case

if TYPE_CHECKING:
    from tests.corpus.case import Case
    from tests.corpus.notebook import Notebook

MANY = 25


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
@pytest.mark.usefixtures("fake")
def test_cell_is_equal_and_home_again(notebook: Notebook, case: Case) -> None:
    """Run under ``%%train_on fake:1``: same results, nothing left there or patched."""
    verdict = run_case(notebook, case)
    assert verdict.passed, "\n".join(verdict.problems)


def test_the_corpus_is_complete() -> None:
    """There are many cases, each tests a cell, names results, and its work is known."""
    cases = all_cases()
    assert len(cases) >= MANY
    for case in cases:
        assert any(cell.under_test for cell in case.cells), case.name
        assert case.results, case.name
        assert case.summary, case.name
    missing = {case.name for case in cases} - set(expected_work())
    assert not missing, (
        f"run `python -m tests.corpus --count --only {' '.join(missing)}`"
    )


def test_cells_say_nothing_about_devices() -> None:
    """The cells are what users write for the CPU."""
    for case in all_cases():
        for cell in case.cells:
            if cell.under_test:
                assert "device" not in cell.source, case.name
                assert ".to(" not in cell.source, case.name

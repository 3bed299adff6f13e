"""Every cell of the corpus gives the CPU's results on a device, and all comes home."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.corpus.case import all_cases
from tests.corpus.faults import FAULTS, run_with_fault
from tests.corpus.run import expected_work, run_case

if TYPE_CHECKING:
    from tests.corpus.case import Case
    from tests.corpus.notebook import Notebook

MANY = 40
SEEDS = 50


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
@pytest.mark.usefixtures("fake")
def test_cell_is_equal_and_home_again(notebook: Notebook, case: Case) -> None:
    """Run under ``%%train_on fake:1``: same results, nothing left there or patched."""
    verdict = run_case(notebook, case)
    assert verdict.passed, "\n".join(verdict.problems)


@pytest.mark.parametrize("mode", ["line", "workers"])
@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
@pytest.mark.usefixtures("fake")
def test_cell_is_equal_in_other_modes(
    notebook: Notebook, case: Case, mode: str
) -> None:
    """Also with ``%train_on`` on for all cells, and with workers in every loader."""
    verdict = run_case(notebook, case, mode=mode)
    assert verdict.passed, "\n".join(verdict.problems)


# An interrupt may come while Python itself opens the socket by which a worker sends a batch,
# or while something of torch is being freed.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <function StorageWeakRef.__del__"
    ":pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.usefixtures("fake")
def test_a_cell_that_is_cut_off_leaves_nothing(
    notebook: Notebook, fault: str, seed: int
) -> None:
    """Ctrl-C or a full device at a random place: all home, all free, all unpatched."""
    cases = all_cases()
    case = cases[seed * 37 % len(cases)]
    _, problems = run_with_fault(notebook, case, fault, seed)
    assert problems == [], case.name


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("fault", FAULTS)
def test_the_faults_do_strike(notebook: Notebook, fault: str) -> None:
    """The test above is no empty promise."""
    case = next(case for case in all_cases() if case.name == "cnn_batchnorm")
    assert any(run_with_fault(notebook, case, fault, seed)[0] for seed in range(9))


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

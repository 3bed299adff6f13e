"""The corpus: right cause, right names and lines, right command, in every case."""

from __future__ import annotations

import collections
import copy
import gc
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.explain import explain
from tests.explain.cases import CASES, HEAD, NEAR_MISSES, Case
from tests.explain.cell import run_cell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from colabmagic.explain.model import Explanation

MOST_LINES = 12
NAMES = [case.name for case in CASES]


@pytest.fixture(autouse=True)
def _devices(request: pytest.FixtureRequest) -> Iterator[None]:
    """Bring the test accelerator where torch itself has to raise the error on it."""
    parameters = getattr(request.node, "callspec", None)
    case = parameters.params.get("case") if parameters else None
    if getattr(case, "kind", "") == "fake":
        request.getfixturevalue("fake")
    yield
    gc.collect()  # an error is part of a ring, and holds a loader's threads


def prepared(case: Case) -> dict[str, Any]:
    """Return the names that the cells before have made."""
    namespace: dict[str, Any] = {}
    assert run_cell(HEAD, namespace) is None
    assert run_cell(case.before, namespace) is None
    return namespace


def explained(case: Case) -> tuple[Explanation, BaseException]:
    """Run a case; return its explanation and its error."""
    namespace = prepared(case)
    error = run_cell(case.cell, namespace)
    assert error is not None, "the cell did not fail"
    device = "fake:0" if case.train_on else None
    explanation = explain(
        error, namespace=namespace, train_on=device, languages=("zh",)
    )
    assert explanation is not None, f"no explanation of {error!r}"
    return explanation, error


@pytest.mark.filterwarnings("ignore")  # torch's own: the cells are what it warns about
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_cause_and_command(case: Case) -> None:
    """The code, the names and lines, and exactly the commands that are right."""
    explanation, _ = explained(case)
    assert explanation.code == case.key, explanation
    text = " | ".join((explanation.cause, *explanation.evidence))
    for words in case.says:
        assert words in text
    assert explanation.commands == case.commands, explanation
    assert len(str(explanation).splitlines()) <= MOST_LINES + 4
    ((language, line),) = explanation.translations
    assert language == "中文"
    assert "{" not in line.replace("{key.removeprefix", "")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "case", [case for case in CASES if case.repair], ids=lambda case: case.name
)
def test_the_command_mends_the_cell(case: Case) -> None:
    """The cell runs to its end with the command at its place, and with nothing else."""
    explanation, _ = explained(case)
    (command,) = explanation.commands
    lines = case.cell.splitlines()
    old = lines[case.line - 1]
    indented = old[: len(old) - len(old.lstrip())] + command
    if case.repair == "line":
        lines[case.line - 1] = indented
    else:
        lines.insert(case.line - 1, indented)
    assert run_cell("\n".join(lines), prepared(case)) is None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_the_error_stays_as_it_is(case: Case) -> None:
    """Type, arguments, notes, attributes and traceback are those of before."""
    namespace = prepared(case)
    error = run_cell(case.cell, namespace)
    assert error is not None
    error.add_note("a note of the user")

    def state() -> tuple[object, ...]:
        shown = "".join(traceback.format_exception(error))
        attributes = copy.copy(error.__dict__)
        return type(error), error.args, attributes, error.__traceback__, shown

    before = state()
    assert explain(error, namespace=namespace) is not None
    assert state() == before


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NEAR_MISSES)
def test_near_misses_stay_without_a_word(name: str) -> None:
    """What no rule knows for certain has no explanation."""
    namespace: dict[str, Any] = {}
    run_cell(HEAD, namespace)
    error = run_cell(NEAR_MISSES[name], namespace)
    assert error is not None
    assert explain(error, namespace=namespace) is None


def test_the_corpus_is_large_and_says_what_is_real() -> None:
    """Most cases are raised by torch itself; the rest repeats its words."""
    kinds = collections.Counter(case.kind for case in CASES)
    assert set(kinds) == {"real", "fake", "recorded"}
    assert len(CASES) >= 40
    assert kinds["real"] + kinds["fake"] > kinds["recorded"]
    assert len(set(NAMES)) == len(NAMES)

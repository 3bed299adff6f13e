"""Each error of the catalogue, word for word, from the situation that it is about.

What it says to type is typed, as far as this computer and the plans of others can.
``python -m tests.cuda.test_catalogue`` writes the file of texts anew; what changed is to
be read then.
"""

from __future__ import annotations

import re
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic import cuda
from colabmagic.cuda import errors, service
from colabmagic.cuda.machine.facts import Compiler
from colabmagic.cuda.planning.plan import Options, Plan
from tests.cuda import fault_table
from tests.cuda.planning.machines import FOLDER, load

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.cuda.machine.facts import MachineFacts

FILE = FOLDER.parent / "cuda_errors.txt"


@dataclass(frozen=True)
class Planned:
    """What a plan tells, before anything is done."""

    code: str
    machine: str
    wanted: str
    body: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Return what it is called in the file."""
        words = [self.wanted, *(f"{k}={v}" for k, v in self.options.items())]
        return f"{self.code} {self.machine}: {' '.join([*words, *self.body.split()])}"

    def facts(self) -> MachineFacts:
        """Return the machine."""
        return replace(load(self.machine), **self.changes)

    def plan(self, **instead: Any) -> Plan:  # noqa: ANN401 (of `cuda.plan`)
        """Return the plan, or that of what is typed instead."""
        usual = {
            "version": self.wanted,
            "requirements": self.body,
            "facts": self.facts(),
            "options": Options(**self.options),
        }
        return cuda.plan(**{**usual, **instead})

    def text(self) -> str:
        """Return all that is told."""
        made = self.plan()
        told = (*made.problems, *made.warnings)
        (problem,) = [each for each in told if each.code == self.code][:1]
        error = service.refusal(problem)
        assert error.code == self.code
        if made.problems[:1] == (problem,):
            with pytest.raises(type(error)) as caught:
                cuda.install(made)
            assert str(caught.value) == str(error)
        return "\n".join(error.render())


PLANNED = (
    Planned("E01", "debian12_cpu", "12.7"),
    Planned("E02", "alpine_musl", "12.4"),
    Planned("E03", "ubuntu1710_driver390", "9.2"),
    Planned("E03", "centos7_hpc", "12.4"),
    Planned("E04", "fedora42_gcc15", "12.4"),
    Planned("E05", "no_compiler_fedora", "13.0"),
    Planned("E06", "kaggle_p100", "13.0"),
    Planned("E06", "rtx5090_desktop", "12.4"),
    Planned("E07", "kaggle_p100", "12.4"),
    Planned("E08", "full_disk", "13.0"),
    Planned("E11", "colab_t4", "11.1", "torch==1.10.1\ntorchvision\n"),
    Planned("E13", "debian12_cpu", "13.0", options={"system": True},
            changes={"is_root": False}),
    Planned("E14", "colab_cpu", "torch"),
    Planned("E15", "wsl_rtx4070", "12.8"),
    Planned("E16", "debian12_cpu", "12.4", options={"method": "wheels"}),
    Planned("E17", "polluted", "12.9"),
    Planned("E18", "colab_t4", "11.1"),
    Planned("E21", "debian12_cpu", "13.0", "torch=2\n"),
)  # fmt: skip
# Code → a case of the table of faults: a real installation that ends with it, and the
# same cell once more that completes.
DONE = {
    "E08": "disk full: unpack",
    "E09": "404",
    "E10": "wrong bytes always",
    "E13": "our folder is read-only",
    "E16": "pip: no such version",
    "E19": "apt is busy",
    "E20": "nvcc does not compile",
    "E22": "the lock is held",
}
# Code → the test that has it: with a pip of its own, or with what is installed.
ELSEWHERE = {
    "E12": "tests/cuda/steps/test_pip.py::test_an_imported_package_is_not_changed",
    "E23": "tests/cuda/test_service.py::test_what_is_not_here",
}


def test_no_code_is_left_out() -> None:
    """All of the catalogue are here, and what is named is there."""
    codes = {kind.code for kind in errors.CudaError.__subclasses__()}
    assert codes == {f"E{number:02}" for number in range(1, 24)}
    assert {each.code for each in PLANNED} | {*DONE} | {*ELSEWHERE} == codes
    root = Path(__file__).parents[2]
    for code, place in ELSEWHERE.items():
        file, _, name = place.partition("::")
        text = (root / file).read_text("utf-8")
        _, _, after = text.partition(f"def {name}(")
        assert "str(caught.value) == (" in after.partition("\ndef ")[0], code


def sections() -> dict[str, str]:
    """Return title → text of the file."""
    parts = FILE.read_text("utf-8").removeprefix("## ").split("\n## ")
    return {
        part.partition("\n")[0]: part.partition("\n")[2].strip("\n") for part in parts
    }


@pytest.mark.parametrize("case", PLANNED, ids=lambda case: case.title)
def test_what_a_plan_tells(case: Planned) -> None:
    """The whole of it is what was reviewed."""
    assert case.text() == sections()[case.title]


@pytest.mark.timeout(120)
def test_what_an_installation_tells(tmp_path: Path) -> None:
    """The whole of it is what was reviewed, and the same cell once more completes."""
    rows, skipped = fault_table.run_all(tmp_path, names=tuple(DONE.values()))
    names = {name: code for code, name in DONE.items()}
    for row in rows:
        assert row.code == names[row.name]
        assert row.again, row
        assert row.text == sections()[f"{row.code} {row.name}"]
    assert len(rows) + len(skipped) == len(DONE)


NAMES_A_CELL = {"E01", "E03", "E04", "E06", "E11", "E14", "E16", "E18"}


def typed(text: str) -> list[tuple[str, str, Options]]:
    """Return the cells of ours that a text says to type: version, body, options."""
    cells = []
    words = re.sub(r"^  (try:|    )  ", "", text, flags=re.MULTILINE)
    for line in words.splitlines():
        if match := re.fullmatch(r"%%?cuda_install (\S+)(?: --method (\S+))?", line):
            options = Options(method=match[2] or "auto")
            cells.append([match[1], [] if line.startswith("%%") else None, options])
        elif cells and cells[-1][1] is not None and re.fullmatch(r"[\w.=-]+", line):
            cells[-1][1].append(line) if line != "or" else cells.append(
                ["", None, None]
            )
    return [(v, "\n".join(body or ()), o) for v, body, o in cells if v]


@pytest.mark.parametrize(
    "case",
    [case for case in PLANNED if case.code in NAMES_A_CELL],
    ids=lambda case: case.title,
)
def test_the_cell_that_it_names_mends_it(case: Planned) -> None:
    """Each of them can be carried out, and this is not told again."""
    cells = typed(case.text())
    assert cells
    for version, body, options in cells:
        made = case.plan(version=version, requirements=body, options=options)
        assert made.can_run, (version, body, made.problems)
        was_warned = case.code in {each.code for each in case.plan().warnings}
        told = {each.code for each in made.warnings} if was_warned else set()
        assert case.code not in told, (version, body)


def _without(case: Planned, **changes: Any) -> Plan:  # noqa: ANN401 (facts)
    """Return the plan of the same cell on a machine that was mended."""
    return case.plan(facts=replace(case.facts(), **changes))


GCC = Compiler(path="/usr/bin/g++", version=(13, 3, 0))
MENDED: dict[str, Callable[[Planned], Plan]] = {
    "E05": lambda case: _without(case, compilers=(GCC,)),  # dnf install gcc-c++
    "E04": lambda case: _without(case, compilers=(GCC,)),  # g++ 13 on PATH
    "E13": lambda case: case.plan(options=Options()),  # --system left out
    "E17": lambda case: _without(case, library_path=""),  # out of the environment
    "E21": lambda case: case.plan(requirements="torch==2\n"),
    "E03": lambda case: _without(case, driver="580.82.07", driver_cuda=(13, 0)),
}


@pytest.mark.parametrize(
    "case", [each for each in PLANNED if each.code in MENDED], ids=lambda c: c.title
)
def test_what_else_it_says_mends_it(case: Planned) -> None:
    """On the machine as it is then, the same cell can be carried out."""
    made = MENDED[case.code](case)
    told = {each.code for each in (*made.problems, *made.warnings)}
    assert case.code not in told


def main() -> None:
    """Write the file anew."""
    parts = [f"## {case.title}\n{case.text()}\n" for case in PLANNED]
    with tempfile.TemporaryDirectory() as folder:
        rows, skipped = fault_table.run_all(Path(folder), names=tuple(DONE.values()))
    assert not skipped, skipped
    parts += [f"## {row.code} {row.name}\n{row.text}\n" for row in rows]
    FILE.write_text("\n".join(parts), "utf-8")


if __name__ == "__main__":
    sys.exit(main())

"""Run one case on the CPU and on a device, and judge what came of it."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tests.corpus import witness
from tests.corpus.compare import Tolerance, differences, frozen
from tests.corpus.notebook import CellFailedError, Notebook

if TYPE_CHECKING:
    from tests.corpus.case import Case

WORK = Path(__file__).with_name("work.json")
USED_SHARE = 0.9
FEW_OPERATORS = 20
MODES = ("cell", "line", "workers")


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What became of a case.

    Attributes
    ----------
    case
        The case.
    problems
        All that is wrong; empty if nothing is.
    same_bits
        Whether every result has the CPU's very bits.
    device_ops, device_matmuls
        Operators that ran on the device in the cells under test.
    expected_matmuls
        Matrix products that these cells need on the CPU; None if not counted yet.
    cpu_s, device_s
        Seconds for all cells.
    lines
        What the magic printed.
    """

    case: Case
    problems: list[str] = field(default_factory=list)
    same_bits: bool = False
    device_ops: int = 0
    device_matmuls: int = 0
    expected_matmuls: int | None = None
    cpu_s: float = 0.0
    device_s: float = 0.0
    lines: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Tell whether all is well."""
        return not self.problems


def run_case(
    notebook: Notebook,
    case: Case,
    device: str = "fake:1",
    tolerance: Tolerance | None = None,
    *,
    mode: str = "cell",
) -> Verdict:
    """Run a case plainly and on a device, and compare.

    Parameters
    ----------
    notebook
        The shell.
    case
        What to run.
    device
        Where the cells under test run.
    tolerance
        How equal results have to be.
    mode
        One of `MODES`: ``%%train_on`` in the cells under test; ``%train_on`` as a line
        before the first of them, for all that follow; workers in every loader that has
        none.
    """
    tolerance = tolerance or Tolerance()
    if case.atol is not None:
        tolerance = Tolerance(rtol=tolerance.rtol, atol=max(case.atol, tolerance.atol))
    verdict = Verdict(case=case, expected_matmuls=expected_work().get(case.name))
    notebook.workers = 2 if mode == "workers" else 0
    try:
        expected, plain_warnings, verdict.cpu_s = _plainly(notebook, case)
    except CellFailedError as error:
        verdict.problems.append(f"on the CPU: {error}")
        return verdict
    finally:
        notebook.close()
    on_device = _on_device_by_line if mode == "line" else _on_device
    try:
        on_device(
            notebook, case, device, verdict, (expected, plain_warnings), tolerance
        )
    except CellFailedError as error:
        verdict.problems.append(f"on {device}: {error}")
    finally:
        heal(device)
        notebook.close()
    return verdict


def _plainly(
    notebook: Notebook, case: Case
) -> tuple[dict[str, object], set[str], float]:
    """Return the results on the CPU, the warnings, and the seconds."""
    notebook.restart(extension=False)
    began = time.perf_counter()
    seen: set[str] = set()
    for cell in case.cells:
        seen.update(notebook.run(cell.source).warnings)
    took = time.perf_counter() - began
    return {each: frozen(notebook.evaluate(each)) for each in case.results}, seen, took


def _on_device(
    notebook: Notebook,
    case: Case,
    device: str,
    verdict: Verdict,
    plain: tuple[dict[str, object], set[str]],
    tolerance: Tolerance,
) -> None:
    """Run all cells, those under test on the device, and note what is wrong."""
    expected, plain_warnings = plain
    notebook.restart(extension=True)
    meter = Meter(device, shared_rng=case.shared_rng)
    before = witness.entry_points()
    for number, cell in enumerate(case.cells):
        began = time.perf_counter()
        if not cell.under_test:
            printed = notebook.run(cell.source)
            verdict.device_s += time.perf_counter() - began
            if device.partition(":")[0] + ":" in printed.text:
                verdict.problems.append(f"cell {number} shows something on the device")
            continue
        with meter:
            printed = notebook.run(f"%%train_on {device}\n{cell.source}")
        verdict.device_s += time.perf_counter() - began
        verdict.lines += [
            line for line in printed.text.splitlines() if "train_on" in line
        ]
        new = set(printed.warnings) - plain_warnings
        verdict.problems += [f"new warning: {each}" for each in sorted(new)]
        patched = witness.still_patched(before, witness.entry_points())
        if patched:
            verdict.problems.append("still patched: " + ", ".join(patched[:8]))
        _note_leftovers(notebook, verdict, f"after cell {number}")
    _compare(notebook, case, verdict, expected, tolerance)
    meter.judge(verdict)


def _on_device_by_line(
    notebook: Notebook,
    case: Case,
    device: str,
    verdict: Verdict,
    plain: tuple[dict[str, object], set[str]],
    tolerance: Tolerance,
) -> None:
    """Run the cells up to the first under test plainly, and all others on the device."""
    expected, plain_warnings = plain
    notebook.restart(extension=True)
    meter = Meter(device, shared_rng=case.shared_rng)
    before = witness.entry_points()
    first = next(n for n, cell in enumerate(case.cells) if cell.under_test)
    began = time.perf_counter()
    for cell in case.cells[:first]:
        notebook.run(cell.source)
    with meter:
        verdict.lines.append(notebook.run(f"%train_on {device}").text)
        for cell in case.cells[first:]:
            new = set(notebook.run(cell.source).warnings) - plain_warnings
            verdict.problems += [f"new warning: {each}" for each in sorted(new)]
        verdict.lines.append(notebook.run("%train_on off").text)
    verdict.device_s += time.perf_counter() - began
    patched = witness.still_patched(before, witness.entry_points())
    if patched:
        verdict.problems.append("still patched: " + ", ".join(patched[:8]))
    _compare(notebook, case, verdict, expected, tolerance)
    meter.judge(verdict)


def _compare(
    notebook: Notebook,
    case: Case,
    verdict: Verdict,
    expected: dict[str, object],
    tolerance: Tolerance,
) -> None:
    """Note where results are others than on the CPU, and what is not at home."""
    actual = {each: frozen(notebook.evaluate(each)) for each in case.results}
    found = [
        difference
        for each in case.results
        for difference in differences(expected[each], actual[each], tolerance, each)
    ]
    verdict.same_bits = not found
    verdict.problems += [str(each) for each in found if not each.rounding]
    _note_leftovers(notebook, verdict, "at the end")


def _note_leftovers(notebook: Notebook, verdict: Verdict, when: str) -> None:
    """Note tensors that are not at home."""
    left = witness.leftovers(notebook.namespace)
    verdict.problems += [
        f"{when}: {path} is on {where}" for path, where in left.items()
    ]
    others = witness.tensors_off_cpu()
    if others and not left:
        shapes = ", ".join(str(tuple(each.shape)) for each in others[:5])
        verdict.problems.append(f"{when}: {len(others)} tensors live on: {shapes}")


class Meter:
    """Measures what ran on the device while a cell ran.

    Parameters
    ----------
    device
        The device.
    shared_rng
        Whether the device draws from the CPU's stream meanwhile.
    """

    def __init__(self, device: str, *, shared_rng: bool) -> None:
        self.device = torch.device(device)
        self.fake: Any = torch.fake if self.device.type == "fake" else None  # type: ignore[attr-defined]
        self.shared_rng = shared_rng
        self.operators: Counter[str] = Counter()
        self.elsewhere = 0
        self.bytes_before = 0
        self.bytes_after = 0

    def __enter__(self) -> None:
        """Start."""
        if self.device.type == "cuda":
            self.bytes_before = torch.cuda.memory_allocated(self.device)
            self.operators["allocation"] -= self._allocations()
        if self.fake is not None:
            self.fake.set_shared_rng(self.shared_rng)
            for index in range(self.fake.device_count()):
                self.fake.reset_stats(index)
            self.bytes_before = self.fake.stats(self.device)["current"]

    def __exit__(self, *error: object) -> None:
        """Stop, and add up."""
        if self.device.type == "cuda":  # has no counter of operators
            self.operators["allocation"] += self._allocations()
        if self.fake is None:
            return
        self.fake.set_shared_rng(False)
        self.operators.update(self.fake.op_counts(self.device))
        self.elsewhere += sum(
            self.fake.stats(index)["ops"] + self.fake.stats(index)["allocs"]
            for index in range(self.fake.device_count())
            if index != self.device.index
        )

    def _allocations(self) -> int:
        """Return how many blocks a CUDA device has given out so far."""
        stats = torch.cuda.memory_stats(self.device)
        return int(stats.get("allocation.all.allocated", 0))

    def judge(self, verdict: Verdict) -> None:
        """Note whether the device was really used, and no other one."""
        verdict.device_ops = self.operators.total()
        if self.device.type == "cuda":
            if verdict.device_ops < FEW_OPERATORS:
                verdict.problems.append("the device was hardly used")
            held = torch.cuda.memory_allocated(self.device)
            if held > self.bytes_before:
                verdict.problems.append(f"{held} bytes of the device stay in use")
        if self.fake is None:
            return
        verdict.device_matmuls = witness.matmuls(self.operators.items())
        wanted = verdict.expected_matmuls
        if wanted and verdict.device_matmuls < USED_SHARE * wanted:
            verdict.problems.append(
                f"the device did {verdict.device_matmuls} matrix products of {wanted}"
            )
        if verdict.device_ops < FEW_OPERATORS:
            verdict.problems.append(f"the device ran {verdict.device_ops} operators")
        if self.elsewhere:
            verdict.problems.append(f"another device was used {self.elsewhere} times")
        held = self.fake.stats(self.device)["current"]
        if held > self.bytes_before:
            verdict.problems.append(f"{held} bytes of the device stay in use")


def heal(device: str) -> None:
    """Take back what a case has set on the test device."""
    if device.startswith("fake"):
        torch.fake.heal()  # type: ignore[attr-defined]


def expected_work() -> dict[str, int]:
    """Return how many matrix products the cells under test need, by case."""
    if not WORK.exists():
        return {}
    counts: dict[str, int] = json.loads(WORK.read_text(encoding="utf-8"))
    return counts


def count_work(notebook: Notebook, case: Case) -> int:
    """Count the matrix products of the cells under test, on the CPU."""
    notebook.restart(extension=False)
    counts: Counter[str] = Counter()
    for cell in case.cells:
        if cell.under_test:
            notebook.counting(cell.source, lambda name: counts.update((name,)))
        else:
            notebook.run(cell.source)
    notebook.close()
    return witness.matmuls(counts.items())

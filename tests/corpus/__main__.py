"""Print the table: ``python -m tests.corpus [--device cuda] [--only NAME …]``."""

from __future__ import annotations

import argparse
import json
import sys
import time

from tests.corpus.case import all_cases
from tests.corpus.compare import Tolerance
from tests.corpus.notebook import Notebook
from tests.corpus.run import WORK, Verdict, count_work, run_case
from tests.fakes.accelerator import fake_accelerator


def main(arguments: list[str]) -> int:
    """Run the corpus and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("--device", default="fake:1", help="where the cells run")
    parser.add_argument("--only", nargs="+", default=[], help="parts of case names")
    parser.add_argument("--rtol", type=float, default=Tolerance().rtol)
    parser.add_argument("--atol", type=float, default=Tolerance().atol)
    parser.add_argument(
        "--count",
        action="store_true",
        help="count on the CPU what the cells have to do",
    )
    options = parser.parse_args(arguments)
    cases = [
        case
        for case in all_cases()
        if not options.only or any(part in case.name for part in options.only)
    ]
    if options.device.startswith("fake"):
        missing = fake_accelerator.missing_tools()
        if missing:
            print("skipped: the fake accelerator needs " + ", ".join(missing))
            return 0
        fake_accelerator.register()
    notebook = Notebook()
    if options.count:
        counts = {case.name: count_work(notebook, case) for case in cases}
        known = json.loads(WORK.read_text()) if WORK.exists() and options.only else {}
        WORK.write_text(
            json.dumps({**known, **counts}, indent=1, sort_keys=True) + "\n"
        )
        return 0
    tolerance = Tolerance(rtol=options.rtol, atol=options.atol)
    began = time.perf_counter()
    width = max(len(case.name) for case in cases)
    print(f"{'cell':{width}}  result      ops  products  cpu s  {options.device} s")
    verdicts = []
    for case in cases:
        verdict = run_case(notebook, case, options.device, tolerance)
        verdicts.append(verdict)
        print(row(verdict, width), flush=True)
    failed = [each for each in verdicts if not each.passed]
    same = sum(each.same_bits for each in verdicts)
    print(
        f"{len(verdicts) - len(failed)} of {len(verdicts)} equal and home again "
        f"({same} bit for bit), {time.perf_counter() - began:.0f} s"
    )
    return 1 if failed else 0


def row(verdict: Verdict, width: int) -> str:
    """Return the lines of the table for a case."""
    word = (
        "FAILED" if verdict.problems else "same bits" if verdict.same_bits else "equal"
    )
    wanted = "" if verdict.expected_matmuls is None else f"/{verdict.expected_matmuls}"
    line = (
        f"{verdict.case.name:{width}}  {word:9} {verdict.device_ops:5}  "
        f"{f'{verdict.device_matmuls}{wanted}':>9} {verdict.cpu_s:5.2f} {verdict.device_s:5.2f}"
    )
    indented = [
        "    " + text
        for problem in verdict.problems[:6]
        for text in problem.splitlines()
    ]
    return "\n".join([line, *indented])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

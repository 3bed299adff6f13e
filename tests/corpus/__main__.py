"""Print the table: ``python -m tests.corpus [--device cuda] [--only NAME …]``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter

from tests.corpus.case import all_cases
from tests.corpus.compare import Tolerance
from tests.corpus.faults import FAULTS, run_with_fault
from tests.corpus.notebook import Notebook
from tests.corpus.run import MODES, WORK, count_work, run_case
from tests.fakes.accelerator import fake_accelerator


def main(arguments: list[str]) -> int:
    """Run the corpus and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("--device", default="fake:1", help="where the cells run")
    parser.add_argument(
        "--mode", choices=(*MODES, *FAULTS), nargs="+", default=(*MODES, *FAULTS)
    )
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
    modes = tuple(options.mode)
    print(f"{'cell':{width}}" + "".join(f"  {mode:9}" for mode in modes), flush=True)
    failed: Counter[str] = Counter()
    for number, case in enumerate(cases):
        words, details = [], []
        for mode in modes:
            if mode in FAULTS:
                struck, problems = run_with_fault(
                    notebook, case, mode, number, options.device
                )
                word = "home" if struck else "not hit"
            else:
                verdict = run_case(notebook, case, options.device, tolerance, mode=mode)
                problems = verdict.problems
                word = "same bits" if verdict.same_bits else "equal"
            failed[mode] += bool(problems)
            words.append("FAILED" if problems else word)
            details += [f"    {mode}: {text}" for text in problems[:6]]
        print(f"{case.name:{width}}" + "".join(f"  {word:9}" for word in words))
        print("".join(f"{line}\n" for line in details), end="", flush=True)
    for mode in modes:
        kept = "home again" if mode in FAULTS else "equal and home again"
        print(f"{mode:9} {len(cases) - failed[mode]} of {len(cases)} {kept}")
    print(f"{time.perf_counter() - began:.0f} s")
    return 1 if failed.total() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

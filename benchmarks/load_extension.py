"""What ``%load_ext colabmagic`` adds to a bare kernel: modules and CPU time."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from _measure import ROUNDS, table

ROOT = Path(__file__).parents[1]
PROBE = """
import json, sys, time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("1", silent=True)
before = set(sys.modules)
start = time.thread_time()
shell.run_line_magic("load_ext", "colabmagic")
taken = time.thread_time() - start
print(json.dumps([len(set(sys.modules) - before), taken * 1e3]))
"""
HEAVY = """
import json, sys, time
before = set(sys.modules)
start = time.thread_time()
import torch
print(json.dumps([len(set(sys.modules) - before), (time.thread_time() - start) * 1e3]))
"""


def kernels() -> dict[str, str]:
    """Return the interpreters that are set up: a name for each path."""
    found = {"this Python, newest IPython": sys.executable}
    for folder, name in (
        (".venv-old", "this Python, IPython 7.34"),
        (".venv-colab", "Colab-like, IPython 7.34"),
    ):
        path = ROOT / folder / "bin" / "python"
        if path.exists():
            found[name] = str(path)
    return found


def run(python: str, code: str) -> tuple[int, float]:
    """Run code in a fresh process; return modules and milliseconds."""
    done = subprocess.run(
        [python, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    modules, taken = json.loads(done.stdout.splitlines()[-1])
    return int(modules), float(taken)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    rows = []
    for name, python in kernels().items():
        figures = [run(python, PROBE) for _ in range(rounds)]
        taken = [each[1] for each in figures]
        rows.append(
            (
                f"`%load_ext colabmagic`, {name}",
                str(figures[0][0]),
                f"{min(taken):.1f}",
                f"{statistics.median(taken):.1f}",
            )
        )
    figures = [run(sys.executable, HEAVY) for _ in range(3)]
    taken = [each[1] for each in figures]
    rows.append(
        (
            "for comparison: `import torch`",
            str(figures[0][0]),
            f"{min(taken):.0f}",
            f"{statistics.median(taken):.0f}",
        )
    )
    table(
        f"Loading the extension, {rounds} fresh processes each",
        ("", "modules added", "CPU ms (min)", "CPU ms (median)"),
        rows,
    )


if __name__ == "__main__":
    main()

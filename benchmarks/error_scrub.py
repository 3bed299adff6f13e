"""What an error keeps alive, with the extension and without, and what freeing costs."""

# ruff: noqa: ISC004 (the parts of a tuple are cells, of several lines each)

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _measure import ROUNDS, table

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]

# Failing cells, each with how many objects its traceback holds. `big()` makes one.
KINDS = {
    "plain": (
        "def go(n):\n    held = big()\n    return go(n - 1) if n else 1 / 0\ngo(4)",
        5,
    ),
    "`raise … from`": (
        "def one():\n    held = big()\n    raise KeyError\n"
        "def two():\n    held = big()\n    try:\n        one()\n"
        "    except KeyError as e:\n        more = big()\n        raise ValueError from e\n"
        "two()",
        3,
    ),
    "exception group": (
        "def one():\n    held = big()\n    raise ValueError\n"
        "def two():\n    errors = []\n    for _ in range(3):\n        try:\n"
        "            one()\n        except ValueError as e:\n            errors.append(e)\n"
        "    raise ExceptionGroup('three', errors)\ntwo()",
        3,
    ),
    "interrupt": (
        "def go():\n    held = big()\n    raise KeyboardInterrupt\ngo()",
        1,
    ),
    "generator": (
        "def rows():\n    held = big()\n    yield held\n    1 / 0\n"
        "def go():\n    for row in rows():\n        more = big()\ngo()",
        2,
    ),
    "`%%train_on cpu`": (
        "%%train_on cpu\ndef go():\n    held = big()\n    1 / 0\ngo()",
        1,
    ),
}
SETUP = """
import gc, weakref
class Big: pass
REFS = []
def big():
    made = Big()
    REFS.append(weakref.ref(made))
    return made
def alive():
    gc.collect()
    return sum(ref() is not None for ref in REFS)
"""
ON_DEVICE = """
import torch
layers = [torch.nn.Linear(512, 512).to("fake") for _ in range(20)]
X = torch.zeros(512, 512, device="fake")
def train():
    x, kept = X, []
    for layer in layers:
        x = layer(x)
        kept.append(x)
    raise ValueError("a typing error at the end of the epoch")
"""
TRAINING = """
import torch
layers = [torch.nn.Linear(2048, 1024) for _ in range(20)]
X = torch.zeros(2048, 2048)
def train():
    kept = [layer(X) for layer in layers]
    raise ValueError("a typing error at the end of the epoch")
"""


class Notebook:
    """A shell of a process of its own, whose cells print nothing."""

    def __init__(self, *, loaded: bool, setting: bool = True) -> None:
        from IPython.core.interactiveshell import InteractiveShell

        self.shell = InteractiveShell.instance()
        if loaded:
            self.run("%load_ext colabmagic")
            self.run(f"%config ColabMagic.free_after_error = {setting}")

    def run(self, cell: str) -> Any:  # noqa: ANN401
        """Run a cell; return IPython's result."""
        nothing = io.StringIO()
        with contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(nothing):
            return self.shell.run_cell(cell, store_history=True)

    def value(self, expression: str) -> Any:  # noqa: ANN401
        """Run a cell that is one expression."""
        return self.run(expression).result


def measure_alive(*, loaded: bool) -> dict[str, int]:
    """Count what is alive in the cell after each kind of error."""
    notebook = Notebook(loaded=True, setting=loaded)
    found = {}
    for kind, (cell, _) in KINDS.items():
        notebook.run("%reset -f")
        notebook.run(SETUP)
        notebook.run(cell)
        found[kind] = int(notebook.value("alive()"))
    return found


def measure_peak(*, loaded: bool) -> float:
    """Return the peak of a second run to that of the first, as the device counts."""
    sys.path.insert(0, str(ROOT))
    from tests.fakes.accelerator import fake_accelerator

    fake: Any = fake_accelerator.register()
    notebook = Notebook(loaded=loaded)
    notebook.run(ON_DEVICE)
    before = fake.stats(0)["current"]
    peaks = []
    for _ in range(2):
        fake.reset_stats(0)
        notebook.run("train()")
        peaks.append(fake.stats(0)["peak"] - before)
        notebook.run("1")  # an ordinary cell, as the user goes on
    return float(peaks[1] / peaks[0])


def measure_scrub(rounds: int) -> list[float]:
    """Return CPU ms of the hook before the cell after an error, with torch loaded."""
    from colabmagic.magics import _after_error

    notebook = Notebook(loaded=True)
    notebook.run(TRAINING)
    taken = []
    original = _after_error.free

    def timed(*args: Any, **options: Any) -> None:  # noqa: ANN401
        start = time.thread_time()
        original(*args, **options)
        taken.append((time.thread_time() - start) * 1e3)

    _after_error.free = timed
    for _ in range(rounds):
        notebook.run("train()")
        notebook.run("1")
    return taken


def measure_hook(rounds: int) -> list[float]:
    """Return CPU µs that a healthy cell pays for both hooks: medians of many calls."""
    notebook = Notebook(loaded=True)
    notebook.run("1")
    hooks: list[tuple[Callable[[Any], None], Any]] = []
    result = notebook.run("1")
    for event, argument in (("pre_run_cell", result.info), ("post_run_cell", result)):
        hooks += [
            (each, argument)
            for each in notebook.shell.events.callbacks[event]
            if "ErrorHooks" in str(each)
        ]
    assert len(hooks) == 2  # noqa: PLR2004 (before and after)
    many, taken = 10_000, []
    for _ in range(rounds):
        start = time.thread_time()
        for _ in range(many):
            for hook, argument in hooks:
                hook(argument)
        taken.append((time.thread_time() - start) * 1e6 / many)
    return taken


def in_process(what: str, python: str = sys.executable) -> Any:  # noqa: ANN401
    """Measure one thing in a fresh process."""
    done = subprocess.run(
        [python, __file__, "--only", what],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", help="one measurement, as JSON")
    options = parser.parse_args()
    measurements: dict[str, Callable[[], object]] = {
        "alive": lambda: measure_alive(loaded=True),
        "alive without": lambda: measure_alive(loaded=False),
        "peak": lambda: measure_peak(loaded=True),
        "peak without": lambda: measure_peak(loaded=False),
        "scrub": lambda: measure_scrub(options.rounds),
        "hook": lambda: measure_hook(options.rounds),
    }
    if options.only:
        sys.path.insert(0, str(ROOT))
        sys.stdout.write("\n" + json.dumps(measurements[options.only]()) + "\n")
        return
    kernels = {"IPython 9": sys.executable}
    old = ROOT / ".venv-old" / "bin" / "python"
    if old.exists():
        kernels["IPython 7.34"] = str(old)
    with_it = {name: in_process("alive", path) for name, path in kernels.items()}
    without = {
        name: in_process("alive without", path) for name, path in kernels.items()
    }
    table(
        "Objects alive in the cell after an error, `free_after_error` off and on",
        (
            "",
            *(f"{name}, {how}" for name in kernels for how in ("off", "**on**")),
        ),
        [
            (
                kind,
                *(
                    str(each[name][kind])
                    for name in kernels
                    for each in (without, with_it)
                ),
            )
            for kind in KINDS
        ],
    )
    scrub, hook = in_process("scrub"), in_process("hook")
    peaks = [f"{in_process(what):.2f}" for what in ("peak", "peak without")]
    freeing = f"{min(scrub):.0f} / {statistics.median(scrub):.0f}"
    healthy = f"{min(hook):.2f} / {statistics.median(hook):.2f}"
    table(
        "What it saves and costs",
        ("", "figure", "wanted"),
        [
            ("peak of a retry, to that of one run (test device)", peaks[0], "1.05"),
            ("the same without the extension", peaks[1], ""),
            (
                "freeing after an error, torch loaded, CPU ms (min / median)",
                freeing,
                "300",
            ),
            ("a healthy cell, both hooks, CPU µs (min / median)", healthy, ""),
        ],
    )


if __name__ == "__main__":
    main()

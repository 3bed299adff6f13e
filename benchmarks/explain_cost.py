"""What an explanation costs, and what a cell pays that has none."""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

from _measure import ROUNDS, cpu_seconds, table

sys.path.insert(0, str(Path(__file__).parents[1]))

BUDGET_MS = 50
BIG = """
class Big(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(2000))
    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x
"""
LONG = "".join(f"value_{n} = {n} * 2 + len('line {n}')\n" for n in range(2000))
SETUP = {
    "two tensors, a cell of 2 lines": ("", "a = torch.ones(2, 2)\na @ half"),
    "a model of 2,000 layers": (
        f"{BIG}\nmodel = Big()",
        "model(torch.ones(2, 4, dtype=torch.half))",
    ),
    "a cell of 2,000 lines": ("", f"{LONG}one @ half"),
    "5,000 names in the notebook": (
        "globals().update({f'n{i}': [i] for i in range(5000)})",
        "nn.Linear(3, 2)(torch.ones(4, 5))",
    ),
    "300 frames deep": (
        "def down(n):\n    return down(n - 1) if n else one @ half",
        "down(300)",
    ),
    "labels: least and greatest of 1,000,000": (
        "y = torch.arange(1_000_000) % 4; scores = torch.zeros(1_000_000, 3)",
        "torch.nn.functional.cross_entropy(scores, y)",
    ),
    "no rule knows it: 1 / 0": ("", "1 / 0"),
}
HEAD = "one, half = torch.ones(2, 2), torch.ones(2, 2).half()"


def failing(before: str, cell: str) -> tuple[BaseException, dict[str, Any]]:
    """Run the cells; return the error and the names."""
    import torch

    from tests.explain.cell import run_cell

    namespace: dict[str, Any] = {"torch": torch, "nn": torch.nn}
    for text in (HEAD, before):
        error = run_cell(text, namespace)
        assert error is None, error
    error = run_cell(cell, namespace)
    assert error is not None
    return error, namespace


def milliseconds(before: str, cell: str, rounds: int) -> tuple[str, list[float]]:
    """Explain one error again and again, words and page included."""
    from colabmagic.explain import explain

    error, namespace = failing(before, cell)

    def once() -> str:
        explanation = explain(error, namespace=namespace, languages=("zh",))
        return "" if explanation is None else repr(explanation._repr_mimebundle_())

    said = once()
    return said, [cpu_seconds(once) * 1e3 for _ in range(rounds)]


def healthy(rounds: int) -> list[float]:
    """Measure what the event adds to a thousand cells that end well."""
    from IPython.core.interactiveshell import InteractiveShell

    from colabmagic.magics._explain import Explainer

    shell = InteractiveShell.instance()
    explainer = Explainer(shell)
    shell.run_cell("pass")

    def thousand() -> None:
        for _ in range(1000):
            explainer._last = None  # noqa: SLF001 (as if each were a new cell)
            explainer._after_cell()  # noqa: SLF001

    thousand()
    return [cpu_seconds(thousand) for _ in range(rounds)]  # s a 1000 = ms a cell


def first_ms() -> float:
    """Return the cost of the first explanation in a process: imports and words."""
    import subprocess

    code = (
        "import IPython, time\ne = RuntimeError('Found no NVIDIA driver on your system')\n"
        "start = time.thread_time()\nfrom colabmagic.explain import explain\n"
        "explain(e, languages=('zh',))._repr_mimebundle_()\n"
        "print((time.thread_time() - start) * 1e3)"
    )
    done = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        for _ in range(ROUNDS)
    )
    return min(float(each.stdout) for each in done)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    rows = []
    for name, (before, cell) in SETUP.items():
        said, taken = milliseconds(before, cell, rounds)
        assert bool(said) != name.startswith("no rule"), name
        rows.append((name, min(taken), statistics.median(taken), str(BUDGET_MS)))
    first = first_ms()
    rows.append(("the first in a kernel: imports, messages", first, first, "50"))
    taken = healthy(rounds)
    rows.append(
        ("a cell without an error", min(taken), statistics.median(taken), "0.01")
    )
    table(
        f"Explaining an error, CPU ms, {rounds} rounds",
        ("", "min", "median", "budget"),
        [(name, f"{low:.3g}", f"{mid:.3g}", wanted) for name, low, mid, wanted in rows],
    )


if __name__ == "__main__":
    main()

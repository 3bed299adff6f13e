"""Run the quickstart in a real Jupyter kernel and write it as a web page."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "examples" / "quickstart.ipynb"
BUILD = ROOT / "build" / "demo"
CELL_TIMEOUT_S = 300

# What the closing line quotes, asked of the kernel after the last cell.
QUESTIONS = {
    "device": "str(__import__('colabmagic.train.devices', fromlist=['*'])"
    ".resolve('auto').device)",
    "accuracy": "format(accuracy, '.1%')",
}


class AskingClient(NotebookClient):
    """Runs a notebook, then asks its kernel for a few values before it ends."""

    answers: dict[str, str]

    async def async_execute_cell(  # noqa: D102 (inherited)
        self,
        cell: nbformat.NotebookNode,
        cell_index: int,
        *arguments: object,
        **options: object,
    ) -> nbformat.NotebookNode:
        done = await super().async_execute_cell(cell, cell_index, *arguments, **options)
        if cell_index == len(self.nb.cells) - 1:
            self.answers = await self._ask()
        return done

    async def _ask(self) -> dict[str, str]:
        """Evaluate the questions in the kernel."""
        reply = await self.kc.execute(
            "", silent=True, user_expressions=QUESTIONS, reply=True, timeout=60
        )
        answers = {}
        for name, answer in reply["content"]["user_expressions"].items():
            if answer["status"] != "ok":
                message = f"{name}: {answer['ename']}: {answer['evalue']}"
                raise RuntimeError(message)
            answers[name] = answer["data"]["text/plain"].strip("'")
        return answers


def main() -> int:
    """Run, write, tell; any failing cell fails."""
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # this environment's kernel
    notebook = nbformat.read(SOURCE, as_version=4)
    client = AskingClient(notebook, timeout=CELL_TIMEOUT_S, kernel_name="python3")
    began = time.perf_counter()
    failure = None
    try:
        asyncio.run(client.async_execute(path=str(SOURCE.parent)))
    except CellExecutionError as error:
        failure = error
    seconds = time.perf_counter() - began

    BUILD.mkdir(parents=True, exist_ok=True)
    executed = BUILD / SOURCE.name
    page = executed.with_suffix(".html")
    nbformat.write(notebook, executed)
    html, _ = HTMLExporter().from_notebook_node(notebook)
    page.write_text(html, encoding="utf-8")
    print(f"notebook: {executed.relative_to(ROOT)}")
    print(f"web page: {page.relative_to(ROOT)}")
    if failure is not None:
        print(f"a cell failed:\n{failure}", file=sys.stderr)
        return 1
    answers = client.answers
    print(
        f"device {answers['device']}, accuracy {answers['accuracy']}, "
        f"{seconds:.1f} seconds"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Run the quickstart in a real Jupyter kernel and write it as a web page."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "examples" / "quickstart.ipynb"
BUILD = ROOT / "build" / "demo"
CELL_TIMEOUT_S = 300

# The pages need no network: they have no formulas, widgets or diagrams.
NOTHING_FROM_OUTSIDE = {"require_js_url": "", "mathjax_url": "", "mermaid_js_url": ""}

# What the closing line quotes, asked of the kernel after the last cell.
QUESTIONS = {
    "device": "__import__('colabmagic.train.service', fromlist=['*'])"
    ".last_outcome().device",
    "accuracy": "format(accuracy, '.1%')",
}


async def run(client: NotebookClient) -> dict[str, str]:
    """Run all cells, then ask the kernel the questions before it ends."""
    client.reset_execution_trackers()
    async with client.async_setup_kernel():
        for index, cell in enumerate(client.nb.cells):
            await client.async_execute_cell(cell, index)
        kernel: Any = client.kc
        reply = await kernel.execute(
            "", silent=True, user_expressions=QUESTIONS, reply=True, timeout=60
        )
    return dict(_answers(reply["content"]["user_expressions"]))


def _answers(expressions: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Read the kernel's answers; one that failed is an error here too."""
    for name, answer in expressions.items():
        if answer["status"] != "ok":
            message = f"{name}: {answer['ename']}: {answer['evalue']}"
            raise RuntimeError(message)
        yield name, answer["data"]["text/plain"].strip("'")


def main() -> int:
    """Run, write, tell; any failing cell fails."""
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # this environment's kernel
    notebook = nbformat.read(SOURCE, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],  # no warning about loopback ports
        resources={"metadata": {"path": str(SOURCE.parent)}},
    )
    began = time.perf_counter()
    failure = None
    try:
        answers = asyncio.run(run(client))
    except CellExecutionError as error:
        failure = error
    seconds = time.perf_counter() - began

    BUILD.mkdir(parents=True, exist_ok=True)
    executed = BUILD / SOURCE.name
    pages = {
        "light": executed.with_suffix(".html"),
        "dark": executed.with_name(f"{executed.stem}-dark.html"),
    }
    nbformat.write(notebook, executed)
    for theme, page in pages.items():
        html, _ = HTMLExporter(theme=theme, **NOTHING_FROM_OUTSIDE).from_notebook_node(
            notebook
        )
        page.write_text(html, encoding="utf-8")
    print(f"notebook: {executed.relative_to(ROOT)}")
    for theme, page in pages.items():
        print(f"web page, {theme}: {page.relative_to(ROOT)}")
    if failure is not None:
        print(f"a cell failed:\n{failure}", file=sys.stderr)
        return 1
    print(
        f"device {answers['device']}, accuracy {answers['accuracy']}, "
        f"{seconds:.1f} seconds"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

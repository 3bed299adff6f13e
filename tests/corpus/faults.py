"""Cut a case off at a random place, and judge what is left.

Whatever happens in the middle of a cell: everything is home, nothing is patched, the
device's memory is free, no parameter holds half an update, and the same notebook runs
through afterwards with the CPU's results.
"""

from __future__ import annotations

import math
import random
import signal
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch._dynamo

from tests.corpus import witness
from tests.corpus.notebook import CellFailedError
from tests.corpus.run import heal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.corpus.case import Case
    from tests.corpus.notebook import Notebook

FAULTS = ("interrupt", "memory")


def run_with_fault(
    notebook: Notebook, case: Case, fault: str, seed: int, device: str = "fake:1"
) -> tuple[bool, list[str]]:
    """Run a case whose cells under test are cut off at a random place.

    Parameters
    ----------
    notebook
        The shell.
    case
        What to run.
    fault
        One of `FAULTS`: Ctrl-C at a random time, or a device that is full at a random
        allocation.
    seed
        Chooses the place.
    device
        Where the cells run.

    Returns
    -------
    bool and list of str
        Whether the fault struck, and all that is wrong afterwards.
    """
    fake: Any = torch.fake  # type: ignore[attr-defined]
    chance = random.Random(f"{case.name} {seed}")  # noqa: S311 (nothing secret)
    problems: list[str] = []
    struck = False
    notebook.workers = 0  # a mode of an earlier case may have set it
    notebook.restart(extension=True)
    before = witness.entry_points()
    free = fake.stats(device)["current"]
    try:
        for cell in case.cells:
            if not cell.under_test:
                notebook.run(cell.source)
                continue
            place = chance.random()
            with _fault(fault, place, device):
                try:
                    notebook.run(f"%%train_on {device}\n{cell.source}")
                except CellFailedError as error:
                    struck = True
                    problems += _wrong_error(error.__cause__, fault)
            problems += _left(notebook, before, device, free)
            if struck:
                break
    except CellFailedError as error:
        problems.append(f"a plain cell failed: {error}")
    finally:
        heal(device)
        notebook.close()
    return struck, problems


@contextmanager
def _fault(fault: str, place: float, device: str) -> Iterator[None]:
    """Let the fault strike once, at a place between 0 and 1."""
    if fault == "memory":
        fake: Any = torch.fake  # type: ignore[attr-defined]
        # Early allocations are as likely as late ones: cells differ by a factor of 1000.
        fake.fail_allocation(device, round(math.exp(place * math.log(3000))))
        try:
            yield
        finally:
            heal(device)
        return
    # The processor's time, not the clock's: pytest-timeout has the other timer.
    outer = signal.signal(
        signal.SIGVTALRM, lambda *_: signal.raise_signal(signal.SIGINT)
    )
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.001 + place**3 * 0.15)
        yield
    except KeyboardInterrupt:
        pass  # it came when the cell had ended
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, outer)


def _wrong_error(error: BaseException | None, fault: str) -> list[str]:
    """Say what is wrong with the error that the cell ended with."""
    if fault == "interrupt":
        fits = isinstance(error, KeyboardInterrupt)
    else:
        fits = isinstance(error, torch.OutOfMemoryError) or (
            type(error).__name__ == "DeviceMemoryError"
        )
    if fits or error is None:
        return [] if fits else ["the cell ended without an error"]
    where = "".join(traceback.format_tb(error.__traceback__)[-12:])
    return [f"the cell ended with {error!r}, raised here:\n{where}"]


def _left(
    notebook: Notebook, before: dict[Any, Any], device: str, free: int
) -> list[str]:
    """Say what is not as it was before the cell."""
    problems = [
        f"{path} is on {where}"
        for path, where in witness.leftovers(notebook.namespace).items()
    ]
    patched = witness.still_patched(before, witness.entry_points())
    problems += [f"still patched: {each}" for each in patched[:8]]
    problems += [
        f"{name} is not finite"
        for name, value in notebook.namespace.items()
        if isinstance(value, torch.nn.Parameter) and not torch.isfinite(value).all()
    ]
    notebook.forget_error()
    held = torch.fake.stats(device)["current"] - free  # type: ignore[attr-defined]
    if held > 0:
        problems.append(f"{held} bytes of the device stay in use")
    return problems

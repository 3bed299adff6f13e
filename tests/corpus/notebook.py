"""A bare IPython shell that runs the cells of a case, one by one, as a person does."""

from __future__ import annotations

import gc
import random
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt  # noqa: F401 (loaded before the freeze, as the cells use it)
import numpy as np
import sklearn.datasets  # noqa: F401
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from torch.utils.data import DataLoader
from traitlets.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PLACE_OF_WORKERS = (
    5  # DataLoader(dataset, batch_size, shuffle, sampler, batch_sampler, …)
)


class CellFailedError(Exception):
    """A cell of a case ended with an error."""


@dataclass(slots=True)
class Printed:
    """What a cell wrote.

    Attributes
    ----------
    text
        Standard output and the shown results.
    warnings
        One line for each warning.
    """

    text: str = ""
    warnings: list[str] = field(default_factory=list)


class Notebook:
    """One shell; `restart` gives it an empty namespace.

    Attributes
    ----------
    workers
        How many workers a loader gets whose cell names none.
    """

    def __init__(self) -> None:
        self._clean = False
        self.workers = 0
        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.colors = "nocolor"
        if InteractiveShell.initialized():
            self.shell = InteractiveShell.instance()
        else:
            self.shell = InteractiveShell.instance(config=config)

    @property
    def namespace(self) -> dict[str, Any]:
        """Return the user's names."""
        names: dict[str, Any] = self.shell.user_ns
        return names

    def restart(self, *, extension: bool) -> None:
        """Forget all names, seed everything, load or unload the extension."""
        if not self._clean:
            self.close()
        gc.freeze()  # what torch has loaded so far is not searched again and again
        if extension:
            self.shell.extension_manager.load_extension("colabmagic")
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)

    def close(self) -> None:
        """Forget all names, results and errors, and unload the extension."""
        manager = self.shell.extension_manager
        if "colabmagic" in manager.loaded:
            manager.unload_extension("colabmagic")
        self.shell.reset(new_session=True)
        self.forget_error()
        self._clean = True

    def forget_error(self) -> None:
        """Let go of the last error, whose traceback holds what the cell computed."""
        self.shell.last_execution_result = None
        for name in ("last_type", "last_value", "last_traceback", "last_exc"):
            if hasattr(sys, name):
                delattr(sys, name)
        self.shell.InteractiveTB.tb = None
        gc.collect()

    def run(self, source: str) -> Printed:
        """Run a cell.

        Raises
        ------
        CellFailedError
            The cell raised; the error is the cause.
        """
        self._clean = False
        printed = Printed()
        with (
            warnings.catch_warnings(record=True) as caught,
            capture_output() as output,
            _default_workers(self.workers),
            _as_main(self.shell.user_module),
        ):
            warnings.simplefilter("default")
            result = self.shell.run_cell(source, store_history=True)
        printed.text = output.stdout
        printed.warnings = [str(each.message).partition("\n")[0] for each in caught]
        error = result.error_before_exec or result.error_in_exec
        if error is not None:
            lines = output.stdout.strip().splitlines()
            message = f"{type(error).__name__}: {error}\n" + "\n".join(lines[-25:])
            raise CellFailedError(message) from error
        return printed

    def evaluate(self, expression: str) -> object:
        """Return the value of an expression in the user's namespace."""
        return eval(expression, self.namespace)

    def counting(self, source: str, count: Callable[[str], None]) -> None:
        """Run a cell and report the name of each operator that runs."""
        from torch.utils._python_dispatch import TorchDispatchMode

        class Count(TorchDispatchMode):
            def __torch_dispatch__(
                self, func: Any, types: Any, args: Any = (), kwargs: Any = None
            ) -> Any:
                count(func._schema.name)
                return func(*args, **(kwargs or {}))

        with Count():
            self.run(source)


@contextmanager
def _as_main(module: Any) -> Iterator[None]:
    """Let a module be ``__main__``, as a kernel's only shell has it.

    Another shell of this process may have taken that name. A worker of a loader then
    cannot pickle the user's own classes: it drops the batch, which is waited for for ever.
    """
    before = sys.modules["__main__"]
    sys.modules["__main__"] = module
    try:
        yield
    finally:
        sys.modules["__main__"] = before


@contextmanager
def _default_workers(count: int) -> Iterator[None]:
    """Let loaders have workers by default, as if the cell had said so."""
    if not count:
        yield
        return
    original = DataLoader.__init__

    def init(loader: Any, *args: Any, **options: Any) -> None:
        if len(args) <= PLACE_OF_WORKERS:
            options.setdefault("num_workers", count)
        original(loader, *args, **options)

    DataLoader.__init__ = init  # type: ignore[method-assign]
    try:
        yield
    finally:
        DataLoader.__init__ = original  # type: ignore[method-assign]

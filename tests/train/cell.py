"""Run a cell on a device without IPython, as the magic does."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from colabmagic.train import service
from colabmagic.train.names import mentioned_names
from colabmagic.train.options import TrainOptions

if TYPE_CHECKING:
    from colabmagic.train.outcome import TrainOutcome

DEVICE = "fake:1"


@dataclass(slots=True)
class Notebook:
    """Names, and cells that run one after another.

    Attributes
    ----------
    names
        The user's namespace.
    """

    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 (whatever the user has)
        """Return the value of a name."""
        return self.names[name]

    def run(self, source: str) -> None:
        """Run an ordinary cell."""
        exec(compile(source, "<cell>", "exec"), self.names)  # noqa: S102

    def train_on(
        self,
        source: str,
        device: str = DEVICE,
        **options: Any,  # noqa: ANN401
    ) -> TrainOutcome:
        """Run a cell on a device; an error of the cell is raised again.

        Parameters
        ----------
        source
            The cell.
        device
            Where to.
        **options
            Of `TrainOptions`.
        """
        running = service.start(
            namespace=self.names,
            device=device,
            names=mentioned_names(ast.parse(source)),
            options=TrainOptions(**options),
        )
        try:
            self.run(source)
            return running.finish()
        except BaseException as error:  # Ctrl-C may come before interrupts wait
            running.finish(None, error)
            raise

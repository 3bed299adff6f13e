"""Run a cell more than once without IPython, as the magic does."""

from __future__ import annotations

import ast
import contextlib
import io
from typing import TYPE_CHECKING, Any

from colabmagic.train.names import mentioned_names
from colabmagic.train.options import TrainOptions
from colabmagic.train.repeat import RepeatedCell

if TYPE_CHECKING:
    from colabmagic.train.comparison import Comparison
    from colabmagic.train.outcome import TrainOutcome

DEVICE = "fake:1"


class Repeat:
    """One cell with ``--compare`` or ``--auto-batch``.

    Parameters
    ----------
    names
        The user's namespace.
    source
        The cell.
    **options
        Of `TrainOptions`.
    """

    def __init__(self, names: dict[str, Any], source: str, **options: Any) -> None:  # noqa: ANN401
        self.lines: list[str] = []
        self.shown: list[Comparison] = []
        self.names = names
        self._code = compile(source, "<cell>", "exec")
        self._cell = RepeatedCell(
            namespace=names,
            device=DEVICE,
            names=mentioned_names(ast.parse(source)),
            options=TrainOptions(**options),
            out=self.lines.append,
            told=set(),
            hidden=lambda: contextlib.redirect_stdout(io.StringIO()),
            show=self.shown.append,
        )

    def run(self) -> TrainOutcome | None:
        """Run the cell; an error of it is raised again when it is closed."""
        try:
            self._cell.run(lambda: exec(self._code, self.names))  # noqa: S102
        except BaseException as error:
            self._cell.finish(None, error)
            raise
        return self._cell.finish(None, None)

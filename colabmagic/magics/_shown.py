"""Reports that are shown once in the cell that made them, and brought up to date there."""

from __future__ import annotations

import contextlib
import dataclasses
from functools import cache
from typing import TYPE_CHECKING, Any

from IPython import get_ipython
from IPython.display import display

if TYPE_CHECKING:
    from colabmagic.report.document import Document


class ShownOnce:
    """Mixin of a report that a magic shows itself, and that is its value too.

    A magic in the middle of a cell must show by itself; at the end of a cell IPython
    shows the returned value as well. Later cells show it again.
    """

    _repr_mimebundle_: Any  # of the report

    def hide(self) -> None:
        """Do not show it in this cell."""
        object.__setattr__(self, "_shown_in", cell_number())  # frozen otherwise

    def _ipython_display_(self) -> None:
        """Show it, unless this cell has shown it already."""
        if getattr(self, "_shown_in", None) != cell_number():
            self.hide()
            display(self._repr_mimebundle_(), raw=True)


def once(report: Document) -> Any:  # noqa: ANN401 (of its class, and one more)
    """Return the same report, to be shown once in the cell that made it.

    Parameters
    ----------
    report
        A frozen dataclass; one that is shown once already is returned as it is.
    """
    if isinstance(report, ShownOnce):
        return report
    fields = dataclasses.fields(report)  # type: ignore[arg-type]
    values = {each.name: getattr(report, each.name) for each in fields}
    return _kind_shown_once(type(report))(**values)  # type: ignore[arg-type]


@cache
def _kind_shown_once(kind: type[Document]) -> type[Any]:
    """Return the class of a report that is shown once."""
    return type(f"Notebook{kind.__name__}", (ShownOnce, kind), {})


def cell_number() -> int:
    """Return the number of the cell that runs."""
    shell = get_ipython()
    return -1 if shell is None else int(shell.execution_count)


def is_last_line(magic: str) -> bool:
    """Tell whether the cell ends with the magic itself, or cannot be read.

    A cell magic has the whole cell: what stands below it is its body.
    """
    shell = get_ipython()
    if shell is None or shell.history_manager is None:
        return True
    lines = shell.history_manager.input_hist_raw[-1].strip().splitlines()
    first = next((line for line in lines if not line.startswith("#")), "")
    is_whole = first.startswith("%%") and magic in first
    return not lines or is_whole or magic in lines[-1]


def is_whole_terminal_cell(magic: str) -> bool:
    """Tell whether a terminal would print an empty ``Out`` after our own output."""
    shell = get_ipython()
    if getattr(shell, "kernel", None) is not None:
        return False
    if shell is None or shell.history_manager is None:
        return False
    typed = shell.history_manager.input_hist_raw[-1].strip()
    is_one = "\n" not in typed or typed.startswith("%%")
    is_alone = typed.lstrip("%").startswith(magic) and is_one
    return is_alone and not typed.endswith(";")  # a semicolon hides no problem


def send_update(
    publisher: Any,  # noqa: ANN401 (of any kernel, or of %%capture)
    display_id: str,
    data: dict[str, Any],
    parent: dict[str, Any],
) -> None:
    """Put something in the place of an output, from any thread.

    Nothing happens where no front end listens any more.

    Parameters
    ----------
    publisher
        The kernel's; under ``%%capture`` it has no session, and nobody sees updates.
    display_id
        Of the output.
    data
        By kind of text.
    parent
        Header of the message in whose name it is sent: that of a cell.
    """
    session = getattr(publisher, "session", None)
    socket = getattr(publisher, "pub_socket", None)
    if session is None or socket is None:
        return
    content = {"data": data, "metadata": {}, "transient": {"display_id": display_id}}
    # A kernel that shuts down has closed its sockets: that spoils nobody's work.
    with contextlib.suppress(Exception):
        session.send(
            socket, "update_display_data", content,
            parent=parent, ident=publisher.topic,
        )  # fmt: skip

"""A session is closed after its cell, whenever Ctrl-C comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.magics import _sessions
from tests.corpus.notebook import CellFailedError, Notebook

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def notebook() -> Iterator[Notebook]:
    """Give a shell with the extension."""
    notebook = Notebook()
    notebook.restart(extension=True)
    yield notebook
    notebook.close()


@pytest.mark.parametrize("times", [1, 3])
def test_ctrl_c_just_before_the_closing_does_not_prevent_it(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """It comes when the cell has failed and nothing holds interrupts back yet."""
    find = _sessions._error_of
    left = [KeyboardInterrupt] * times

    def interrupted(opened: Any) -> BaseException | None:  # noqa: ANN401
        if left:
            raise left.pop()
        return find(opened)

    monkeypatch.setattr(_sessions, "_error_of", interrupted)
    with pytest.raises(CellFailedError, match="ZeroDivisionError"):
        notebook.run("%%train_on cpu\n1 / 0")
    assert not left
    assert not _sessions._OPEN
    notebook.run("%%train_on cpu\n1 + 1")

"""Steps of long work, as a front end is told of them."""

from __future__ import annotations

import pytest

from colabmagic.drive.archive.steps import step
from tests.drive.archive.test_stage import Told


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_a_step_ends_however_its_work_does(error: type[BaseException] | None) -> None:
    """Else a bar that nobody fills would stay on the screen."""
    told = Told()
    try:
        with step(told, "unpack", "a\x1b[31mb.tar", 5):
            told.advance(3)
            assert told.steps[-1][3] is False
            if error is not None:
                raise error
    except (ValueError, KeyboardInterrupt) as raised:
        assert type(raised) is error  # noqa: PT017 (an interrupt is one of them)
    assert told.steps == [["unpack a [31mb.tar", 5, 3, True]]

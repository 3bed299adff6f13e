"""All that a person, a log or a notebook could see of an error."""

from __future__ import annotations

import traceback
from pathlib import Path

TESTS = str(Path(__file__).parents[1])


def everything(error: BaseException) -> str:
    """Return an error with the variables of all frames, also of errors behind it."""
    seen = []
    current: BaseException | None = error
    while current is not None:
        seen += [str(current), repr(current), repr(vars(current))]
        for frame, _ in traceback.walk_tb(current.__traceback__):
            if not frame.f_code.co_filename.startswith(TESTS):
                seen += [f"{name}={value!r}" for name, value in frame.f_locals.items()]
        current = current.__cause__ or current.__context__
    return "\n".join(seen)

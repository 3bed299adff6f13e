"""The README's notebook session: tested, run and photographed from the one text."""

from __future__ import annotations

import re

from tests.repo.project import text_of


def session_cells() -> list[str]:
    """Return the cells of the session; blank lines part them."""
    block = re.search(r"```python\n(%load_ext .*?)```", text_of("README.md"), re.DOTALL)
    assert block, "the README has no session"
    return [cell.strip("\n") for cell in block[1].split("\n\n")]

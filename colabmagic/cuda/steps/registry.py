"""Steps from plain data: the journal of another process names them by kind."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any, Final

from colabmagic.cuda.errors import CudaError
from colabmagic.report.plain import from_plain
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from colabmagic.cuda.steps.base import Step

# Steps that can stand in a journal as an inverse: those of all versions that wrote one.
KINDS: Final = {
    "command": "command:Command",
    "pip-restore": "pip:PipRestore",
    "restore-link": "system_link:RestoreLink",
    "unpublish": "publish:Unpublish",
    "unremove": "remove:Unremove",
    "deactivate": "activate:Deactivate",
}
# Those that change nothing but our folder and this process.
INSIDE: Final = frozenset({"unpublish", "unremove", "deactivate"})
_NAMES: Final = ("name", "token")  # of files in our folder


def step_from_dict(data: Mapping[str, Any]) -> Step:
    """Make a step anew.

    Parameters
    ----------
    data
        What its ``to_dict`` gave, perhaps as JSON.

    Raises
    ------
    CudaError
        The kind, or a field, is not known here: a later version wrote it.
    """
    fields = dict(data)
    kind = fields.pop("kind", None)
    try:
        module, name = KINDS[kind].split(":")
        found = getattr(
            importlib.import_module(f"colabmagic.cuda.steps.{module}"), name
        )
        made: Step = from_plain(found, _listed(fields))
        for each in _NAMES:
            _check_name(fields.get(each, "absent"))
        if fields.get("argv", True) in ((), []):
            raise ValueError(kind)  # noqa: TRY301 (of the same kind as those above)
    except (KeyError, TypeError, ValueError):
        raise CudaError(
            "an earlier change cannot be taken back by this version of colabmagic",
            seen=f"a step of the kind {clean(repr(kind))}",
            hint="%pip install --upgrade colabmagic",
        ) from None
    return made


def _listed(value: Any) -> Any:  # noqa: ANN401 (whatever JSON has)
    """Return JSON's lists for tuples."""
    if isinstance(value, dict):
        return {name: _listed(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [_listed(each) for each in value]
    return value


def _check_name(name: str) -> None:
    """Refuse the name of a file in our folder that leads out of it.

    Raises
    ------
    ValueError
        It does.
    """
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise ValueError(name)

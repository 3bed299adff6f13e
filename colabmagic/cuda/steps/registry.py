"""Steps from plain data: the journal of another process names them by kind."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from colabmagic.cuda.errors import CudaError
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


def step_from_dict(data: Mapping[str, Any]) -> Step:
    """Make a step anew.

    Parameters
    ----------
    data
        What its ``to_dict`` gave, perhaps as JSON.

    Raises
    ------
    CudaError
        The kind is not known here: a later version wrote it.
    """
    fields = dict(data)
    kind = fields.pop("kind", None)
    if kind not in KINDS:
        raise CudaError(
            "an earlier change cannot be taken back by this version of colabmagic",
            seen=f"a step of the kind {clean(repr(kind))}",
            hint="%pip install --upgrade colabmagic",
        )
    module, name = KINDS[kind].split(":")
    made: Step = getattr(
        importlib.import_module(f"colabmagic.cuda.steps.{module}"), name
    )(**{key: _plain(value) for key, value in fields.items()})
    return made


def _plain(value: Any) -> Any:  # noqa: ANN401 (whatever JSON has)
    """Return tuples for JSON's lists."""
    return tuple(_plain(each) for each in value) if isinstance(value, list) else value

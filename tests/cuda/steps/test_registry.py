"""Inverse steps of a journal."""

from __future__ import annotations

from typing import Any

import pytest

from colabmagic.cuda.errors import CudaError
from colabmagic.cuda.steps.registry import KINDS, step_from_dict


def test_an_unknown_kind_is_named() -> None:
    """A journal of a later version."""
    with pytest.raises(CudaError, match="cannot be taken back") as caught:
        step_from_dict({"kind": "teleport"})
    assert "'teleport'" in (caught.value.seen or "")


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"pip-restore"}))
def test_each_kind_is_a_step_of_that_kind(kind: str) -> None:
    """What the table names exists and says the same name."""
    fields = {
        "command": {"argv": ["true"], "what": "nothing"},
        "restore-link": {"link": "/a", "target": None},
        "unpublish": {"name": "13.0.3"},
        "unremove": {"name": "13.0.3"},
        "deactivate": {"pid": 1},
    }[kind]
    step = step_from_dict({"kind": kind, **fields})
    assert step.kind == kind
    assert step_from_dict(step.to_dict()) == step
    assert step.undo() == ()


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "unpublish", "name": "13.0.3", "of_a_later_version": 1},
        {"kind": "unpublish"},
        {"kind": "unpublish", "name": 3},
        {"kind": "unpublish", "name": "../../home"},
        {"kind": "unremove", "name": ".."},
        {"kind": "unremove", "name": "a\0b"},
        {"kind": "pip-restore", "token": "../x"},
        {"kind": "command", "argv": [], "what": "nothing"},
        {"kind": "command", "argv": [1], "what": "nothing"},
        {"kind": ["command"]},
        {},
    ],
)
def test_what_makes_no_sense_is_one_clear_error(data: dict[str, Any]) -> None:
    """A field of a later version, a name that leads out of our folder."""
    with pytest.raises(CudaError, match="cannot be taken back"):
        step_from_dict(data)

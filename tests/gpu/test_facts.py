"""The facts as data."""

from __future__ import annotations

import dataclasses

import pytest

from colabmagic.gpu import facts
from tests.gpu.machines import load


def test_facts_are_frozen() -> None:
    """Facts that were observed cannot be changed by those who judge them."""
    machine = load("colab_t4")
    with pytest.raises(dataclasses.FrozenInstanceError):
        machine.torch.version = "x"  # type: ignore[misc]
    for name in facts.__all__:
        kind = getattr(facts, name)
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            assert not hasattr(kind, "__dict__") or "__slots__" in vars(kind)


def test_unknown_shows_its_reason() -> None:
    """An unknown value says why in a report."""
    assert str(facts.Unknown("no driver")) == "unknown (no driver)"

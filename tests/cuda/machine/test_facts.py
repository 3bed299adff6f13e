"""Tests for `colabmagic.cuda.machine.facts`."""

from __future__ import annotations

import json

import pytest

from colabmagic.cuda.machine.facts import facts_from_dict, facts_to_dict
from tests.cuda.planning.machines import FOLDER, load, names


@pytest.mark.parametrize("name", names())
def test_round_trip(name: str) -> None:
    """All machines come back from JSON as they were."""
    facts = load(name)
    assert facts_from_dict(json.loads(json.dumps(facts_to_dict(facts)))) == facts


def test_what_does_not_fit() -> None:
    """A field that is unknown or missing is told."""
    data = json.loads((FOLDER / "colab_t4.json").read_text(encoding="utf-8"))
    with pytest.raises(ValueError, match="colour"):
        facts_from_dict({**data, "colour": "red"})
    del data["arch"]
    with pytest.raises(ValueError, match="arch"):
        facts_from_dict(data)


def test_words() -> None:
    """What is derived."""
    facts = load("kaggle_2xt4")
    assert facts.python_tag == "cp312"
    assert facts.capabilities == ((7, 5), (7, 5))
    assert facts.compilers[0].major == 11
    assert load("polluted").toolkits[0].minor is None

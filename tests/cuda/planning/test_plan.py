"""Tests for `colabmagic.cuda.planning.plan`."""

from __future__ import annotations

import json

from colabmagic.cuda.planning.make import make_plan
from colabmagic.cuda.planning.plan import METHODS, HostCompiler
from tests.cuda.planning.machines import load


def test_lines_are_those_of_the_steps() -> None:
    """What is shown is what the steps say of themselves."""
    made = make_plan("11.1", "", load("colab_t4"))
    assert made.lines() == tuple(line for step in made.steps for line in step.lines())
    data = json.loads(made.to_json())
    assert [line for step in data["steps"] for line in step["lines"]] == [*made.lines()]
    assert data["steps"][0]["kind"] == "fetch-redist"


def test_rejected() -> None:
    """All but the chosen way."""
    made = make_plan("11.1", "", load("colab_t4"))
    assert made.chosen is not None
    assert {each.method for each in made.rejected} == {*METHODS} - {made.chosen.method}
    assert made.basis == made.chosen.basis


def test_nothing_to_be_had() -> None:
    """A plan without a release has no steps, and is JSON all the same."""
    made = make_plan("12.7", "", load("colab_t4"))
    assert not made.can_run
    assert made.steps == ()
    assert made.basis is None
    data = json.loads(made.to_json())
    assert (data["release"], data["method"]) == (None, None)
    assert data["problems"][0]["code"] == "E01"


def test_packages_are_data() -> None:
    """The cell's part of the plan is in the JSON too."""
    made = make_plan("12.8", "torch\n", load("colab_t4"))
    assert json.loads(made.to_json())["packages"]["requirements"]


def test_a_compiler_is_there() -> None:
    """One of the machine, or one that is brought."""
    assert not HostCompiler(here=None).is_there
    assert HostCompiler(here=None, bring=10).is_there

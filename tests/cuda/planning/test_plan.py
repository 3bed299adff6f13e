"""Tests for `colabmagic.cuda.planning.plan`."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from colabmagic.cuda.planning.make import make_plan
from colabmagic.cuda.planning.plan import METHODS, HostCompiler, Options
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


@pytest.mark.parametrize("method", ["auto", "redist", "runfile"])
def test_no_password_of_a_mirror_stays_in_the_notebook(method: str) -> None:
    """Neither in what is shown, nor in what is saved beside it, nor in a traceback."""
    for login in ("me:s3cret", "me:x@s3cret", "me:'s3cret"):
        options = Options(method=method, mirror=f"https://{login}@host/nvidia")
        made = make_plan("12.4", "torch", load("colab_t4"), options)
        told = [made.text, made.to_json(), repr(made), str(made._repr_mimebundle_())]
        assert "host/nvidia" in made.to_json()
        assert not [each for each in told if "s3cret" in each]


@pytest.mark.parametrize(
    "mirror",
    [
        "",
        "nowhere",
        "://",
        "file:///etc",
        "javascript:alert(1)",
        "https://",
        "https://a b",
        "https://host?token=s3cret",
    ],
)
def test_a_mirror_that_is_none(mirror: str) -> None:
    """It is told before anything, also where no PyTorch is wanted, and only once."""
    options = Options(mirror=mirror)
    for body in ("", "torch"):
        made = make_plan("12.4", body, load("colab_t4"), options)
        assert not made.can_run
        (problem,) = made.problems
        assert "no mirror called" in problem.what
        assert problem.fix[0].startswith("--mirror ")
        assert "s3cret" not in made.text + made.to_json()


def test_a_processor_that_nobody_knows() -> None:
    """There is no toolkit for it, and no compiler either."""
    facts = replace(load("colab_t4"), arch="riscv128")
    for version in ("9.0", "11.1", "12.4", "auto"):
        made = make_plan(version, "", facts)
        assert not made.can_run
        assert made.problems[0].code == "E02"

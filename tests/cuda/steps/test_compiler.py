"""A host compiler is chosen, or brought; the toolkit's environment names it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.errors import NoHostCompilerError
from colabmagic.cuda.steps.compiler import BringCompiler, UseCompiler

if TYPE_CHECKING:
    from colabmagic.cuda.steps.base import Work

SUITE = "http://127.0.0.1/debian bookworm main"


def test_one_of_this_machine(work: Work) -> None:
    """Nvcc and CMake are told; flags that were there stay."""
    work.environment["NVCC_PREPEND_FLAGS"] = "-O2"
    step = UseCompiler(path="/usr/bin/g++-11")
    assert step.lines() == ("NVCC_PREPEND_FLAGS='-ccbin /usr/bin/g++-11'",)
    step.do(work)
    assert work.environment == {
        "NVCC_PREPEND_FLAGS": "-O2 -ccbin /usr/bin/g++-11",
        "CUDAHOSTCXX": "/usr/bin/g++-11",
    }


def test_a_path_with_a_space(work: Work) -> None:
    """Nvcc takes no quotes there: it is refused before anything fails strangely."""
    with pytest.raises(NoHostCompilerError) as caught:
        UseCompiler(path="/my drive/g++").do(work)
    assert caught.value.render() == [
        (
            "NoHostCompilerError: nvcc cannot be told of a host compiler whose path has a"
            " space in it."
        ),
        "  seen: /my drive/g++",
        "  try:  %env COLABMAGIC_HOME=/a/folder/without/spaces",
        "        (then run the cell again)",
    ]
    assert work.environment == {}


def test_the_plan_shows_what_is_fetched() -> None:
    """Each package is named, and where the compiler will lie."""
    step = BringCompiler(major=11, suites=(SUITE,), whole=True)
    lines = step.lines()
    assert "g++-11 gcc-11 cpp-11 libgcc-11-dev libstdc++-11-dev" in " ".join(lines)
    assert "with binutils and the C library's headers" in lines
    assert lines[-1] == "NVCC_PREPEND_FLAGS='-ccbin host/bin/g++-11'"
    assert (step.outside, step.undo()) == ((), ())


@pytest.mark.parametrize(
    "step",
    [
        UseCompiler(path="/usr/bin/g++"),
        BringCompiler(major=11, suites=(SUITE,), keyring="/k.gpg", whole=True),
    ],
)
def test_plain_data(step: UseCompiler | BringCompiler) -> None:
    """It comes back from JSON."""
    data = json.loads(json.dumps(step.to_dict()))
    assert data.pop("kind") == step.kind
    if "suites" in data:
        data["suites"] = tuple(data["suites"])
    assert type(step)(**data) == step

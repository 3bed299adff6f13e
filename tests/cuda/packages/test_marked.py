"""Markers and names of wheels tell for which machine a line is."""

from __future__ import annotations

import pytest

from colabmagic.cuda.packages.body import parse_body
from colabmagic.cuda.packages.marked import for_this_machine, wrong_wheels
from tests.cuda.machines import machine

T4 = machine("3.13", "T4")
HOST = "https://me:s3cret@example.org"


@pytest.mark.parametrize(
    ("marker", "kept"),
    [
        ("python_version >= '3.10'", True),  # 3.13 is later than 3.10, not a text
        ("python_version < '3.13'", False),
        ("sys_platform == 'linux'", True),
        ("sys_platform == 'win32' or platform_system == 'Darwin'", False),
        ("platform_machine == 'x86_64' and os_name == 'posix'", True),
        ("platform_machine == 'aarch64'", False),
        ("extra == 'gpu'", False),  # nobody asks for an extra in a cell
        ("implementation_name == 'cpython'", True),
    ],
)
def test_a_marker_is_that_of_the_facts(marker: str, *, kept: bool) -> None:
    """The machine of the plan counts, and not the one that makes it."""
    body = parse_body(f"numpy; {marker}")
    found, told, wrong = for_this_machine(body.requirements, T4)
    assert [each.name for each in found] == (["numpy"] if kept else [])
    assert len(told) == (not kept)
    assert wrong == []


def test_what_is_left_out_is_told() -> None:
    """With its line, and why; a password is not."""
    body = parse_body(f"timm\nx @ {HOST}/x.whl ; python_version < '3'")
    found, (note,), wrong = for_this_machine(body.requirements, T4)
    assert [each.name for each in found] == ["timm"]
    assert wrong == []
    assert note.what.startswith("line 2 is not for this machine: x @ https://****@")
    assert note.seen == "Python 3.13, x86_64"


def test_a_marker_without_sense_is_a_problem_with_the_line_that_works() -> None:
    """Its code is that of a line that is no requirement."""
    body = parse_body("numpy ; python_version ~= 'three'")
    found, told, (problem,) = for_this_machine(body.requirements, T4)
    assert (found, told) == ([], [])
    assert (problem.code, problem.fix) == ("E21", ("numpy",))


def test_places_have_no_marker() -> None:
    """A path, an address, what is edited: for every machine."""
    body = parse_body(f"./folder\n{HOST}/x-1.0-py3-none-any.whl\n-e .")
    found, told, wrong = for_this_machine(body.requirements, T4)
    assert found == list(body.requirements)
    assert (told, wrong) == ([], [])


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        (f"{HOST}/torch-2.5.1%2Bcu124-cp312-cp312-linux_x86_64.whl", True),
        (f"{HOST}/torch-2.5.1%2Bcu124-cp313-cp313-linux_x86_64.whl#sha256=0", False),
        (f"torchvision @ {HOST}/torchvision-0.20.1-cp39-cp39-linux_x86_64.whl", True),
        (f"{HOST}/torchaudio-0.9.0-py3-none-any.whl", False),
        (f"{HOST}/numpy-2.0-cp39-cp39-linux_x86_64.whl", False),  # pip says it itself
        (f"{HOST}/torch-is-no-wheel.whl", False),
        (f"torch @ {HOST}/torch.zip", False),
    ],
)
def test_a_wheel_of_pytorch_for_another_python(line: str, *, refused: bool) -> None:
    """Its name tells; what cannot be told is left to pip."""
    found = wrong_wheels(list(parse_body(line).requirements), T4)
    assert bool(found) is refused
    for each in found:
        assert each.code == "E11"
        assert "s3cret" not in f"{each.what} {each.seen} {each.fix}"
        assert each.fix[0].startswith("torch")

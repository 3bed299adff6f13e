"""The PyTorch for a cell: one limit after the other, and the first that leaves none."""

from __future__ import annotations

from typing import Any

import pytest

from colabmagic.cuda.machine.facts import Gpu, TorchHere
from colabmagic.cuda.packages.body import parse_body
from colabmagic.cuda.packages.choose import Choice, choose_torch
from colabmagic.report.model import Unknown
from tests.cuda.machines import machine

HERE = TorchHere(version="2.6.0+cu124", cuda="12.4")


def choose(  # noqa: PLR0913 (a machine and a wish)
    body: str,
    cuda: str,
    *,
    python: str = "3.12",
    gpu: str | None = "T4",
    here: TorchHere | None = None,
    label: str | None = None,
    asked: bool = False,
    **facts: Any,  # noqa: ANN401
) -> Choice:
    """Return the choice for the lines of a cell."""
    return choose_torch(
        parse_body(body).requirements,
        cuda,
        machine(python, gpu, torch=here, **facts),
        label=label,
        torch_asked=asked,
    )


def version(made: Choice) -> str | None:
    """Return what was chosen."""
    return made.build.version if made.build is not None else None


@pytest.mark.parametrize(
    ("body", "cuda", "chosen"),
    [
        ("torch", "12.4", "2.6.0+cu124"),  # the newest of that very CUDA
        ("torch<2.6", "12.4", "2.5.1+cu124"),
        ("torch==2.5.1+cu124", "12.4", "2.5.1+cu124"),
        ("torch==2.5.1+cu124", "12.1", "2.5.1+cu124"),  # its label decides
        ("torch==2.5.1\ntorch<3", "12.1", "2.5.1+cu121"),  # two lines, both hold
        ("torchvision==0.20.1", "12.4", "2.5.1+cu124"),  # its companion decides
        ("torch\ntorchvision==0.20.1", "12.1", "2.5.1+cu121"),
    ],
)
def test_what_is_chosen(body: str, cuda: str, chosen: str) -> None:
    """All wishes of the family hold at once."""
    assert version(choose(body, cuda)) == chosen


def test_without_a_wish_it_is_asked_for() -> None:
    """``--torch``: the newest that fits."""
    assert version(choose("", "12.8", asked=True)) == "2.11.0+cu128"


@pytest.mark.parametrize(
    ("label", "chosen"),
    [("cu121", "2.5.1+cu121"), ("cu999", "2.6.0+cu124"), (None, "2.6.0+cu124")],
)
def test_the_index_that_the_cell_names(label: str | None, chosen: str) -> None:
    """It counts as far as there is such a build."""
    assert version(choose("torch", "12.4", label=label)) == chosen


def test_what_is_here_and_fits_stays() -> None:
    """Also where a newer one is to be had."""
    made = choose("torch", "12.4", here=HERE)
    assert (version(made), made.is_here, made.warnings) == ("2.6.0+cu124", True, ())


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        ("torch==2.5.1", {}),  # another version is wanted
        ("torch", {"label": "cu121"}),  # another build is
        ("torch", {"gpu": "RTX 5090"}),  # it has no code for the GPU
        ("torch", {"here": TorchHere(version="2.6.0+cpu", cuda=None)}),
        ("torch", {"here": TorchHere(version="2.99.0+cu124", cuda="12.4")}),
    ],
)
def test_what_is_here_and_does_not_fit_goes(body: str, changed: dict[str, Any]) -> None:
    """Another one is chosen, without a word of it as a failure."""
    made = choose(body, "12.4", **{"here": HERE, **changed})
    assert made.problem is None
    assert not made.is_here
    assert made.build is not None


def test_a_companion_alone_keeps_the_pytorch_that_is_here() -> None:
    """Of another minor CUDA, too: nobody has asked for another PyTorch."""
    made = choose("torchvision", "12.8", here=HERE)
    assert (version(made), made.is_here) == ("2.6.0+cu124", False)
    assert [each.code for each in made.warnings] == ["E18"]
    # One that does not go with it decides by itself.
    assert version(choose("torchvision==0.20.1", "12.4", here=HERE)) == "2.5.1+cu124"


@pytest.mark.parametrize("label", ["cpu", "cpu.cxx11.abi", "rocm6.2", "xpu"])
def test_a_build_of_another_platform(label: str) -> None:
    """It takes no CUDA: the same version without the label does."""
    problem = choose(f"torch==2.5.1+{label}", "12.4").problem
    assert problem is not None
    assert (problem.code, problem.fix) == ("E14", ("torch==2.5.1",))
    assert problem.seen == f"its label is +{label}"


@pytest.mark.parametrize(
    ("body", "cuda", "changed", "code", "what"),
    [
        ("torch==99", "12.4", {}, "E11", "no PyTorch is known that is torch==99"),
        ("torch>2\ntorch<1", "12.4", {}, "E11", "that is torch<1,>2"),
        (
            "torch==2.5.1\ntorchvision==0.21.0",
            "12.4",
            {},
            "E11",
            "torch==2.5.1, torchvision==0.21.0 do not go together",
        ),
        ("torch==2.6.0", "13.0", {}, "E18", "torch 2.6.0 is not built for CUDA 13"),
        (
            "torchvision==0.15.2",
            "12.4",
            {"python": "3.11"},
            "E18",
            "torch 2.0.1 is not built for CUDA 12",
        ),
        ("torch==1.10.1", "11.3", {}, "E11", "has no wheel for Python 3.12"),
        ("torch==2.6.0", "12.4", {"gpu": "RTX 5090"}, "E07", "for RTX 5090 (sm_120)"),
    ],
)
def test_the_first_limit_that_leaves_none(
    body: str, cuda: str, changed: dict[str, Any], code: str, what: str
) -> None:
    """Version, then CUDA, then Python, then GPU; each with a cell that works."""
    made = choose(body, cuda, **changed)
    assert made.build is None
    assert made.problem is not None
    assert made.problem.code == code
    assert what in made.problem.what
    first, *rest = made.problem.fix[0].splitlines()
    again = choose("\n".join(rest), first.split()[1], **changed)
    assert again.problem is None


def test_a_gpu_that_does_not_tell_what_it_is_forbids_nothing() -> None:
    """What is not known is no limit, and no name for an error."""
    silent = (Gpu(name="GPU 0", capability=Unknown("it is busy")),)
    assert version(choose("torch", "12.4", gpus=silent)) == "2.6.0+cu124"


def test_of_two_gpus_both_need_code() -> None:
    """The older one is what a build may lack."""
    gpus = (
        Gpu(name="RTX 5090", capability=(12, 0)),
        Gpu(name="P100", capability=(6, 0)),
    )
    problem = choose("torch", "12.8", gpus=gpus).problem
    assert problem is not None
    assert problem.code == "E07"
    assert "RTX 5090 (sm_120), P100 (sm_60)" in problem.what
    assert problem.fix[0].startswith("%gpu_check")  # no build has both
    assert choose("torch", "12.8", gpus=gpus[:1]).problem is None
    assert choose("torch", "12.8", gpus=gpus[1:]).problem is None


@pytest.mark.parametrize("as_lines", [True, False])
@pytest.mark.parametrize("name", ["torch", "torchvision"])
def test_more_conditions_than_anybody_writes(name: str, *, as_lines: bool) -> None:
    """Weighed together they would take minutes; a hundred are weighed."""

    def body(count: int) -> str:
        parts = [f"!=0.0.{number}" for number in range(count)]
        return f"\n{name}".join(["", *parts]) if as_lines else name + ",".join(parts)

    assert choose(body(100), "12.4").problem is None
    problem = choose(body(1000), "12.4").problem
    assert problem is not None
    assert problem.code == "E21"
    assert problem.what == (f"the cell has 1000 conditions for the version of {name}")
    assert problem.fix == (name,)


def test_the_same_condition_again_is_one() -> None:
    """Pasted twice, or in two files."""
    assert version(choose("torch==2.5.1\n" * 500, "12.4")) == "2.5.1+cu124"


def test_a_long_wish_is_told_in_short() -> None:
    """Its beginning is enough."""
    many = ",".join(f"!=0.0.{number}" for number in range(90))
    problem = choose(f"torch>99,{many}", "12.4").problem
    assert problem is not None
    assert problem.what.endswith("…")
    assert len(problem.what) < 200

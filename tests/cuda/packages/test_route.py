"""Which PyTorch, from which index, or why none: by CUDA, Python and GPU."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.machine.facts import TorchHere
from colabmagic.cuda.packages.body import parse_body
from colabmagic.cuda.packages.route import DEFAULT, PackagesPlan, route
from colabmagic.cuda.planning.plan import Options
from colabmagic.data import compat
from tests.cuda.machines import machine

if TYPE_CHECKING:
    from colabmagic.cuda.machine.facts import MachineFacts

INDEX = "https://download.pytorch.org/whl"
PAGE = f"{INDEX}/torch_stable.html"


def plan(
    cuda: str, facts: MachineFacts, body: str, options: Options | None = None
) -> PackagesPlan:
    """Return the plan for a body."""
    return route(parse_body(body), compat.newest_of(cuda), facts, options or Options())


# CUDA, Python, GPU, the cell; then index and pins. The reason stands above each.
WORKS = [
    # The newest PyTorch of that CUDA: 2.15 has no cu130 build.
    ("13.0", "3.13", "T4", "torch", f"{INDEX}/cu130", ["torch==2.14.1+cu130"]),
    # 2.11 was the last one with cu128; torchvision 0.26 is built against it.
    (
        "12.8",
        "3.13",
        "T4",
        "torch torchvision",
        f"{INDEX}/cu128",
        ["torch==2.11.0+cu128", "torchvision==0.26.0+cu128"],
    ),
    # cu126 is the last build with Pascal, 2.13 its last release.
    ("12.6", "3.13", "P100", "torch", f"{INDEX}/cu126", ["torch==2.13.0+cu126"]),
    # cu128 has no Pascal since 2.8: the nearest build of the same major version.
    ("12.8", "3.13", "P100", "torch", f"{INDEX}/cu126", ["torch==2.13.0+cu126"]),
    # Blackwell begins with cu128.
    ("12.8", "3.13", "RTX 5090", "torch", f"{INDEX}/cu128", ["torch==2.11.0+cu128"]),
    # CUDA 12.4 itself has no Blackwell build: the nearest of 12 that has.
    ("12.4", "3.13", "RTX 5090", "torch", f"{INDEX}/cu128", ["torch==2.11.0+cu128"]),
    # The pin decides; torchvision 0.15.2 goes with 2.0.1.
    (
        "11.8",
        "3.11",
        "H100",
        "torch==2.0.1 torchvision",
        f"{INDEX}/cu118",
        ["torch==2.0.1+cu118", "torchvision==0.15.2+cu118"],
    ),
    # 2.7.1 is the last release with cu118.
    ("11.8", "3.13", "A100", "torch", f"{INDEX}/cu118", ["torch==2.7.1+cu118"]),
    # The tutorials' own case, on the Python of their time: the page of links.
    (
        "11.1",
        "3.9",
        "T4",
        "torch==1.10.1 torchvision",
        PAGE,
        ["torch==1.10.1+cu111", "torchvision==0.11.2+cu111"],
    ),
    # A free torch where cu111 has none for this Python: the same major version.
    ("11.1", "3.13", "T4", "torch", f"{INDEX}/cu118", ["torch==2.7.1+cu118"]),
    # A label is understood; torchaudio had no label then.
    (
        "11.0",
        "3.8",
        "A100",
        "torch==1.7.1+cu110 torchvision torchaudio",
        PAGE,
        ["torch==1.7.1+cu110", "torchvision==0.8.2+cu110", "torchaudio===0.7.2"],
    ),
    # 10.2 was the default build of 1.7.1: pip's own index has it, without a label.
    (
        "10.2",
        "3.8",
        "V100",
        "torch==1.7.1 torchvision",
        DEFAULT,
        ["torch==1.7.1", "torchvision==0.8.2"],
    ),
    # Pascal has had code in cu90 builds: the default one of 1.1.0.
    ("9.0", "3.7", "P100", "torch==1.1.0", DEFAULT, ["torch==1.1.0"]),
    # Volta's code runs on Turing, also in a build that knows no Turing.
    ("9.2", "3.7", "T4", "torch==1.4.0", PAGE, ["torch==1.4.0+cu92"]),
    # All three pinned as PyTorch's page has them.
    (
        "12.4",
        "3.12",
        "L4",
        "torch==2.4.1 torchvision==0.19.1 torchaudio==2.4.1",
        f"{INDEX}/cu124",
        [
            "torch==2.4.1+cu124",
            "torchvision==0.19.1+cu124",
            "torchaudio==2.4.1+cu124",
        ],
    ),
    # 2.9.1 has no cu121: the nearest build of CUDA 12.
    ("12.1", "3.12", "T4", "torch==2.9.1", f"{INDEX}/cu126", ["torch==2.9.1+cu126"]),
    # The newest of all.
    ("13.2", "3.14", "B200", "torch", f"{INDEX}/cu132", ["torch==2.15.0+cu132"]),
    # 2.15 begins with Python 3.11.
    ("13.2", "3.10", "H100", "torch", f"{INDEX}/cu132", ["torch==2.14.1+cu132"]),
    # There is no cu135: the nearest below.
    ("13.5", "3.15", "H100", "torch", f"{INDEX}/cu132", ["torch==2.15.0+cu132"]),
    # No GPU: nothing but CUDA and Python counts.
    ("12.4", "3.13", None, "torch", f"{INDEX}/cu124", ["torch==2.6.0+cu124"]),
    # Kepler ended with 2.0.
    ("11.8", "3.11", "K80", "torch", f"{INDEX}/cu118", ["torch==2.0.1+cu118"]),
    # 12.5 never had a build: 12.4 and 12.6 are as near, the newer PyTorch wins.
    ("12.5", "3.13", "T4", "torch", f"{INDEX}/cu126", ["torch==2.13.0+cu126"]),
    # cu129 kept Volta.
    ("12.9", "3.13", "V100", "torch", f"{INDEX}/cu129", ["torch==2.11.0+cu129"]),
    # A companion alone brings the PyTorch that it was built against.
    (
        "12.4",
        "3.12",
        "T4",
        "torchaudio==2.4.1",
        f"{INDEX}/cu124",
        ["torch==2.4.1+cu124", "torchaudio==2.4.1+cu124"],
    ),
    # torchaudio ends with 2.11: so does what goes with it.
    (
        "13.0",
        "3.13",
        "T4",
        "torch torchaudio",
        f"{INDEX}/cu130",
        ["torch==2.11.0+cu130", "torchaudio==2.11.0+cu130"],
    ),
    # A range is a wish too.
    ("12.4", "3.12", "T4", "torch>=2.4,<2.5", f"{INDEX}/cu124", ["torch==2.4.1+cu124"]),
]


@pytest.mark.parametrize(
    ("cuda", "python", "gpu", "body", "index", "pins"),
    WORKS,
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_the_right_build_from_the_right_index(  # noqa: PLR0913, PLR0917 (a table)
    cuda: str, python: str, gpu: str | None, body: str, index: str, pins: list[str]
) -> None:
    """CUDA, Python and GPU decide; everything else comes from pip's own index."""
    lines = "\n".join([*body.split(" "), "numpy<2"])
    found = plan(cuda, machine(python, gpu), lines)
    assert found.problems == ()
    groups = {where: list(which) for where, which in found.groups.items()}
    if index == DEFAULT:
        assert groups == {DEFAULT: [*pins, "numpy<2"]}
    else:
        assert groups == {index: pins, DEFAULT: ["numpy<2"]}
    (step,) = found.steps
    assert [*step.requirements] == [*pins, "numpy<2"]  # type: ignore[attr-defined]


UV_39 = (
    "!uv venv --python 3.9 ~/torch-1.10.1",
    (
        f"!uv pip install --python ~/torch-1.10.1 -f {PAGE} 'torch==1.10.1+cu111' "
        "'torchvision==0.11.2+cu111'"
    ),
    "!~/torch-1.10.1/bin/python YOUR_SCRIPT.py",
)
# CUDA, Python, GPU, the cell; then code, what, seen, and what to type.
REFUSED = [
    # The wheels of 1.10.1 end at Python 3.9: another torch, or another Python.
    (
        ("11.1", "3.13", "T4", "torch==1.10.1 torchvision"),
        "E11",
        "torch 1.10.1+cu111 has no wheel for Python 3.13",
        "its wheels: Python 3.6 to 3.9",
        (
            "%%cuda_install 11.8\ntorch==2.5.1\ntorchvision==0.20.1",
            "%%cuda_install 12.1\ntorch==2.5.1\ntorchvision==0.20.1",
            *UV_39,
        ),
    ),
    # Nothing of CUDA 10 was built for Python 3.13.
    (
        ("10.2", "3.13", "T4", "torch"),
        "E11",
        "torch 1.12.1+cu102 has no wheel for Python 3.13",
        "its wheels: Python 3.7 to 3.10",
        (
            "%%cuda_install 11.8\ntorch==2.5.1",
            "%%cuda_install 12.1\ntorch==2.5.1",
            "!uv venv --python 3.10 ~/torch-1.12.1",
            (
                "!uv pip install --python ~/torch-1.12.1 --torch-backend cu102 "
                "'torch==1.12.1'"
            ),
            "!~/torch-1.12.1/bin/python YOUR_SCRIPT.py",
        ),
    ),
    # CUDA 13 dropped Pascal.
    (
        ("13.0", "3.13", "P100", "torch"),
        "E07",
        "torch 2.14.1+cu130 has no kernels for P100 (sm_60)",
        "it has: sm_75 80 86 90 100 120",
        ("%%cuda_install 12.6\ntorch==2.13.0", "%%cuda_install 12.4\ntorch==2.6.0"),
    ),
    # Blackwell did not exist then.
    (
        ("12.1", "3.12", "RTX 5090", "torch==2.4.1"),
        "E07",
        "torch 2.4.1+cu121 has no kernels for RTX 5090 (sm_120)",
        "it has: sm_50 60 70 75 80 86 90",
        ("%%cuda_install 12.8\ntorch==2.7.1", "%%cuda_install 12.9\ntorch==2.8.0"),
    ),
    # Two major versions of CUDA do not share a program: change the toolkit.
    (
        ("13.0", "3.12", "T4", "torch==2.4.1"),
        "E18",
        "torch 2.4.1 is not built for CUDA 13",
        "its builds: CUDA 11.8, 12.1, 12.4",
        ("%%cuda_install 12.4\ntorch==2.4.1", "%%cuda_install 12.1\ntorch==2.4.1"),
    ),
    # On Colab an older runtime has the Python that 1.13.1 wants.
    (
        ("11.7", "3.13", "T4", "torch==1.13.1"),
        "E11",
        "torch 1.13.1+cu117 has no wheel for Python 3.13",
        "its wheels: Python 3.7 to 3.11",
        (
            "%%cuda_install 11.8\ntorch==2.5.1",
            "%%cuda_install 12.1\ntorch==2.5.1",
            (
                "Runtime > Change runtime type > Runtime version: 2025.07 (Python 3.11), "
                "then this cell again"
            ),
            "!uv venv --python 3.11 ~/torch-1.13.1",
            (
                "!uv pip install --python ~/torch-1.13.1 --torch-backend cu117 "
                "'torch==1.13.1'"
            ),
            "!~/torch-1.13.1/bin/python YOUR_SCRIPT.py",
        ),
    ),
    # torchvision 0.20 belongs to 2.5.
    (
        ("12.8", "3.13", "T4", "torch==2.8.0 torchvision==0.20.0"),
        "E11",
        "torch==2.8.0, torchvision==0.20.0 do not go together",
        "with torch 2.8.0 goes torchvision 0.23.0",
        (
            "%%cuda_install 12.8\ntorch==2.8.0\ntorchvision==0.23.0",
            "%%cuda_install 12.6\ntorch==2.8.0\ntorchvision==0.23.0",
        ),
    ),
    # A build for the CPU is no use here.
    (
        ("12.4", "3.12", "T4", "torch==2.4.1+cpu"),
        "E14",
        "torch==2.4.1+cpu is a build without CUDA",
        "its label is +cpu",
        ("torch==2.4.1",),
    ),
    # There is no such release.
    (
        ("12.4", "3.12", "T4", "torch==9.9"),
        "E11",
        "no PyTorch is known that is torch==9.9",
        f"the newest in the table of {compat.as_of()} is 2.15.0, the oldest 0.4.0",
        ("%%cuda_install 12.4\ntorch==2.6.0", "%%cuda_install 12.6\ntorch==2.13.0"),
    ),
    # torchaudio has no release for it.
    (
        ("13.2", "3.13", "T4", "torch==2.15.0 torchaudio"),
        "E11",
        "torch==2.15.0, torchaudio do not go together",
        "with torch 2.15.0 goes no torchaudio that is known",
        (
            "%%cuda_install 13.0\ntorch==2.11.0\ntorchaudio==2.11.0",
            "%%cuda_install 12.9\ntorch==2.11.0\ntorchaudio==2.11.0",
        ),
    ),
]


@pytest.mark.parametrize(
    ("case", "code", "what", "seen", "fix"), REFUSED, ids=lambda value: str(value)[:60]
)
def test_what_cannot_be_is_refused_with_the_nearest_that_works(
    case: tuple[str, str, str, str],
    code: str,
    what: str,
    seen: str,
    fix: tuple[str, ...],
) -> None:
    """The failing limit is named; nothing would be done."""
    cuda, python, gpu, body = case
    found = plan(cuda, machine(python, gpu), body.replace(" ", "\n"))
    (problem,) = found.problems
    assert (problem.code, problem.what, problem.seen) == (code, what, seen)
    assert problem.fix == fix
    assert found.steps == ()


@pytest.mark.parametrize("case", [each[0] for each in REFUSED], ids=str)
def test_every_cell_that_is_advised_works(case: tuple[str, str, str, str]) -> None:
    """What a refusal tells to type is not refused."""
    cuda, python, gpu, body = case
    facts = machine(python, gpu)
    for fix in plan(cuda, facts, body.replace(" ", "\n")).problems[0].fix:
        if fix.startswith("%%cuda_install"):
            first, _, rest = fix.partition("\n")
            again = plan(first.removeprefix("%%cuda_install "), facts, rest)
            assert again.problems == ()


def test_no_cell_of_any_machine_ends_in_an_error_of_ours() -> None:
    """For all CUDAs, Pythons and GPUs there is a build or one refusal."""
    for cuda in compat.minors():
        for minor in range(6, 16):
            for gpu in ("K80", "P100", "T4", "H100", "RTX 5090", None):
                found = plan(cuda, machine(f"3.{minor}", gpu), "torch\ntorchvision")
                assert bool(found.steps) != bool(found.problems)
                assert len(found.problems) <= 1
                if found.problems:
                    assert found.problems[0].fix


def test_an_installed_torch_of_this_cuda_stays() -> None:
    """A free torch that is here already and fits is not replaced by a newer one."""
    here = TorchHere(version="2.10.0+cu128", cuda="12.8", is_imported=True)
    facts = machine("3.13", "T4", torch=here)
    found = plan("12.8", facts, "torch\ntorchvision")
    assert found.problems == ()
    assert found.groups == {
        f"{INDEX}/cu128": ("torch==2.10.0+cu128", "torchvision==0.25.0+cu128")
    }
    assert found.changes == ()


def test_an_installed_torch_without_label_stays_too() -> None:
    """PyPI's own build has no label: asking for one would install it anew."""
    here = TorchHere(version="2.14.0", cuda="13.0")
    found = plan("13.0", machine("3.13", "T4", torch=here), "torch\ntorchvision")
    assert found.groups == {DEFAULT: ("torch==2.14.0", "torchvision==0.29.0")}


def test_a_companion_goes_with_the_torch_that_is_here() -> None:
    """Torchvision alone does not bring another PyTorch."""
    here = TorchHere(version="2.10.0+cu128", cuda="12.8")
    found = plan("12.8", machine("3.13", "T4", torch=here), "torchvision")
    assert found.groups == {
        f"{INDEX}/cu128": ("torch==2.10.0+cu128", "torchvision==0.25.0+cu128")
    }


def test_an_imported_torch_is_not_replaced_unasked() -> None:
    """The plan says so before anything is fetched; ``--yes`` allows it."""
    here = TorchHere(version="2.11.0+cu128", cuda="12.8", is_imported=True)
    facts = machine("3.13", "T4", torch=here)
    found = plan("11.8", facts, "torch")
    (problem,) = found.problems
    assert problem.code == "E12"
    assert (
        problem.what == "this kernel has imported torch, and the cell would change it"
    )
    assert problem.seen == "torch 2.11.0+cu128 → 2.7.1+cu118"
    assert problem.fix == (
        "restart the kernel, then run this cell before all others",
        "%%cuda_install 11.8 --yes   and restart afterwards",
    )
    assert found.steps == ()
    willing = plan("11.8", facts, "torch", Options(yes=True))
    assert willing.problems == ()
    assert willing.changes == ("torch 2.11.0+cu128 → 2.7.1+cu118",)


def test_companions_that_stay_behind_are_named() -> None:
    """A torchvision of the PyTorch of before does not load with the new one."""
    here = TorchHere(version="2.11.0+cu128", cuda="12.8")
    facts = machine("3.13", "T4", torch=here)
    found = plan("11.8", facts, "torch\ntorchvision")
    assert found.warnings[-1].what == (
        "an installed torchaudio stays as it is, and goes with the PyTorch of before"
    )
    assert found.warnings[-1].fix == ("torchaudio",)
    all_of_them = plan("11.8", facts, "torch\ntorchvision\ntorchaudio")
    assert not any("stays as it is" in each.what for each in all_of_them.warnings)
    unchanged = plan("12.8", facts, "torch")
    assert not any("stays as it is" in each.what for each in unchanged.warnings)


def test_an_imported_numpy_is_not_replaced_unasked() -> None:
    """A pin that differs from what is imported is refused at once."""
    facts = machine("3.13", "T4", imported={"numpy": "2.1.0"})
    (problem,) = plan("13.0", facts, "numpy==1.26.4").problems
    assert (problem.code, problem.seen) == ("E12", "numpy 2.1.0 → 1.26.4")
    assert plan("13.0", facts, "numpy==2.1.0").problems == ()


def test_the_index_of_the_tutorial_is_used_for_torch_alone() -> None:
    """A pasted index of PyTorch picks the build, and serves nothing else."""
    body = "torch==2.4.1 --index-url https://download.pytorch.org/whl/cu121\nnumpy"
    found = plan("12.4", machine("3.12", "T4"), body)
    assert found.groups == {
        f"{INDEX}/cu121": ("torch==2.4.1+cu121",),
        DEFAULT: ("numpy",),
    }
    assert "is used for PyTorch alone" in found.warnings[0].what
    (step,) = found.steps
    assert step.options == ()  # type: ignore[attr-defined]


def test_own_indexes_and_options_reach_pip_without_being_shown() -> None:
    """The user's index serves the rest; its password is nowhere in the plan."""
    body = "--extra-index-url https://me:s3cr3t@host/simple\n--pre\n-U\nmine"
    found = plan("13.0", machine("3.13", "T4"), body)
    (step,) = found.steps
    assert step.options == (  # type: ignore[attr-defined]
        "--extra-index-url https://me:s3cr3t@host/simple",
        "--pre",
    )
    assert step.command_options == ("--upgrade",)  # type: ignore[attr-defined]
    shown = f"{found}{found.to_dict()}{list(step.lines())}"
    assert "s3cr3t" not in shown
    assert "https://****@host/simple" in shown


@pytest.mark.parametrize(
    ("mirror", "index"),
    [
        ("nju", "https://mirrors.nju.edu.cn/pytorch/whl/cu128"),
        ("aliyun", "https://mirrors.aliyun.com/pytorch-wheels/cu128"),
        ("https://example.org/torch", "https://example.org/torch/cu128"),
    ],
)
def test_mirrors(mirror: str, index: str) -> None:
    """A mirror serves the wheels, and PyTorch their checksums."""
    found = plan("12.8", machine("3.13", "T4"), "torch", Options(mirror=mirror))
    assert list(found.groups) == [index]
    (step,) = found.steps
    assert step.lines()[-1] == f"with checksums of {INDEX}/cu128"


@pytest.mark.parametrize(
    ("mirror", "what"),
    [
        ("tuna", "the mirror tuna has no wheels of PyTorch for a CUDA of its own"),
        ("nowhere", "there is no mirror called 'nowhere'"),
    ],
)
def test_mirrors_without_torch(mirror: str, what: str) -> None:
    """It is said, and those that have it are named."""
    found = plan("12.8", machine("3.13", "T4"), "torch", Options(mirror=mirror))
    (problem,) = found.problems
    assert (problem.code, problem.what) == ("E09", what)
    assert problem.fix == ("--mirror nju", "--mirror aliyun")


def test_markers_are_those_of_the_machine() -> None:
    """A line for another Python is left out, and that is said."""
    body = 'numpy<2; python_version < "3.12"\nnumpy>=2; python_version >= "3.12"'
    found = plan("13.0", machine("3.13", "T4"), body)
    assert found.requirements == ('numpy>=2; python_version >= "3.12"',)
    assert found.warnings[0].what.startswith("line 1 is not for this machine")


def test_a_wheel_of_torch_for_another_python_is_refused() -> None:
    """The URL of the tutorial names a Python that the kernel is not."""
    body = f"{INDEX}/cu111/torch-1.10.1%2Bcu111-cp39-cp39-linux_x86_64.whl"
    found = plan("11.1", machine("3.13", "T4"), body)
    assert found.problems[0].code == "E11"
    assert found.problems[0].seen == "it is for cp39"


def test_nothing_wanted_is_no_step() -> None:
    """An empty cell asks pip for nothing; ``--torch`` is a wish."""
    facts = machine("3.13", "T4")
    assert plan("13.0", facts, "# a comment\n").steps == ()
    found = plan("13.0", facts, "", Options(torch=True))
    assert found.torch == "2.14.1+cu130"


def test_rows_from_memory_are_named() -> None:
    """A plan says what nobody has checked."""
    found = plan("13.2", machine("3.14", "B200"), "torch")
    assert [each.what for each in found.warnings] == [
        "that there is a torch 2.15.0+cu132 has not been checked"
    ]
    found = plan("11.1", machine("3.9", "T4"), "torch==1.10.1")
    assert [each.what for each in found.warnings] == [
        "for which GPUs torch 1.10.1+cu111 has kernels is from memory"
    ]


def test_a_marker_that_compares_nonsense_is_told() -> None:
    """It is found out when it is compared, not when it is read."""
    made = plan("12.8", machine("3.13", "T4"), "numpy; python_version ~= 'abc'")
    (problem,) = made.problems
    assert problem.what.startswith("line 1 is no requirement of pip")
    assert problem.fix == ("numpy",)
    assert made.steps == ()


def test_a_marker_with_three_numbers_is_asked_of_this_python() -> None:
    """3.13.5 is not 3.13.0."""
    here = ".".join(map(str, sys.version_info[:2]))
    exact = ".".join(map(str, sys.version_info[:3]))
    body = f"numpy; python_full_version >= '{exact}'"
    assert plan("12.8", machine(here, "T4"), body).requirements
    assert not plan("12.8", machine(here, "T4"), body.replace(">=", "<")).requirements


def test_thousands_of_lines_for_one_package() -> None:
    """Each is looked at once."""
    made = plan("12.8", machine("3.13", "T4"), "torch\n" * 3000)
    assert made.requirements == ("torch==2.11.0+cu128",)


def test_thousands_of_conditions_for_an_imported_package() -> None:
    """Whether it changes is asked of one after the other, not of all their pairs."""
    facts = machine("3.13", "T4", imported={"numpy": "2.1.0"})
    many = ",".join(f"!=1.{n}" for n in range(3000))
    assert "numpy 2.1.0 → 2.0" in plan("12.8", facts, f"numpy==2.0,{many}").changes
    assert not plan("12.8", facts, f"numpy==2.1.0,{many}").changes


@pytest.mark.parametrize(
    ("body", "minor", "suits"),
    [
        ("torch", "12.8", True),
        ("torch==2.5.1", "12.8", False),  # it is built with 12.4 and 12.1
        ("torch==2.5.1", "12.4", True),
        ("numpy", "13.0", True),
        ("torch==1.10.1", "13.0", False),
        ("this is nothing", "13.0", True),  # wrong with every CUDA
    ],
)
def test_a_cuda_suits_the_cell(body: str, minor: str, *, suits: bool) -> None:
    """It is that of the PyTorch in it; what wants none does not mind."""
    facts = machine("3.12", "T4", torch=None)
    assert plan(minor, facts, body).suits(minor) is suits

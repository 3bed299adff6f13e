"""Tests for `colabmagic.cuda.planning.make`."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colabmagic.cuda.errors import CudaError
from colabmagic.cuda.machine.facts import (
    MachineFacts,
    Toolkit,
    TorchHere,
    facts_from_dict,
)
from colabmagic.cuda.planning.host_compiler import oldest
from colabmagic.cuda.planning.limits import find_limit
from colabmagic.cuda.planning.make import make_plan
from colabmagic.cuda.planning.plan import METHODS, Options, Plan
from colabmagic.cuda.steps.publish import Publish
from colabmagic.data import compat
from tests.cuda.planning.machines import load, names
from tests.cuda.planning.pairs import PAIRS, Pair

VERSIONS = (*compat.minors(), "12", "auto", "torch")
CODES = {kind.code for kind in CudaError.__subclasses__()}
PARTS = ("cublas", "cudnn")


def plan(machine: str, wanted: str, body: str = "", **options: object) -> Plan:
    """Return the plan for a captured machine."""
    return make_plan(wanted, body, load(machine), Options(**options))  # type: ignore[arg-type]


def result(made: Plan) -> str:
    """Return the way that is taken, or the code of what stands against it."""
    if made.can_run:
        assert made.chosen is not None
        return made.chosen.method
    return made.problems[0].code


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0]}-{pair[1]}")
def test_pairs(pair: Pair) -> None:
    """The table that was thought out by hand."""
    made = plan(pair.machine, pair.wanted)
    assert result(made) == pair.expected, pair.why
    if pair.fix:
        assert made.problems[0].fix[0] == pair.fix, pair.why


def test_the_table_is_large_enough() -> None:
    """It has each machine, and no pair twice."""
    assert {pair.machine for pair in PAIRS} == set(names())
    assert len({pair[:2] for pair in PAIRS}) == len(PAIRS) >= 60


@pytest.mark.parametrize("machine", names())
def test_a_plan_that_runs_breaks_no_limit(machine: str) -> None:
    """System, driver, GPU, compiler and disk are as the toolkit wants them."""
    facts = load(machine)
    for wanted in VERSIONS:
        made = make_plan(wanted, "", facts)
        if not made.can_run:
            continue
        release, chosen, compiler = made.release, made.chosen, made.compiler
        assert release is not None
        assert chosen is not None
        assert compiler is not None
        assert find_limit(release, facts) is None
        assert chosen.fits
        assert chosen.steps
        assert chosen.method in METHODS
        assert chosen.basis in compat.BASES
        major = compiler.here.version if compiler.here else (compiler.bring or 0,)
        assert oldest(release) <= major
        assert major[0] <= release.gcc_max
        assert chosen.disk_bytes is not None
        assert chosen.download_bytes is not None
        need = 1.5 * (chosen.disk_bytes + chosen.download_bytes)
        assert facts.disk_free["home"] >= need or chosen.method == "reuse"
        text = "\n".join(made.lines())
        assert "allow-unsupported" not in text
        assert "cuda-drivers" not in text
        assert made.outside == ()  # nothing without --system


@pytest.mark.parametrize("machine", names())
def test_a_plan_that_cannot_run_says_why_and_what_does(machine: str) -> None:
    """Each problem has a code and a fix; a fix that installs another CUDA works."""
    facts = load(machine)
    for wanted in (*VERSIONS, "12.7", "8.0", "99", "nonsense"):
        made = make_plan(wanted, "", facts)
        if made.can_run:
            assert made.problems == ()
            continue
        assert made.problems
        for problem in made.problems:
            assert problem.code in CODES
            assert problem.what
            assert problem.fix
            assert all(line.strip() for line in problem.fix)
        first = made.problems[0].fix[0]
        if first.startswith("%cuda_install "):
            again = make_plan(first.split()[1], "", facts)
            assert again.can_run, (wanted, first, again.problems)


@pytest.mark.parametrize("machine", names())
def test_a_plan_is_json(machine: str) -> None:
    """Facts can be made of it again; candidates tell why each."""
    for wanted in ("11.1", "13.0", "nonsense"):
        made = plan(machine, wanted)
        data = json.loads(made.to_json())
        assert facts_from_dict(data["machine"]) == made.facts
        assert data["can_run"] is made.can_run
        assert all(each["why"] for each in data["candidates"])
        if made.release is not None:
            assert [each["method"] for each in data["candidates"]] == list(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_can_be_forced(method: str) -> None:
    """It is taken, or said why it is not; the fix works."""
    for machine in ("colab_t4", "debian12_cpu", "fedora42_gcc15"):
        for wanted in ("10.2", "11.8", "12.4", "12.8", "13.0"):
            made = plan(machine, wanted, method=method)
            if made.can_run:
                assert made.chosen is not None
                assert made.chosen.method == method
                continue
            fix = made.problems[0].fix
            assert fix
            if fix[0].endswith("--method auto"):
                assert plan(machine, wanted).can_run


def test_a_method_that_cannot_says_what_can() -> None:
    """The command has the version that was wanted, and the method that brings it."""
    made = plan("colab_t4", "12.4", method="wheels")
    (problem,) = made.problems
    assert problem.what == "--method wheels cannot bring CUDA 12.4.1"
    assert "no nvcc" in problem.seen
    assert problem.fix == ("%cuda_install 12.4.1 --method auto",)


def test_unknown_words() -> None:
    """Methods and parts that do not exist are told with those that do."""
    (problem,) = plan("colab_t4", "12.4", method="magic").problems
    assert problem.code == "E21"
    assert "redist" in problem.seen
    (problem,) = plan("colab_t4", "12.4", parts=("cublas", "tea")).problems
    assert problem.what == "--with does not know tea"


def test_system_needs_root() -> None:
    """Without it the link is not promised."""
    made = plan("h100_server", "12.4", system=True)
    assert not made.can_run
    assert made.problems[0].code == "E13"
    made = plan("colab_t4", "12.4", system=True)
    assert made.can_run
    assert any("/usr/local/cuda" in each for each in made.outside)


def test_parts_weigh() -> None:
    """What --with adds is counted."""
    plain, more = plan("colab_t4", "11.8"), plan("colab_t4", "11.8", parts=PARTS)
    assert plain.chosen is not None
    assert more.chosen is not None
    assert plain.chosen.download_bytes is not None
    assert more.chosen.download_bytes is not None
    assert more.chosen.download_bytes > plain.chosen.download_bytes + 10**9
    text = "\n".join(more.lines())
    assert "libcublas" in text
    assert "nvidia-cudnn-cu11" in text


def test_ours_is_used_without_any_compiler_here() -> None:
    """A toolkit of ours has its own, so that nothing else is asked for."""
    ours = Toolkit(
        root="/data/cuda/13.0.3",
        build="13.0.88",
        origin="ours",
        variables=(("NVCC_PREPEND_FLAGS", "-ccbin /data/cuda/13.0.3/host/bin/g++-12"),),
    )
    facts = replace(load("no_compiler_fedora"), toolkits=(ours,))
    made = make_plan("13.0", "", facts)
    assert result(made) == "reuse"
    assert not any(isinstance(step, Publish) for step in made.steps)


def test_remarks_below_the_line_ask_for_nothing() -> None:
    """They are no packages."""
    facts = load("debian12_cpu")
    made = make_plan("13.0", "# for the kernel of mine\n\n", facts)
    assert made.packages is None
    assert made.text == make_plan("13.0", "", facts).text


def test_auto_steps_back_to_what_can_be_had() -> None:
    """Where no compiler suits the newest, an older one is taken."""
    facts: MachineFacts = replace(load("fedora42_gcc15"))
    made = make_plan("12", "", facts)
    assert result(made) == "E04"  # all of 12 want g++ 14 or older
    made = make_plan("13", "", facts)
    assert made.release is not None
    assert (result(made), made.release.version) == ("wheels", "13.5")
    facts = load("centos7_hpc")
    made = make_plan("auto", "", facts)
    assert made.release is not None
    assert made.release.minor == "11.4"


def test_auto_is_the_cuda_of_the_pytorch_that_the_cell_wants() -> None:
    """One step: not the newest toolkit, and then that of its PyTorch."""
    facts = load("debian12_cpu")
    assert (
        make_plan("auto", "numpy", facts).release
        == make_plan("auto", "", facts).release
    )
    for body, options in (("torch", Options()), ("", Options(torch=True))):
        made = make_plan("auto", body, facts, options)
        assert made.can_run, made.problems
        assert made.release is not None
        assert made.packages is not None
        label = f"+cu{made.release.minor.replace('.', '')}"
        assert str(made.packages.torch).endswith(label)
        assert "E18" not in {each.code for each in made.warnings}
    old = make_plan("12", "torch==2.5.1", facts)
    assert (old.can_run, old.release and old.release.minor) == (True, "12.4")


def test_auto_with_a_pytorch_that_no_cuda_has_stays_the_newest() -> None:
    """Then the problem is told of the toolkit that would be taken without it."""
    made = plan("colab_t4", "auto", "torch==99.0")
    assert made.release == plan("colab_t4", "auto").release
    assert [each.code for each in made.problems] == ["E11"]


def test_what_a_cpu_build_is_told_to_type_works_at_once() -> None:
    """The cell that the plan names runs, and brings the PyTorch that it promises."""
    facts = replace(
        load("debian12_cpu"), torch=TorchHere(version="2.11.0+cpu", cuda=None)
    )
    told = {each.code: each for each in make_plan("auto", "", facts).warnings}["E14"]
    first, second = told.fix[0].splitlines()
    package, _, words = second.partition("   ")
    made = make_plan(first.split()[1], package, facts)
    assert made.can_run, made.problems
    assert made.packages is not None
    assert words.endswith(f"PyTorch {made.packages.torch}")
    assert not {"E14", "E18"} & {each.code for each in made.warnings}


def test_facts_are_needed() -> None:
    """A plan is of a machine."""
    with pytest.raises(TypeError, match="facts"):
        make_plan("12.4")


def test_a_body_on_colab_is_told_of_older_runtimes() -> None:
    """Where this Python has no such PyTorch, Colab's menu has an older Python."""
    made = plan("colab_t4", "11.1", body="torch==1.10.1\ntorchvision\n")
    assert not made.can_run
    problem = next(each for each in made.problems if each.code == "E11")
    assert any("Runtime version" in line for line in problem.fix)
    assert any("uv venv" in line for line in problem.fix)
    elsewhere = plan("kaggle_2xt4", "11.1", body="torch==1.10.1\n")
    problem = next(each for each in elsewhere.problems if each.code == "E11")
    assert not any("Runtime version" in line for line in problem.fix)


def test_a_body_that_fits() -> None:
    """Its step follows those of the toolkit."""
    made = plan("colab_t4", "12.8", body="torch\n")
    assert made.can_run, made.problems
    assert made.steps[-1].kind.startswith("pip")


MIXED = (
    ("gpus", "driver", "driver_cuda"),
    ("compilers",),
    ("tools", "keyrings", "apt_sources"),
    ("disk_free",),
    ("toolkits",),
    ("torch",),
    ("host", "container", "is_root"),
)
MACHINES = st.sampled_from(names())


@settings(max_examples=150, deadline=None)
@given(
    base=MACHINES,
    others=st.tuples(*[MACHINES] * len(MIXED)),
    wanted=st.sampled_from(VERSIONS),
    method=st.sampled_from(("auto", "auto", *METHODS)),
    system=st.booleans(),
    parts=st.sampled_from(((), PARTS, ("npp",))),
)
def test_machines_that_nobody_has_seen(  # noqa: PLR0913, PLR0917 (as hypothesis gives)
    base: str,
    others: tuple[str, ...],
    wanted: str,
    method: str,
    system: bool,  # noqa: FBT001 (as hypothesis gives it)
    parts: tuple[str, ...],
) -> None:
    """Whatever is mixed, a plan keeps to the limits or says what works here."""
    facts = load(base)
    for fields, other in zip(MIXED, others, strict=True):
        taken = load(other)
        facts = replace(facts, **{name: getattr(taken, name) for name in fields})
    options = Options(method=method, system=system, parts=parts)
    made = make_plan(wanted, "", facts, options)
    json.loads(made.to_json())
    if made.can_run:
        assert made.release is not None
        assert made.chosen is not None
        assert find_limit(made.release, facts) is None
        assert method in {"auto", made.chosen.method}
        assert facts.is_root or not made.outside
        return
    for problem in made.problems:
        assert problem.code in CODES
        assert problem.fix
    first = made.problems[0].fix[0]
    if first.startswith("%cuda_install "):
        assert make_plan(first.split()[1], "", facts).can_run


def test_why_the_nearest_version_is_not_offered() -> None:
    """What is offered instead comes with a reason."""
    (problem,) = make_plan("9.9", "", load("debian12_cpu")).problems
    assert problem.fix[0] == "%cuda_install 11.0"
    assert problem.seen == (
        "the last one of CUDA 9 is 9.2; 9.2 cannot be had here: the C++ compiler is newer "
        "than CUDA 9.2 takes"
    )
    (problem,) = make_plan("9.9", "", load("colab_t4")).problems
    assert (problem.fix, problem.seen) == (
        ("%cuda_install 9.2",),
        "the last one of CUDA 9 is 9.2",
    )


def test_another_minor_keeps_the_cells_packages() -> None:
    """What is to be typed instead brings the same PyTorch."""
    plan = make_plan("13.5", "torch\ntorchvision", load("debian12_cpu"))
    found = next(each for each in plan.warnings if each.code == "E18")
    first, *lines = found.fix[0].splitlines()
    assert first.startswith("%%cuda_install 13.")
    assert lines == ["torch", "torchvision"]

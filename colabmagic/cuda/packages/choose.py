"""Choose the PyTorch that goes with CUDA, Python and GPU, or say which limit fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from colabmagic.cuda.errors import (
    NoTorchWheelError,
    RequirementError,
    TorchIsCpuError,
    TorchLacksGpuError,
    TwoCudasError,
)
from colabmagic.cuda.packages import advice
from colabmagic.cuda.packages.family import (
    FAMILY,
    Build,
    all_builds,
    best,
    find_build,
    is_same_major,
)
from colabmagic.cuda.planning.plan import Problem
from colabmagic.data import compat
from colabmagic.report.model import Unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from colabmagic.cuda.machine.facts import MachineFacts
    from colabmagic.cuda.packages.wish import Wish

_OTHER_LABELS = ("cpu", "rocm", "xpu")
_MOST_CONDITIONS = 100  # of one package: what is weighed takes the square of it
_LONGEST_SHOWN = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The build, or why there is none.

    Attributes
    ----------
    build
        None: none goes, and `problem` says why.
    is_here
        Whether it is installed already.
    """

    build: Build | None = None
    is_here: bool = False
    problem: Problem | None = None
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What is asked: the family's wishes, the CUDA and the machine."""

    names: tuple[str, ...]
    wanted: dict[str, SpecifierSet]
    cuda: str
    facts: MachineFacts
    label: str | None = None  # an index of one CUDA that the cell names
    shown: str = field(default="")

    @property
    def python(self) -> str:
        """Return "3.13"."""
        return ".".join(map(str, self.facts.python))

    def problem(self, code: str, what: str, seen: str, closest: Build | None) -> Choice:
        """Return a refusal with all that may be done instead."""
        cuda = self.cuda
        if code == TwoCudasError.code and closest is not None:
            cuda = closest.cuda  # the toolkit is what is to be changed
        fix = advice.other_builds(closest, cuda, self.names, self.facts)
        if closest and self.facts.python_tag not in closest.release.pythons:
            fix += advice.older_runtime(closest, self.facts)
            fix += advice.side_environment(closest, self.names, self.facts)
        if not fix:
            fix = advice.any_environment(cuda, self.names, self.facts)
        if not fix:  # such as two GPUs of which no build knows both
            fix = ["%gpu_check   tells what the GPUs here need"]
        return Choice(problem=Problem(code=code, what=what, seen=seen, fix=tuple(fix)))


def choose_torch(
    wishes: Sequence[Wish],
    cuda: str,
    facts: MachineFacts,
    *,
    label: str | None = None,
    torch_asked: bool = False,
) -> Choice:
    """Choose the build for some wishes of the family.

    Parameters
    ----------
    wishes
        Those of the family that have a name and no URL.
    cuda
        Minor version of the toolkit, "11.1".
    facts
        The machine.
    label
        Build that an index in the cell names ("cu118"); None: none.
    torch_asked
        PyTorch is wanted also where no wish names it.
    """
    if crowd := _too_many(wishes):
        return Choice(problem=crowd)
    question = _question(wishes, cuda, facts, label, torch_asked=torch_asked)
    if other := _other_platform(question):
        return other
    here = _here(question)
    if here is not None and not (label and here.build != label):
        return Choice(build=here, is_here=True, warnings=_warnings(here, question))
    return _choose(question)


def _question(
    wishes: Sequence[Wish],
    cuda: str,
    facts: MachineFacts,
    label: str | None,
    *,
    torch_asked: bool,
) -> _Question:
    """Gather the wishes; a companion alone goes with the PyTorch that is here."""
    told: dict[str, dict[str, None]] = {}
    for wish in wishes:
        assert wish.name is not None
        assert wish.requirement is not None
        told.setdefault(wish.name, {})[str(wish.requirement.specifier)] = None
    wanted = {
        name: SpecifierSet(",".join(filter(None, each))) for name, each in told.items()
    }
    has_torch = "torch" in wanted or torch_asked
    here = facts.torch
    if not has_torch and here is not None and here.cuda is not None:
        build = find_build(here.version, here.cuda)
        if build is not None and build.meets(wanted):
            wanted["torch"] = SpecifierSet(f"=={build.release.version}")
            label = build.build
    wanted.setdefault("torch", SpecifierSet())
    names = tuple(name for name in FAMILY if name in wanted)
    shown = ", ".join(f"{name}{wanted[name]}" for name in names)
    if len(shown) > _LONGEST_SHOWN:
        shown = f"{shown[:_LONGEST_SHOWN]}…"
    return _Question(
        names=names, wanted=wanted, cuda=cuda, facts=facts, label=label, shown=shown
    )


def _too_many(wishes: Sequence[Wish]) -> Problem | None:
    """Refuse more conditions for one package than anybody writes."""
    conditions: dict[str, set[str]] = {}
    for wish in wishes:
        assert wish.name is not None
        assert wish.requirement is not None
        its_own = map(str, wish.requirement.specifier)
        conditions.setdefault(wish.name, set()).update(its_own)
    for name, each in conditions.items():
        if len(each) > _MOST_CONDITIONS:
            return Problem(
                code=RequirementError.code,
                what=f"the cell has {len(each)} conditions for the version of {name}",
                seen=f"at most {_MOST_CONDITIONS} are weighed; one line is enough:",
                fix=(name,),
            )
    return None


def _other_platform(question: _Question) -> Choice | None:
    """Refuse a build that has no CUDA."""
    for name, specifiers in question.wanted.items():
        for each in specifiers:
            label = each.version.partition("+")[2]
            if label.startswith(_OTHER_LABELS):
                plain = each.version.partition("+")[0]
                return Choice(
                    problem=Problem(
                        code=TorchIsCpuError.code,
                        what=f"{name}{each} is a build without CUDA",
                        seen=f"its label is +{label}",
                        fix=(f"{name}{each.operator}{plain}",),
                    )
                )
    return None


def _here(question: _Question) -> Build | None:
    """Return the installed PyTorch if it is what is wanted: it is left alone then."""
    here = question.facts.torch
    if here is None or here.cuda is None:
        return None
    build = find_build(here.version, here.cuda)
    if build is None or build.cuda != question.cuda:
        return None
    fits = build.meets(question.wanted)
    return (
        build if fits and build.runs_on(advice.capabilities(question.facts)) else None
    )


def _choose(question: _Question) -> Choice:
    """Narrow the builds by one limit after the other; the first that leaves none fails."""
    wished = [each for each in all_builds() if each.meets(question.wanted)]
    if not wished:
        return _unknown_versions(question)
    if question.label is not None:
        wished = [each for each in wished if each.build == question.label] or wished
    closest = best(wished, question.cuda)
    assert closest is not None
    related = [each for each in wished if is_same_major(each, question.cuda)]
    if not related:
        return _other_major(question, wished)
    tag = question.facts.python_tag
    for_python = [each for each in related if tag in each.release.pythons]
    if not for_python:
        return _no_wheel(question, related)
    known = advice.capabilities(question.facts)
    fitting = [each for each in for_python if each.runs_on(known)]
    if not fitting:
        return _no_kernels(question, for_python)
    build = best(fitting, question.cuda)
    assert build is not None
    return Choice(build=build, warnings=_warnings(build, question))


def _cell(cuda: str, question: _Question) -> str:
    """Return the same wishes as a cell for another CUDA."""
    lines = [f"{name}{question.wanted.get(name, '')}" for name in question.names]
    return "\n".join((f"%%cuda_install {cuda}", *lines))


def _warnings(build: Build, question: _Question) -> tuple[Problem, ...]:
    """Return what is to be known about a build that goes."""
    found = []
    if build.cuda != question.cuda:
        found.append(
            Problem(
                code=TwoCudasError.code,
                what=f"there is no fitting PyTorch for CUDA {question.cuda}: "
                f"{build.version} is built with {build.cuda}",
                seen="the same major version: extensions build, and PyTorch warns",
                fix=(_cell(build.cuda, question),),
            )
        )
    if build.basis in {"inferred", "memory"}:
        found.append(
            Problem(
                code=NoTorchWheelError.code,
                what=f"that there is a torch {build.version} has not been checked",
                seen=f"basis: {build.basis}, table of {compat.as_of()}; the dry run "
                "of pip tells before anything changes",
            )
        )
    kernels = compat.kernels_of(build.release.version, build.build)
    if kernels and kernels.basis == "memory" and advice.capabilities(question.facts):
        found.append(
            Problem(
                code=TorchLacksGpuError.code,
                what=f"for which GPUs torch {build.version} has kernels is from memory",
                seen=f"believed: sm_{' '.join(map(str, kernels.sm))}",
                fix=("%cuda_install --verify",),
            )
        )
    return tuple(found)


def _unknown_versions(question: _Question) -> Choice:
    """Refuse versions that do not exist, or do not go together."""
    torch = question.wanted["torch"]
    alone = [each for each in all_builds() if each.meets({"torch": torch})]
    others = [name for name in question.names if name != "torch"]
    if alone and others:
        closest = best(alone, question.cuda)
        assert closest is not None
        pairs = [
            f"{name} {closest.version_of(name)}"
            if closest.version_of(name)
            else f"no {name} that is known"
            for name in others
        ]
        what = f"{question.shown} do not go together"
        seen = f"with torch {closest.release.version} goes {' and '.join(pairs)}"
        both = [
            each
            for each in all_builds()
            if all(each.version_of(name) for name in question.names)
        ]
        nearest = closest if closest in both else best(both, question.cuda)
        return question.problem(NoTorchWheelError.code, what, seen, nearest)
    newest = compat.torch_releases()[-1].version
    return question.problem(
        NoTorchWheelError.code,
        f"no PyTorch is known that is {question.shown}",
        f"the newest in the table of {compat.as_of()} is {newest}, the oldest "
        f"{compat.torch_releases()[0].version}",
        None,
    )


def _other_major(question: _Question, wished: list[Build]) -> Choice:
    """Refuse a PyTorch of another major version of CUDA."""
    closest = best(wished, question.cuda)
    assert closest is not None
    torches = {each.release.version for each in wished}
    cudas = sorted({each.cuda for each in wished}, key=compat.numbers)
    name = f"torch {torches.pop()}" if len(torches) == 1 else question.shown
    if not any(map(len, question.wanted.values())):
        what = f"no PyTorch was built for CUDA {question.cuda.partition('.')[0]}"
    else:
        what = f"{name} is not built for CUDA {question.cuda.partition('.')[0]}"
    return question.problem(
        TwoCudasError.code, what, f"its builds: CUDA {', '.join(cudas)}", closest
    )


def _no_wheel(question: _Question, related: list[Build]) -> Choice:
    """Refuse a PyTorch that has no wheel for this Python."""
    closest = best(related, question.cuda)
    assert closest is not None
    tags = [tag for tag in closest.release.pythons if tag.startswith("cp3")]
    spoken = [f"3.{tag.removeprefix('cp3')}" for tag in tags]
    span = f"Python {spoken[0]} to {spoken[-1]}" if spoken else "not known"
    return question.problem(
        NoTorchWheelError.code,
        f"torch {closest.version} has no wheel for Python {question.python}",
        f"its wheels: {span}",
        closest,
    )


def _no_kernels(question: _Question, for_python: list[Build]) -> Choice:
    """Refuse a PyTorch without code for the GPU."""
    closest = best(for_python, question.cuda)
    assert closest is not None
    row = compat.kernels_of(closest.release.version, closest.build)
    names = ", ".join(
        f"{gpu.name} (sm_{gpu.capability[0]}{gpu.capability[1]})"
        for gpu in question.facts.gpus
        if not isinstance(gpu.capability, Unknown)
    )
    listed = " ".join(map(str, row.sm)) if row else "not known"
    return question.problem(
        TorchLacksGpuError.code,
        f"torch {closest.version} has no kernels for {names}",
        f"it has: sm_{listed}",
        closest,
    )

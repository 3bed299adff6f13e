"""Which index each requirement of the cell goes to, and the step that installs them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from colabmagic.cuda.errors import (
    NoTorchWheelError,
    PackageInUseError,
    RequirementError,
)
from colabmagic.cuda.packages.choose import Choice, choose_torch
from colabmagic.cuda.packages.family import FAMILY, Build, find_build
from colabmagic.cuda.packages.marked import for_this_machine, wrong_wheels
from colabmagic.cuda.packages.options import COMMAND_OPTIONS
from colabmagic.cuda.packages.sources import mirror_problem, source_of
from colabmagic.cuda.planning.plan import Problem
from colabmagic.cuda.steps.pip import Family, PipInstall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from colabmagic.cuda.machine.facts import MachineFacts
    from colabmagic.cuda.packages.body import Body
    from colabmagic.cuda.packages.wish import Option, Wish
    from colabmagic.cuda.planning.plan import Options
    from colabmagic.cuda.steps.base import Step
    from colabmagic.data.compat import Release

DEFAULT = "pip's own index"  # PyPI, or what pip is configured to use
_TORCH_HOST = re.compile(
    r"^https?://download\.pytorch\.org/whl(?:/(cu\d+))?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagesPlan:
    """What pip will be asked for.

    Attributes
    ----------
    requirements
        All of them, without passwords.
    groups
        Index → its requirements.
    problems, warnings
        As in a plan.
    steps
        One, or none where nothing is to be done.
    changes
        What will change, as far as it is known before pip's dry run.
    torch
        The PyTorch that was chosen, "2.7.1+cu118"; None: the cell wants none.
    """

    requirements: tuple[str, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    steps: tuple[Step, ...] = ()
    changes: tuple[str, ...] = ()
    torch: str | None = None

    def suits(self, minor: str) -> bool:
        """Tell whether a CUDA is that of the PyTorch which is wanted, if one is.

        A line that is no requirement is wrong with every CUDA.

        Parameters
        ----------
        minor
            "11.8".
        """
        if self.torch is None:
            wrong = any(each.code == RequirementError.code for each in self.problems)
            return wrong or not self.problems
        return self.torch.endswith(f"+cu{minor.replace('.', '')}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "requirements": list(self.requirements),
            "groups": {index: list(each) for index, each in self.groups.items()},
            "steps": [dict(step.to_dict()) for step in self.steps],
            "changes": list(self.changes),
            "torch": self.torch,
        }


def route(
    body: Body, release: Release, facts: MachineFacts, options: Options
) -> PackagesPlan:
    """Decide where everything in the cell comes from.

    Parameters
    ----------
    body
        The cell.
    release
        The toolkit that goes with it.
    facts
        The machine.
    options
        ``torch``, ``mirror`` and ``yes`` matter.
    """
    wishes, left_out, wrong = for_this_machine(body.requirements, facts)
    problems = [*body.problems, *wrong]
    warnings = list(left_out)
    plain_options, label = _options(body.options, warnings)
    family = [
        wish for wish in wishes if wish.name in FAMILY and not wish.is_pinned_to_file
    ]
    of_family = set(map(id, family))
    rest = [wish for wish in wishes if id(wish) not in of_family]
    problems += wrong_wheels(rest, facts)
    choice = None
    if family or options.torch:
        choice = choose_torch(
            family, release.minor, facts, label=label, torch_asked=options.torch
        )
        problems += [choice.problem] if choice.problem else []
        warnings += choice.warnings
        if bad := mirror_problem(options.mirror):
            problems.append(bad)
    if problems or not (wishes or choice):
        return PackagesPlan(
            requirements=tuple(wish.shown for wish in wishes),
            problems=tuple(problems),
            warnings=tuple(warnings),
        )
    return _plan(choice, family, rest, plain_options, release, facts, options, warnings)


def _plan(  # noqa: PLR0913, PLR0917 (all that was found out)
    choice: Choice | None,
    family: list[Wish],
    rest: list[Wish],
    plain_options: list[Option],
    release: Release,
    facts: MachineFacts,
    options: Options,
    warnings: list[Problem],
) -> PackagesPlan:
    """Return the plan of a cell without problems."""
    build = choice.build if choice is not None else None
    # What pip has installed from its own index carries no label; it stays as it is.
    is_plain = build is not None and (build.is_plain or _is_unlabelled(choice, facts))
    pins = _pins(build, family, is_plain=is_plain) if build is not None else ()
    step = PipInstall(
        family=None if is_plain else _family(build, pins, options),
        requirements=(*pins, *(wish.text for wish in rest)),
        options=tuple(
            each.text for each in plain_options if each.name not in COMMAND_OPTIONS
        ),
        command_options=tuple(
            word
            for each in plain_options
            if each.name in COMMAND_OPTIONS
            for word in each.text.split(" ", 1)
        ),
        imported=tuple(sorted(facts.imported.items())),
        yes=options.yes,
    )
    groups: dict[str, tuple[str, ...]] = {}
    if pins:
        index = step.family.source.shown if step.family else DEFAULT
        groups[index] = pins
    if rest:
        others = tuple(wish.shown for wish in rest)
        groups[DEFAULT] = (*groups.get(DEFAULT, ()), *others)
    changes = _known_changes(build, rest, facts)
    problems = () if options.yes else _in_use(changes, release)
    if build is not None and any(name == "torch" for name, *_ in changes):
        warnings = [*warnings, *_left_behind(build, family, facts)]
    return PackagesPlan(
        requirements=step.shown_requirements,
        groups=groups,
        problems=problems,
        warnings=tuple(warnings),
        steps=() if problems else (step,),
        changes=tuple(
            f"{name} {before} → {after}" for name, before, after, _ in changes
        ),
        torch=build.version if build is not None else None,
    )


def _is_unlabelled(choice: Choice | None, facts: MachineFacts) -> bool:
    """Tell whether the choice is the PyTorch that is here, from pip's own index."""
    if choice is None or not choice.is_here or facts.torch is None:
        return False
    return "+" not in facts.torch.version


def _pins(build: Build, family: list[Wish], *, is_plain: bool) -> tuple[str, ...]:
    """Return what pip is given for the family.

    A companion that is alone still goes with this PyTorch and no other.
    """
    names = {"torch", *(wish.name for wish in family)}
    asked = [name for name in FAMILY if name in names]
    extras = {
        wish.name: f"[{','.join(sorted(wish.requirement.extras))}]"
        for wish in family
        if wish.requirement is not None and wish.requirement.extras
    }
    pins = []
    for name in asked:
        pin = f"{name}=={build.version_of(name)}" if is_plain else build.pin(name)
        assert pin is not None  # the choice has looked
        pins.append(pin.replace(name, name + extras.get(name, ""), 1))
    return tuple(pins)


def _family(
    build: Build | None, pins: tuple[str, ...], options: Options
) -> Family | None:
    """Return where the family comes from; None: from pip's own index, as all."""
    if build is None:
        return None
    return Family(
        source=source_of(build, options.mirror),
        pins=tuple(re.sub(r"\[.*\]", "", pin) for pin in pins),
    )


def _options(
    options: tuple[Option, ...], warnings: list[Problem]
) -> tuple[list[Option], str | None]:
    """Take PyTorch's own index out of the options: we use it for PyTorch alone.

    As an index for everything it would also serve old copies of numpy and others.
    """
    kept, label = [], None
    for each in options:
        ours = _TORCH_HOST.match(each.value or "")
        if ours is None or each.name not in {
            "--index-url",
            "--extra-index-url",
            "--find-links",
        }:
            kept.append(each)
            continue
        label = ours[1] or label
        warnings.append(
            Problem(
                code=RequirementError.code,
                what=f"{each.shown} is used for PyTorch alone",
                seen="everything else comes from pip's own index",
            )
        )
    return kept, label


def _known_changes(
    build: Build | None, rest: list[Wish], facts: MachineFacts
) -> list[tuple[str, str, str, bool]]:
    """Return (package, before, after, is imported) of what is pinned and differs."""
    changes = []
    here = facts.torch
    if (
        build is not None
        and here is not None
        and find_build(here.version, here.cuda) != build
    ):
        is_imported = here.is_imported or "torch" in facts.imported
        changes.append(("torch", here.version, build.version, is_imported))
    for wish in rest:
        before = facts.imported.get(wish.name or "")
        if before is None or wish.requirement is None or wish.requirement.url:
            continue
        conditions = tuple(wish.requirement.specifier)
        pins = [
            each.version
            for each in conditions
            if each.operator == "==" and not each.version.endswith(".*")
        ]
        # One by one: together, packaging takes the square of their number.
        if pins and not all(
            each.contains(before, prereleases=True) for each in conditions
        ):
            changes.append((wish.name or "", before, pins[0], True))
    return changes


def _left_behind(
    build: Build, family: list[Wish], facts: MachineFacts
) -> tuple[Problem, ...]:
    """Warn of companions that would stay as they are, built against another PyTorch."""
    names = {wish.name for wish in family}
    missing = [
        name
        for name in FAMILY
        if name != "torch" and name not in names and build.version_of(name)
    ]
    if not missing or facts.torch is None:
        return ()
    return (
        Problem(
            code=NoTorchWheelError.code,
            what=f"an installed {' or '.join(missing)} stays as it is, and goes with "
            "the PyTorch of before",
            seen=f"torch {facts.torch.version} → {build.version}; to change it too, "
            "write into the cell:",
            fix=tuple(missing),
        ),
    )


def _in_use(
    changes: list[tuple[str, str, str, bool]], release: Release
) -> tuple[Problem, ...]:
    """Refuse to change what the kernel has imported."""
    used = [each for each in changes if each[3]]
    if not used:
        return ()
    names = ", ".join(name for name, *_ in used)
    return (
        Problem(
            code=PackageInUseError.code,
            what=f"this kernel has imported {names}, and the cell would change it",
            seen="; ".join(f"{name} {old} → {new}" for name, old, new, _ in used),
            fix=(
                "restart the kernel, then run this cell before all others",
                f"%%cuda_install {release.minor} --yes   and restart afterwards",
            ),
        ),
    )

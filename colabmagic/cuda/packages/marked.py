"""Which lines of the cell are for this machine: by their markers, by a wheel's name."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from colabmagic.cuda.errors import NoTorchWheelError, RequirementError
from colabmagic.cuda.packages.family import FAMILY
from colabmagic.cuda.packages.scrub import scrub
from colabmagic.cuda.planning.plan import Problem

if TYPE_CHECKING:
    from colabmagic.cuda.machine.facts import MachineFacts
    from colabmagic.cuda.packages.wish import Wish


def for_this_machine(
    wishes: tuple[Wish, ...], facts: MachineFacts
) -> tuple[list[Wish], list[Problem], list[Problem]]:
    """Leave out what is marked for other machines, and what has no sense.

    Parameters
    ----------
    wishes
        Of the cell.
    facts
        The machine.

    Returns
    -------
    tuple
        What is kept, what is told of the rest, and markers that nobody can evaluate.
    """
    from packaging.markers import UndefinedComparison  # noqa: PLC0415 (lazy)
    from packaging.version import InvalidVersion  # noqa: PLC0415 (lazy)

    python = ".".join(map(str, facts.python))
    environment = {
        "python_version": python,
        "platform_machine": facts.arch,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "extra": "",
    }
    if facts.python != sys.version_info[:2]:  # else packaging knows all three numbers
        environment["python_full_version"] = f"{python}.0"
    kept, notes, wrong = [], [], []
    for wish in wishes:
        marker = wish.requirement.marker if wish.requirement is not None else None
        try:
            is_for_us = marker is None or marker.evaluate(environment)
        except (UndefinedComparison, InvalidVersion) as error:
            wrong.append(
                Problem(
                    code=RequirementError.code,
                    what=f"line {wish.number} is no requirement of pip: {wish.shown}",
                    seen=scrub(str(error)),
                    fix=(wish.shown.partition(";")[0].strip(),),
                )
            )
            continue
        if is_for_us:
            kept.append(wish)
            continue
        notes.append(
            Problem(
                code=RequirementError.code,
                what=f"line {wish.number} is not for this machine: {wish.shown}",
                seen=f"Python {python}, {facts.arch}",
            )
        )
    return kept, notes, wrong


def wrong_wheels(rest: list[Wish], facts: MachineFacts) -> list[Problem]:
    """Refuse a wheel of PyTorch that is named by its file and is for another Python.

    Parameters
    ----------
    rest
        Of the cell, what does not come from PyTorch's index.
    facts
        The machine.
    """
    from urllib.parse import unquote  # noqa: PLC0415

    from packaging.utils import (  # noqa: PLC0415
        InvalidWheelFilename,
        parse_wheel_filename,
    )

    found = []
    for wish in rest:
        place = wish.requirement.url if wish.requirement is not None else wish.text
        file = unquote((place or "").partition("#")[0].rpartition("/")[2])
        if wish.name not in FAMILY or not file.endswith(".whl"):
            continue
        try:
            _, version, _, tags = parse_wheel_filename(file)
        except InvalidWheelFilename:
            continue
        pythons = {tag.interpreter for tag in tags}
        if facts.python_tag not in pythons and not pythons & {"py3", "py2.py3"}:
            found.append(
                Problem(
                    code=NoTorchWheelError.code,
                    what=f"the wheel in line {wish.number} is not for Python "
                    f"{'.'.join(map(str, facts.python))}: {file}",
                    seen=f"it is for {', '.join(sorted(pythons))}",
                    fix=(f"{wish.name}=={version.public}", str(wish.name)),
                )
            )
    return found

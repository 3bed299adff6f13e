"""Ask one method about a captured machine."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

from colabmagic.cuda.planning.host_compiler import choose_compiler
from colabmagic.cuda.planning.plan import Candidate, Options
from colabmagic.data import compat
from tests.cuda.planning.machines import load


def judge(
    method: str,
    machine: str,
    version: str,
    options: Options | None = None,
    **facts: Any,  # noqa: ANN401 (fields of the machine)
) -> Candidate:
    """Return what a method says; `facts` are fields of the machine to change.

    `version` is a minor, or a full version.
    """
    here = replace(load(machine), **facts)
    is_minor = version in compat.minors()
    release = compat.newest_of(version) if is_minor else compat.release(version)
    compiler, _ = choose_compiler(release, here)
    module = importlib.import_module(f"colabmagic.cuda.methods.{method}")
    made: Candidate = module.candidate(release, here, options or Options(), compiler)
    return made


def kinds(candidate: Candidate) -> list[str]:
    """Return the kinds of its steps."""
    return [step.kind for step in candidate.steps]


def fields(candidate: Candidate, kind: str) -> dict[str, Any]:
    """Return the first step of a kind as data."""
    step = next(step for step in candidate.steps if step.kind == kind)
    return dict(step.to_dict())

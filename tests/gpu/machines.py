"""Captured machines, and small changes to them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from colabmagic.gpu.facts import GpuFacts
from colabmagic.report.plain import from_plain
from tests.gpu.scenarios import MACHINES


def load(name: str) -> GpuFacts:
    """Return the facts of a captured machine."""
    text = (MACHINES / f"{name}.json").read_text(encoding="utf-8")
    return from_plain(GpuFacts, json.loads(text)["facts"])


def change(facts: GpuFacts, **parts: dict[str, Any]) -> GpuFacts:
    """Return facts with some fields of some parts changed."""
    changed = {
        name: replace(getattr(facts, name), **values) for name, values in parts.items()
    }
    return replace(facts, **changed)


def change_system(facts: GpuFacts, **values: object) -> GpuFacts:
    """Return facts of another system."""
    return change(facts, host={"system": replace(facts.host.system, **values)})

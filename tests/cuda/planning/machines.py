"""The captured machines of the planner, and small changes to them."""

from __future__ import annotations

import json
from pathlib import Path

from colabmagic.cuda.machine.facts import MachineFacts, facts_from_dict

FOLDER = Path(__file__).parents[2] / "fixtures/cuda_machines"


def names() -> list[str]:
    """Return the names of all machines."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load(name: str) -> MachineFacts:
    """Return the facts of a machine."""
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    return facts_from_dict(json.loads(text))

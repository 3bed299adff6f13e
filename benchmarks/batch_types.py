"""Which types of batches come to the device as what they were: ours and the peers'."""

from __future__ import annotations

import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _measure import table

from colabmagic.train.batch import moved

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.train.batch_types import CASES, judged

if TYPE_CHECKING:
    from collections.abc import Callable

    Move = Callable[[Any, Any], Any]


def movers() -> dict[str, Move]:
    """Return the contestants that are installed."""
    found: dict[str, Move] = {"**%%train_on**": moved}
    if find_spec("accelerate"):
        from accelerate.utils import send_to_device

        found["accelerate `send_to_device`"] = send_to_device
    if find_spec("lightning_fabric"):
        from lightning_fabric.utilities import move_data_to_device

        found["Fabric `move_data_to_device`"] = move_data_to_device
    return found


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")  # torch's, about nested tensors
    found = movers()
    verdicts = {
        name: [judged(case, move) for case in CASES] for name, move in found.items()
    }
    rows = [
        (case.name, *(each[number] for each in verdicts.values()))
        for number, case in enumerate(CASES)
    ]
    right = [f"{each.count('ok')}/{len(CASES)}" for each in verdicts.values()]
    table("Types of batches", ("", *found), [*rows, ("**right**", *right)])


if __name__ == "__main__":
    main()

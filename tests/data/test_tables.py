"""The tables and their look-ups."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from colabmagic.data import tables

FOLDER = Path(tables.__file__).parent


def test_every_row_names_its_source() -> None:
    """A row without a source cannot be checked later."""
    for path in set(FOLDER.glob("*.json")) - set(FOLDER.glob("*.schema.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        rows = [
            row for value in data.values() if isinstance(value, list) for row in value
        ]
        assert rows
        assert all(row["source"] for row in rows)


def test_last_host_rule_always_holds() -> None:
    """Something is always recognised."""
    last = tables.host_rules()[-1]
    assert (last.kind, last.env, last.paths, last.kernel) == ("plain", (), (), None)


def test_drivers_rise_with_cuda() -> None:
    """A newer CUDA never runs on an older driver."""
    rows = tables.cuda_drivers()
    numbers = [tuple(map(int, row.driver_min.split("."))) for row in rows]
    assert numbers == sorted(numbers)
    assert [row.cuda_major for row in rows] == sorted(row.cuda_major for row in rows)
    assert tables.oldest_driver(13) == "580"
    assert tables.oldest_driver(99) is None


@pytest.mark.parametrize(
    ("cuda_major", "cc", "wheel"),
    [
        (13, (7, 5), "cu130"),
        (13, (6, 0), "cu126"),  # Pascal on a new driver
        (13, (12, 0), "cu130"),
        (12, (7, 5), "cu126"),
        (12, (12, 0), "cu128"),  # Blackwell on a driver of CUDA 12
        (12, None, "cu126"),
        (11, (8, 0), "cu118"),
        (11, (12, 0), None),
        (10, (7, 5), None),
        (14, (9, 0), "cu130"),
    ],
)
def test_best_wheel(
    cuda_major: int, cc: tuple[int, int] | None, wheel: str | None
) -> None:
    """The newest build that driver and GPU both run is chosen."""
    found = tables.best_wheel(cuda_major, cc)
    assert (found and found.wheel) == wheel

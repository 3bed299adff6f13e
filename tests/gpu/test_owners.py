"""Tests for `colabmagic.gpu.sources.owners`."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from colabmagic.gpu.facts import NvmlFacts, Owner, ProcessFacts, Unknown
from colabmagic.gpu.sources.owners import lives_under, with_owners
from tests.gpu.machines import load

if TYPE_CHECKING:
    from pathlib import Path

OWN, ALIVE, GONE = 100, 200, 300


def listed(*pids: int) -> NvmlFacts:
    """Return a T4 with some processes."""
    nvml = load("colab_t4").nvml
    processes = tuple(
        ProcessFacts(pid=pid, owner=Owner.OTHER, name="python", memory_bytes=1)
        for pid in pids
    )
    return replace(nvml, devices=(replace(nvml.devices[0], processes=processes),))


def owners(*pids: int, in_container: bool) -> list[Owner]:
    """Return whose they are found to be."""
    facts = with_owners(
        listed(*pids),
        is_alive={OWN, ALIVE}.__contains__,
        in_container=in_container,
        own_pid=OWN,
    )
    found = facts.devices[0].processes
    assert not isinstance(found, Unknown)
    return [process.owner for process in found]


@pytest.mark.parametrize(
    ("pids", "in_container", "expected"),
    [
        ((OWN, ALIVE), False, [Owner.KERNEL, Owner.OTHER]),
        ((GONE,), False, [Owner.DEAD]),
        ((OWN, ALIVE), True, [Owner.KERNEL, Owner.OTHER]),
        # Numbers of the host: one that happens to be ours means nothing either.
        ((OWN, GONE), True, [Owner.FOREIGN, Owner.FOREIGN]),
        ((), True, []),
    ],
)
def test_owners(
    *, pids: tuple[int, ...], in_container: bool, expected: list[Owner]
) -> None:
    """Ours, another's, nobody's; in a container numbers may be the host's."""
    assert owners(*pids, in_container=in_container) == expected


def test_unknown_processes_stay_unknown() -> None:
    """Where the driver does not tell, nothing is made up."""
    facts = listed()
    device = replace(facts.devices[0], processes=Unknown("no"))
    facts = replace(facts, devices=(device,))
    assert with_owners(facts, is_alive=bool, in_container=False) == facts


def test_alive(tmp_path: Path) -> None:
    """The kernel's list of processes is asked, where there is one."""
    assert lives_under(tmp_path)(GONE)
    (tmp_path / "self").mkdir()
    assert not lives_under(tmp_path)(GONE)
    (tmp_path / str(GONE)).mkdir()
    assert lives_under(tmp_path)(GONE)
    assert lives_under(tmp_path.parent / "proc")(os.getpid())

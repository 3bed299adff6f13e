"""Whose processes a GPU serves: this kernel's, another's, nobody's any more."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from colabmagic.gpu.facts import NvmlFacts, Owner, ProcessFacts, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from colabmagic.gpu.facts import DeviceFacts


def with_owners(
    facts: NvmlFacts,
    *,
    is_alive: Callable[[int], bool],
    in_container: bool,
    own_pid: int | None = None,
) -> NvmlFacts:
    """Return the same facts with the owner of each process found out.

    Parameters
    ----------
    facts
        What NVML lists: numbers of processes as the host counts them.
    is_alive
        Tells whether this system has a process of that number.
    in_container
        Whether numbers may be those of the host, which mean nothing in here.
    own_pid
        Ours, where it is not that of the running process.
    """
    own_pid = os.getpid() if own_pid is None else own_pid
    listed = [process for device in facts.devices for process in _of(device)]
    strange = in_container and any(not is_alive(process.pid) for process in listed)

    def owner(process: ProcessFacts) -> Owner:
        if strange:
            return Owner.FOREIGN
        if process.pid == own_pid:
            return Owner.KERNEL
        return Owner.OTHER if is_alive(process.pid) else Owner.DEAD

    devices = tuple(
        replace(
            device,
            processes=tuple(
                replace(process, owner=owner(process)) for process in _of(device)
            ),
        )
        if _of(device)
        else device
        for device in facts.devices
    )
    return replace(facts, devices=devices)


def _of(device: DeviceFacts) -> tuple[ProcessFacts, ...]:
    """Return the processes that are known."""
    return () if isinstance(device.processes, Unknown) else device.processes


def lives_under(proc: Path) -> Callable[[int], bool]:
    """Return a test for processes; where there is no ``/proc`` all are taken to live."""
    if not (proc / "self").exists():
        return lambda _: True
    return lambda pid: (proc / str(pid)).exists()

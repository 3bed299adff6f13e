"""Look at what a cell would move, and at the device's memory; move nothing."""

from __future__ import annotations

from typing import Any

from colabmagic.memory.devices import read_device
from colabmagic.train import batch_size, devices
from colabmagic.train.budget import to_move, usable_bytes
from colabmagic.train.collector import paused_collector
from colabmagic.train.dry_run import DryRun
from colabmagic.train.exchange import no_subclass
from colabmagic.train.options import TrainOptions
from colabmagic.train.reach import Reach
from colabmagic.train.session import Session
from colabmagic.train.tuning import refuse_on_cpu


def dry_run(
    *,
    namespace: dict[str, Any],
    device: str,
    names: tuple[str, ...],
    options: TrainOptions | None = None,
) -> DryRun:
    """Tell what a cell would move; nothing is moved, nothing runs.

    Parameters
    ----------
    namespace, device, names, options
        As for `colabmagic.train.service.start`.

    Returns
    -------
    DryRun
        What would go there, and whether it fits.

    Raises
    ------
    BadDeviceError, DeviceUnavailableError, NotSupportedError
        As for a cell that runs.
    """
    options = options or TrainOptions()
    found = devices.resolve(device, strict=options.strict)
    requested = device.strip() or "auto"
    if found.device.type == "cpu":
        note = refuse_on_cpu(options, asked=found.fallback is None)
        return DryRun(
            device="cpu",
            requested=requested,
            fallback=found.fallback,
            notes=() if note is None else (note,),
        )
    session = Session(namespace, names, found.device, options)
    session.tuning.check()
    with paused_collector(), no_subclass():
        reach = Reach(namespace).names(session.names)
        items = to_move(session.chosen(reach), session.mover, namespace, session.names)
    memory = read_device(found.device)
    free = usable_bytes(memory)
    moved = sum(each.size_bytes for each in items)
    return DryRun(
        device=str(found.device),
        requested=requested,
        items=items,
        free_bytes=free,
        device_bytes=memory.total_bytes,
        batch=batch_size.estimate(namespace, reach, moved=moved, free=free),
    )

"""From the figures of a meter to an outcome, and to what the user sees of it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch

from colabmagic.host.system import cpu_count
from colabmagic.report.model import Unknown
from colabmagic.train.loop_advice import LoopFigures, advise
from colabmagic.train.meter import QUIET_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from colabmagic.train.meter import LoopView, Meter
    from colabmagic.train.outcome import TrainOutcome
    from colabmagic.train.session import Session

_outcomes: list[TrainOutcome] = []


def remember(outcome: TrainOutcome) -> None:
    """Keep what the last cell did."""
    _outcomes[:] = [outcome]


def last_outcome() -> TrainOutcome | None:
    """Return what the last cell did; None before the first."""
    return _outcomes[0] if _outcomes else None


@contextlib.contextmanager
def last_outcome_kept() -> Iterator[None]:
    """Forget the outcomes of cells that are run in between for a trial."""
    before = _outcomes[:]
    try:
        yield
    finally:
        _outcomes[:] = before


def watch(meter: Meter, session: Session) -> None:
    """Let a meter read the memory of a session's device, and how busy it is."""
    device = session.device
    meter.memory = session.used_bytes
    meter.cached = session.options.cache
    if device.type == "cuda":
        meter.busy = lambda: busy_percent(device)


def busy_percent(device: torch.device) -> float | None:
    """Return how busy a GPU is, as NVML tells it; None where it does not.

    Parameters
    ----------
    device
        A CUDA device.
    """
    with contextlib.suppress(Exception):  # no NVML, a virtual GPU, a driver in trouble
        return float(torch.cuda.utilization(device))
    return None


def measured(meter: Meter, device: str) -> dict[str, Any]:
    """Return the fields of an outcome that a meter knows."""
    loaders = meter.loaders()
    advice = None
    if meter.loop_s >= QUIET_S:
        processors = cpu_count()
        figures = LoopFigures(
            device=device,
            loop_s=meter.loop_s,
            wait_s=meter.wait_s,
            transfer_s=meter.transfer_s,
            batches=meter.batches,
            busy_percent=meter.busy_percent,
            cpu_count=1 if isinstance(processors, Unknown) else max(1, int(processors)),
            loaders=loaders,
            cached=meter.cached,
            worker_share=meter.worker_share,
        )
        advice = advise(figures)
    return {
        "batches": meter.batches,
        "passes": sum(each.passes for each in loaders),
        "loop_s": meter.loop_s,
        "wait_s": meter.wait_s,
        "transfer_s": meter.transfer_s,
        "rates": meter.rates,
        "busy_percent": meter.busy_percent,
        "advice": advice,
    }


def tell(
    outcome: TrainOutcome,
    view: LoopView | None,
    out: Callable[[str], None],
    told: set[str],
) -> None:
    """Show an outcome: as a card where a loop took its time, else as a line."""
    if view is not None and outcome.loop_s >= QUIET_S:
        with contextlib.suppress(Exception):  # the front end is gone: a line may do
            view.close(outcome, told)
            return
    out(outcome.exit_line(told))

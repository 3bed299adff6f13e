"""Why a loop is slow, and the one thing to change; pure, from figures to words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from colabmagic.train.loader_facts import LoaderFacts

BOTTLENECK: Final = 0.3  # of the loop's time; below that another cure gains little
_FEW_BATCHES: Final = (
    20  # the first ones start workers and warm up: no ground for advice
)
_MOST_WORKERS: Final = 8
_BUSY_PERCENT: Final = 80.0
_IDLE_SHARE: Final = 0.5  # of a worker's time: below that it mostly waits itself


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopFigures:
    """What was measured of a loop.

    Attributes
    ----------
    device
        Where it ran.
    loop_s, wait_s, transfer_s
        Seconds of the loop, of waiting for the loader, of sending batches.
    batches
        How many came.
    busy_percent
        How busy the device was; None where nobody told.
    cpu_count
        Processors that this process may use.
    loaders
        The loaders of the loop.
    cached
        Whether plain data is on the device already.
    worker_share
        How much of the time worker processes computed; None where nobody told.
    """

    device: str
    loop_s: float
    wait_s: float
    transfer_s: float
    batches: int
    busy_percent: float | None
    cpu_count: int
    loaders: Sequence[LoaderFacts]
    cached: bool = False
    worker_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopAdvice:
    """The one thing to change.

    Attributes
    ----------
    cause
        What makes the loop slow, one sentence.
    fix
        What to type.
    """

    cause: str
    fix: str


def advise(figures: LoopFigures) -> LoopAdvice | None:
    """Return the one thing that would make the loop faster; None if none is sure.

    Parameters
    ----------
    figures
        What was measured.
    """
    if figures.batches < _FEW_BATCHES or figures.loop_s <= 0 or not figures.loaders:
        return None
    waited = figures.wait_s / figures.loop_s
    sent = figures.transfer_s / figures.loop_s
    if waited >= max(BOTTLENECK, sent):
        busy = figures.busy_percent
        if busy is not None and busy >= _BUSY_PERCENT:
            return None  # it had work all the time: the wait cost nothing
        return _about_waiting(figures, waited)
    if sent >= BOTTLENECK and figures.device != "cpu":
        return _about_transfer(figures, sent)
    return None


def _about_waiting(figures: LoopFigures, share: float) -> LoopAdvice:
    """Say how the loader could be faster."""
    loader = max(figures.loaders, key=lambda each: each.passes)
    waiter = "the loop" if figures.device == "cpu" else figures.device
    cause = (
        f"{share:.0%} of the time {waiter} waited for {loader.name or 'the loader'}."
    )
    better = _larger_or_cached if loader.at_once else _better_loader
    return LoopAdvice(cause=cause, fix=better(figures, loader))


def _larger_or_cached(figures: LoopFigures, _: LoaderFacts) -> str:
    """Say how data in memory comes faster: a worker would only send it once more."""
    if figures.device == "cpu" or figures.cached:
        return "DataLoader(..., batch_size=...): a larger one; its data is in memory"
    return f"%%train_on {figures.device} --cache, which keeps its data there"


def _better_loader(figures: LoopFigures, loader: LoaderFacts) -> str:
    """Say how a loader that is waited for should be set up."""
    # On the CPU the loop itself needs a processor, unless it waits most of the time.
    mostly_waits = figures.wait_s >= figures.loop_s / 2 and figures.cpu_count > 1
    spare = figures.cpu_count - (figures.device == "cpu" and not mostly_waits)
    wanted = min(spare, _MOST_WORKERS)
    workers = loader.num_workers
    if workers == 0 and wanted >= 1:
        more: dict[str, object] = (
            {"persistent_workers": True} if loader.passes > 1 else {}
        )
        return loader.written({"num_workers": wanted, **more})
    share = figures.worker_share
    waits = workers > 0 and share is not None and share < _IDLE_SHARE
    if workers > figures.cpu_count and not waits:
        why = f"{workers} are more than the {figures.cpu_count} processors here"
        return loader.written({"num_workers": max(wanted, 1)}, why)
    if 0 < workers < wanted:
        return loader.written({"num_workers": wanted}, f"it has {workers}")
    if workers and loader.passes > 1 and not loader.persistent_workers:
        why = "they are started in each pass"
        return loader.written({"persistent_workers": True}, why)
    if waits:
        return (
            f"Its {workers} workers compute {share:.0%} of the time and wait for the rest "
            "(disk, network): read from the local disk instead of Drive, or use more of "
            "them."
        )
    busy = share is not None
    return (
        ("All processors work already" if busy else "More workers hardly help here")
        + ": do less for each item (resize images once and save them, read from the "
        "local disk instead of Drive)."
    )


def _about_transfer(figures: LoopFigures, share: float) -> LoopAdvice:
    """Say how less would have to be sent, or faster."""
    loader = max(figures.loaders, key=lambda each: each.passes)
    cause = f"{share:.0%} of the time went into sending batches to {figures.device}."
    if loader.num_workers and not loader.pin_memory:
        return LoopAdvice(cause=cause, fix=loader.written({"pin_memory": True}))
    return LoopAdvice(
        cause=cause,
        fix="Send fewer bytes: images as uint8, and .float() in the loop.",
    )

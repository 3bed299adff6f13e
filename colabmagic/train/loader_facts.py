"""What is known of a loader at its end: how it is made, how its workers spent their time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from colabmagic.host.process import cpu_seconds
from colabmagic.report.model import Code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderFacts:
    """How a loader is set up, for the advice at the end.

    Attributes
    ----------
    name
        The user's name of it; "" where it has none.
    num_workers
        Worker processes.
    pin_memory
        Whether the user asked for pinned memory.
    persistent_workers
        Whether the workers outlive a pass.
    batch_size
        None where the loader does not batch, or batches by a sampler.
    passes
        How often the cell went through it, begun ones included.
    at_once
        Whether its batches are cut out of tensors as a whole, without a worker.
    anew
        Returns the line that makes it with other options; None where the cell makes it
        itself, or it has no name.
    """

    name: str
    num_workers: int
    pin_memory: bool
    persistent_workers: bool
    batch_size: int | None
    passes: int
    at_once: bool = False
    anew: Callable[..., str] | None = field(default=None, repr=False, compare=False)

    def written(self, changes: Mapping[str, object], why: str = "") -> str:
        """Return how the loader is made with other options.

        Parameters
        ----------
        changes
            The options.
        why
            What is the matter with the present ones.

        Returns
        -------
        str
            A line to type, `colabmagic.report.model.Code`, where one can be given.
        """
        options = {name: repr(value) for name, value in changes.items()}
        if self.anew is not None:
            line = self.anew(options)
            return Code(f"{line}  # {why}" if why else line)
        words = ", ".join(f"{name}={value}" for name, value in options.items())
        return f"DataLoader(..., {words})" + (f": {why}" if why else "")


@dataclass(slots=True)
class WorkerTimes:
    """How long worker processes computed, between two looks at each."""

    _seen: dict[int, tuple[float, float, float, float]] = field(default_factory=dict)

    def note(self, iterator: object, now: float) -> None:
        """Look at the workers of an iterator over a loader.

        Parameters
        ----------
        iterator
            Where the last batch came from.
        now
            Seconds.
        """
        for each in getattr(iterator, "_workers", ()):
            spent = cpu_seconds(each.pid)
            if spent is not None:
                first = self._seen.get(each.pid, (spent, now))[:2]
                self._seen[each.pid] = (*first, spent, now)

    @property
    def share(self) -> float | None:
        """How much of their time they computed; None where nobody told."""
        spent = sum(each[2] - each[0] for each in self._seen.values())
        passed = sum(each[3] - each[1] for each in self._seen.values())
        return spent / passed if passed else None

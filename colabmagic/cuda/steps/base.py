"""The contract of a step, and what it works with."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from colabmagic.cuda.fetching.cache import Cache
    from colabmagic.cuda.store.layout import Home
    from colabmagic.host.command import CommandOutcome
    from colabmagic.report.progress import Progress


@dataclass(eq=False, slots=True, kw_only=True)
class Work:
    """What steps share while a plan is carried out.

    Attributes
    ----------
    home
        Our folder.
    staging
        The new toolkit's folder while it is made; renamed at the end.
    cache
        Files by their hash.
    session
        A ``requests.Session``, or None: one is made when it is needed.
    run
        Runs programs, as `colabmagic.host.command.run` does.
    progress
        Told what goes on.
    offline
        Nothing may be fetched that the cache does not have.
    files
        What earlier steps fetched: name of the part → path.
    environment
        What the finished toolkit wants in the environment: name → value; paths that lie
        in `staging` are rewritten when it gets its final name.
    root
        The finished toolkit's folder, from `publish` on.
    ladder
        What `verify` found: a `colabmagic.cuda.verifying.ladder.Ladder`.
    proven_at
        Seconds since the epoch, where the ladder is of an earlier time.
    packages
        What pip changed: a `colabmagic.cuda.packages.record.Record`.
    fetched_bytes
        That came over the net so far.
    notes
        What a person should know of it, a sentence each.
    """

    home: Home
    staging: Path
    cache: Cache
    run: Callable[..., CommandOutcome]
    progress: Progress
    session: Any = None
    offline: bool = False
    files: dict[str, Path] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    root: Path | None = None
    ladder: Any = None
    proven_at: float | None = None
    packages: Any = None
    fetched_bytes: int = 0
    notes: list[str] = field(default_factory=list)


class Step(Protocol):
    """One thing that a plan does: frozen, pure to make, and plain data.

    Each step is a frozen dataclass. What `lines` shows is exactly what `do` does: both
    read the same fields.
    """

    @property
    def kind(self) -> str:
        """Return a stable name, such as ``fetch`` or ``command``."""

    @property
    def outside(self) -> tuple[str, ...]:
        """Return what it changes outside of our folder, in words; empty: nothing."""

    def lines(self) -> Sequence[str]:
        """Return the commands, or the words, that a person sees in the plan."""

    def to_dict(self) -> Mapping[str, Any]:
        """Return plain data."""

    def do(self, work: Work) -> None:
        """Carry it out.

        Raises
        ------
        colabmagic.cuda.errors.CudaError
            It failed; what it changed outside of `Work.staging` is undone by `undo`.
        """

    def undo(self) -> Sequence[Step]:
        """Return the steps that take back what it changes outside of the staging folder.

        They are written to the journal before `do` is called.
        """


class InFolder:
    """Base of steps that change nothing outside of our folder: nothing is to be undone."""

    __slots__ = ()

    kind: ClassVar[str]

    @property
    def outside(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()

    def to_dict(self) -> Mapping[str, Any]:
        """Return plain data."""
        fields: Any = self
        plain = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(fields).items()
        }
        return {"kind": self.kind, **plain}

    def undo(self) -> Sequence[Step]:
        """Return nothing: what is in our folder, the store itself takes back."""
        return ()

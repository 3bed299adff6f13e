"""What was done with toolkits, and what proves it: the values of the magic."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

from colabmagic.report.document import Document
from colabmagic.report.plain import to_plain

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.cuda.machine.facts import Toolkit
    from colabmagic.cuda.packages.record import Record
    from colabmagic.cuda.planning.plan import Plan
    from colabmagic.cuda.store.inventory import Installed
    from colabmagic.cuda.verifying.ladder import Ladder
    from colabmagic.report.model import Report

SCHEMA: Final = 1  # counted up when a field goes or means something else


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Document):
    """What was done.

    Attributes
    ----------
    plan
        What was to be done.
    root
        The toolkit's folder.
    ladder
        What was proven; None: nothing was to be.
    proven_at
        Seconds since the epoch, where the ladder is of an earlier time, and nothing has
        changed since; None: it was climbed just now.
    variables
        What this kernel's environment has since.
    packages
        What pip changed; None: nothing.
    fetched_bytes
        That came over the net.
    notes
        What else a person should know, a sentence each.
    seconds
        In all.
    """

    mime_type: ClassVar[str] = "application/vnd.colabmagic.cuda-outcome+json"

    plan: Plan
    root: Path | None
    ladder: Ladder | None
    proven_at: float | None = None
    variables: dict[str, str] = field(default_factory=dict)
    packages: Record | None = None
    fetched_bytes: int = 0
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def is_reused(self) -> bool:
        """Tell whether it was here already."""
        return self.plan.chosen is not None and self.plan.chosen.method == "reuse"

    def view(self) -> Report:
        """Return what a person sees."""
        from colabmagic.cuda.outcome_report import outcome_view  # noqa: PLC0415 (lazy)

        return outcome_view(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data.

        Returns
        -------
        dict
            ``version``, ``build``, ``method``, ``root``, ``ladder``, ``proven_at``,
            ``variables`` (of ``PATH`` only its new beginning), ``packages``,
            ``fetched_bytes``, ``notes``, ``seconds`` and ``plan``.
        """
        plan, packages = self.plan, self.packages
        variables = dict(self.variables)
        if "PATH" in variables:  # the rest of it is the user's
            variables["PATH"] = variables["PATH"].split(os.pathsep)[0]
        return {
            "schema": SCHEMA,
            "version": plan.release.version if plan.release is not None else None,
            "build": self.ladder.build if self.ladder is not None else None,
            "method": plan.chosen.method if plan.chosen is not None else None,
            "root": None if self.root is None else str(self.root),
            "ladder": None if self.ladder is None else self.ladder.to_dict(),
            "proven_at": self.proven_at,
            "variables": variables,
            "packages": None if packages is None else to_plain(packages),
            "fetched_bytes": self.fetched_bytes,
            "notes": list(self.notes),
            "seconds": round(self.seconds, 3),
            "plan": plan.to_dict(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified(Document):
    """What ``--verify`` found.

    Attributes
    ----------
    ladder
        Rung by rung.
    name
        The release of one of ours, "13.0.3"; None: another's, known by its build only.
    """

    mime_type: ClassVar[str] = "application/vnd.colabmagic.cuda-ladder+json"

    ladder: Ladder
    name: str | None = None

    @property
    def ok(self) -> bool:
        """Tell whether nothing failed."""
        return self.ladder.ok

    def view(self) -> Report:
        """Return what a person sees."""
        from colabmagic.cuda.outcome_report import ladder_view  # noqa: PLC0415 (lazy)

        return ladder_view(self.ladder, self.name)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"schema": SCHEMA, **self.ladder.to_dict()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolkits(Document):
    """What ``--list`` shows.

    Attributes
    ----------
    ours
        In our folder.
    others
        Of the system, of PyTorch.
    active
        Root of the one that this kernel uses; None: none of ours.
    cache_bytes
        What is kept of downloads.
    folder
        Ours.
    """

    mime_type: ClassVar[str] = "application/vnd.colabmagic.cuda-toolkits+json"

    ours: tuple[Installed, ...] = ()
    others: tuple[Toolkit, ...] = ()
    active: str | None = None
    cache_bytes: int = 0
    folder: str = ""

    def view(self) -> Report:
        """Return what a person sees."""
        from colabmagic.cuda.outcome_report import list_view  # noqa: PLC0415 (lazy)

        return list_view(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "schema": SCHEMA,
            "ours": [to_plain(each) for each in self.ours],
            "others": [to_plain(each) for each in self.others],
            "active": self.active,
            "cache_bytes": self.cache_bytes,
            "folder": self.folder,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Document):
    """What a verb without a report of its own did.

    Attributes
    ----------
    title, verdict, summary
        As of a report.
    typed
        What can be typed now.
    """

    mime_type: ClassVar[str] = "application/vnd.colabmagic.cuda-done+json"

    title: str
    verdict: str
    summary: str = ""
    typed: tuple[str, ...] = ()

    def view(self) -> Report:
        """Return what a person sees."""
        from colabmagic.cuda.outcome_report import done_view  # noqa: PLC0415 (lazy)

        return done_view(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"schema": SCHEMA, **to_plain(self)}

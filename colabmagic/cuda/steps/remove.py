"""Take a toolkit away."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from colabmagic.cuda.store.apply import REMOVED, STAGING

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.cuda.steps.base import Step, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Take the name of a toolkit away; its files go when the change is whole.

    Attributes
    ----------
    name
        Of its folder.
    """

    name: str

    @property
    def kind(self) -> str:
        """Return the name of the step."""
        return "remove"

    @property
    def outside(self) -> tuple[str, ...]:
        """Return what changes elsewhere: nothing."""
        return ()

    def lines(self) -> tuple[str, ...]:
        """Return what a person sees."""
        return (f"rm -r {self.name}",)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"kind": self.kind, **asdict(self)}

    def undo(self) -> tuple[Step, ...]:
        """Return the inverse."""
        return (Unremove(name=self.name),)

    def do(self, work: Work) -> None:
        """Rename it."""
        target = work.home.toolkits / self.name
        target.rename(_aside(work, target))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unremove:
    """Give a toolkit its name back, where its files are still there.

    Attributes
    ----------
    name
        Of its folder.
    """

    name: str

    @property
    def kind(self) -> str:
        """Return the name of the step."""
        return "unremove"

    @property
    def outside(self) -> tuple[str, ...]:
        """Return what changes elsewhere: nothing."""
        return ()

    def lines(self) -> tuple[str, ...]:
        """Return what a person sees."""
        return (f"mv {REMOVED}… {self.name}",)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"kind": self.kind, **asdict(self)}

    def undo(self) -> tuple[Step, ...]:
        """Return the inverse: there is none."""
        return ()

    def do(self, work: Work) -> None:
        """Rename it back."""
        target = work.home.toolkits / self.name
        aside = _aside(work, target)
        if os.path.lexists(aside) and not os.path.lexists(target):
            aside.rename(target)


def _aside(work: Work, target: Path) -> Path:
    """Return the name that it has meanwhile."""
    change = work.staging.name.removeprefix(STAGING)
    return target.with_name(f"{REMOVED}{target.name}-{change}")

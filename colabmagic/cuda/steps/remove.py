"""Take a toolkit away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from colabmagic.cuda.steps.base import InFolder
from colabmagic.cuda.store.apply import REMOVED, bring_back, set_aside

if TYPE_CHECKING:
    from colabmagic.cuda.steps.base import Step, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove(InFolder):
    """Take the name of a toolkit away; its files go when the change is whole.

    Attributes
    ----------
    name
        Of its folder.
    """

    kind: ClassVar[str] = "remove"

    name: str

    def lines(self) -> tuple[str, ...]:
        """Return what a person sees."""
        return (f"rm -r {self.name}",)

    def undo(self) -> tuple[Step, ...]:
        """Return the inverse."""
        return (Unremove(name=self.name),)

    def do(self, work: Work) -> None:
        """Rename it."""
        set_aside(work.staging, work.home.toolkits / self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unremove(InFolder):
    """Give a toolkit its name back, where its files are still there.

    Attributes
    ----------
    name
        Of its folder.
    """

    kind: ClassVar[str] = "unremove"

    name: str

    def lines(self) -> tuple[str, ...]:
        """Return what a person sees."""
        return (f"mv {REMOVED}… {self.name}",)

    def do(self, work: Work) -> None:
        """Rename it back."""
        bring_back(work.staging, work.home.toolkits / self.name)

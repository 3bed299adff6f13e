"""Give a finished toolkit its name."""

from __future__ import annotations

import contextlib
import ctypes
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from colabmagic.cuda.steps.base import InFolder
from colabmagic.cuda.store.apply import bring_back, change_of, set_aside
from colabmagic.cuda.store.inventory import (
    CARD,
    ROOT,
    Installed,
    read_card,
    size_of,
    write_card,
)

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.cuda.steps.base import Step, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish(InFolder):
    """Rename the staging folder to the toolkit's name: it is there whole, or not at all.

    Attributes
    ----------
    name
        Of the folder: the release, "13.0.3".
    build
        As ``nvcc --version`` says.
    method
        How it came.
    """

    kind: ClassVar[str] = "publish"

    name: str
    build: str
    method: str

    def lines(self) -> tuple[str, ...]:
        """Return what a person sees."""
        return (f"mv .staging-… {self.name}   # only now it has its name",)

    def undo(self) -> tuple[Step, ...]:
        """Return the inverse."""
        return (Unpublish(name=self.name),)

    def do(self, work: Work) -> None:
        """Write the card and rename."""
        staging, target = work.staging, work.home.toolkits / self.name
        environment = {
            name: value.replace(str(staging), ROOT)
            for name, value in work.environment.items()
        }
        write_card(
            staging,
            Installed(
                name=self.name,
                build=getattr(work.ladder, "build", None) or self.build,
                method=self.method,
                installed=time.time(),
                environment=environment,
                size_bytes=size_of(staging),
                change=change_of(staging),
            ),
        )
        _sync_tree(staging)
        if os.path.lexists(target):
            set_aside(staging, target)
        staging.rename(target)
        _sync(work.home.toolkits)
        work.environment = {
            name: value.replace(ROOT, str(target))
            for name, value in environment.items()
        }
        work.root = target


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpublish(InFolder):
    """Take the name away again; what had it before gets it back.

    Attributes
    ----------
    name
        Of the folder.
    """

    kind: ClassVar[str] = "unpublish"

    name: str

    def lines(self) -> tuple[str, ...]:
        """Return what a person sees."""
        return (f"rm -r {self.name}",)

    def do(self, work: Work) -> None:
        """Rename back, where that has not been done yet."""
        target, staging = work.home.toolkits / self.name, work.staging
        card = read_card(target)
        if card is not None and card.change == change_of(staging):
            target.rename(staging)
        bring_back(staging, target)
        _sync(work.home.toolkits)


def _sync_tree(folder: Path) -> None:
    """Have the system write what it has in memory: a name must not outrun its content.

    One call for this file system: a toolkit has thousands of files, and ``os.sync``
    would also wait for others, of which one may be a network drive that is dead.
    """
    with contextlib.suppress(OSError, AttributeError):  # macOS has no such call
        library = ctypes.CDLL(None)
        descriptor = os.open(folder / CARD, os.O_RDONLY | os.O_CLOEXEC)
        try:
            library.syncfs(descriptor)
        finally:
            os.close(descriptor)


def _sync(folder: Path) -> None:
    """Put the names in a folder on disk."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

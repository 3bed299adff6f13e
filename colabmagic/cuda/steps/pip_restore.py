"""Bring back the packages that a run of pip has changed."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colabmagic.cuda.errors import CudaError
from colabmagic.cuda.packages.record import (
    Record,
    drop_record,
    has_record,
    name_of,
    read_record,
)
from colabmagic.cuda.packages.scrub import HIDDEN, scrub
from colabmagic.cuda.packages.sources import Source, official_root

if TYPE_CHECKING:
    from collections.abc import Sequence

    from colabmagic.cuda.packages.links import Link
    from colabmagic.cuda.packages.pip_run import Pip
    from colabmagic.cuda.steps.base import Step, Work

OUTSIDE = "packages of this Python (pip)"


def shown_python(python: str | None) -> str:
    """Return the interpreter as a person types it."""
    return "python" if python in {None, sys.executable} else str(python)


@dataclass(frozen=True, slots=True, kw_only=True)
class PipRestore:
    """Bring back the packages that `PipInstall` has changed.

    Attributes
    ----------
    token
        Of the record.
    python
        The interpreter; None: this one.
    root
        Folder of the indexes of PyTorch's wheels.
    is_flat
        Whether they are pages of links.
    """

    token: str
    python: str | None = None
    root: str = field(default="", repr=False)
    is_flat: bool = False

    @property
    def kind(self) -> str:
        """Return the name of this kind of step."""
        return "pip-restore"

    @property
    def outside(self) -> tuple[str, ...]:
        """Return what it changes outside of our folder."""
        return (OUTSIDE,)

    def lines(self) -> Sequence[str]:
        """Return what is done, in words: the versions are in the record."""
        python = shown_python(self.python)
        return [
            f"{python} -m pip uninstall --yes (what was new)",
            f"{python} -m pip install --no-deps (what was there, same versions)",
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, without passwords."""
        return {
            "kind": self.kind,
            "token": self.token,
            "python": self.python,
            "root": scrub(self.root),
            "is_flat": self.is_flat,
        }

    def do(self, work: Work) -> None:
        """Bring the packages back; do nothing where nothing was changed.

        Raises
        ------
        CudaError
            Pip cannot; the record stays, so that it can be tried again.
        """
        from colabmagic.cuda.packages.pip_run import Pip  # noqa: PLC0415 (lazy)

        record = read_record(work.home, self.token)
        if record is None:
            if has_record(work.home, self.token):
                raise CudaError(
                    "what pip changed cannot be taken back: the record of it is damaged",
                    seen=f"{self.token}.json in {work.home.toolkits}/pip",
                    hint="!pip list\n(shows what is here; put back what you need)",
                )
            return
        with tempfile.TemporaryDirectory(prefix="colabmagic-pip-") as folder:
            self._restore(record, work, Pip(work, self.python, Path(folder)))
        drop_record(work.home, self.token)

    def undo(self) -> Sequence[Step]:
        """Return nothing: what was there is there."""
        return ()

    def _restore(self, record: Record, work: Work, pip: Pip) -> None:
        """Take away what was new, and install what was there."""
        from colabmagic.cuda.packages import pip_run  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.packages.links import write_page  # noqa: PLC0415 (lazy)

        before = {name_of(line): line for line in record.before}
        now = {name: scrub(line) for name, line in pip.freeze().items()}
        names = [each.name for each in record.changes]
        new = [name for name in names if name in now and name not in before]
        back = [
            before[name]
            for name in names
            if name in before and now.get(name) != before[name]
        ]
        work.progress.start("pip: back to what was there", len(new) + len(back))
        if new:
            command = ["-P", "-m", "pip", "uninstall", "--yes", "--no-input"]
            argv = [pip.python, *command, *new]
            pip.run(argv, lambda _: None)
        if back:
            links = self._links(work, back)
            if links:
                pip.write(pip_run.WHEELS, [write_page(links)])
            pip.write(pip_run.REQUIREMENTS, back)
            pip.install(("--no-deps", "--force-reinstall"), lambda _: None)
        work.progress.finish(f"{len(back)} brought back, {len(new)} taken away")

    def _links(self, work: Work, lines: Sequence[str]) -> list[Link]:
        """Return the wheels of PyTorch's builds among some lines of ``pip freeze``."""
        from colabmagic.cuda.packages.wheel_pages import find_links  # noqa: PLC0415

        # A mirror's password is not in the journal: PyTorch itself has the wheels too.
        is_lost = not self.root or HIDDEN in self.root
        root = official_root() if is_lost else self.root
        is_flat = self.is_flat and not is_lost
        found: list[Link] = []
        for line in lines:
            name, _, version = line.partition("==")
            label = version.partition("+")[2]
            if not label.startswith("cu"):
                continue
            source = Source(url=f"{root}/{label}", is_flat=is_flat)
            found += find_links(work, source, [f"{name}=={version}"])
        return found

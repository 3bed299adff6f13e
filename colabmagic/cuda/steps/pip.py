"""Install the packages of the cell, after a dry run; and take it back."""

from __future__ import annotations

import importlib
import shlex
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colabmagic.cuda.errors import PackageInUseError
from colabmagic.cuda.packages.record import (
    PROCESS,
    Record,
    read_record,
    token_of,
    write_record,
)
from colabmagic.cuda.packages.scrub import scrub
from colabmagic.cuda.packages.sources import Source, official_root
from colabmagic.cuda.steps.pip_restore import OUTSIDE, PipRestore, shown_python

if TYPE_CHECKING:
    from collections.abc import Sequence

    from colabmagic.cuda.packages.pip_run import Pip
    from colabmagic.cuda.packages.record import Change
    from colabmagic.cuda.steps.base import Step, Work
    from colabmagic.cuda.store.layout import Home

_MOST_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """PyTorch and its companions, and where their wheels are listed.

    Attributes
    ----------
    source
        The pages.
    pins
        "torch==2.7.1+cu118", …
    """

    source: Source
    pins: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PipInstall:
    """Install requirements by pip.

    Attributes
    ----------
    family
        Where the wheels of PyTorch come from; None: from pip's own index.
    requirements
        For pip, PyTorch's pins first; they may hold passwords.
    options
        Of the cell, as they stand in a file; they may hold passwords.
    command_options
        Of the cell, which pip takes on its command line alone.
    imported
        Modules of this kernel with their versions, as far as the plan knows.
    yes
        Change also what is imported.
    python
        The interpreter; None: this one.
    """

    family: Family | None = None
    requirements: tuple[str, ...] = field(default=(), repr=False)
    options: tuple[str, ...] = field(default=(), repr=False)
    command_options: tuple[str, ...] = ()
    imported: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    yes: bool = False
    python: str | None = None

    @property
    def kind(self) -> str:
        """Return the name of this kind of step."""
        return "pip"

    @property
    def outside(self) -> tuple[str, ...]:
        """Return what it changes outside of our folder."""
        return (OUTSIDE,)

    @property
    def shown_requirements(self) -> tuple[str, ...]:
        """Return the requirements without passwords."""
        return tuple(map(scrub, self.requirements))

    @property
    def token(self) -> str:
        """Return the name of the record of what was there before."""
        return token_of((*self.shown_requirements, *map(scrub, self.options)))

    def lines(self) -> Sequence[str]:
        """Return the commands, and the files that they name."""
        from colabmagic.cuda.packages import pip_run  # noqa: PLC0415 (lazy)

        python = shown_python(self.python)
        parts: dict[str, Any] = {
            "command_options": tuple(map(scrub, self.command_options)),
            "with_wheels": self.family is not None,
        }
        dry = pip_run.install_argv(python, dry_run=True, **parts)
        real = pip_run.install_argv(python, with_found=True, **parts)
        wanted = (*map(scrub, self.options), *self.shown_requirements)
        lines = [
            shlex.join(dry),
            shlex.join(real),
            f"with {pip_run.REQUIREMENTS}: {'; '.join(wanted)}",
            f"with {pip_run.FOUND}: the versions that the first command finds",
        ]
        if self.family is not None:
            source = self.family.source
            lines.append(
                f"with {pip_run.WHEELS}: {', '.join(self.family.pins)} "
                f"from {source.shown} alone"
            )
            if source.official is not None:
                lines.append(f"with checksums of {scrub(source.official)}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, without passwords."""
        return {
            "kind": self.kind,
            "requirements": list(self.shown_requirements),
            "options": [scrub(each) for each in self.options],
            "command_options": [scrub(each) for each in self.command_options],
            "index": self.family.source.shown if self.family is not None else None,
            "pins": list(self.family.pins) if self.family is not None else [],
            "yes": self.yes,
            "python": self.python,
            "token": self.token,
        }

    def do(self, work: Work) -> None:
        """Find out what would change, and change it; `Work.packages` tells what.

        Raises
        ------
        PackageInUseError
            The kernel has imported what would change, and `yes` is false.
        CudaError
            Pip cannot do it; or PyTorch's wheels cannot be found or are not what
            PyTorch announces.
        """
        from colabmagic.cuda.packages.pip_run import Pip  # noqa: PLC0415 (lazy)

        with tempfile.TemporaryDirectory(prefix="colabmagic-pip-") as folder:
            pip = Pip(work, self.python, Path(folder))
            _Run(self, work, pip).all()

    def undo(self) -> Sequence[Step]:
        """Return the step that brings the packages back."""
        source = self.family.source if self.family is not None else None
        is_mirror = source is not None and source.official is not None
        root = source.url.rstrip("/").rpartition("/")[0] if source and is_mirror else ""
        return (
            PipRestore(
                token=self.token,
                python=self.python,
                root=root or official_root(),
                is_flat=bool(is_mirror and source and source.is_flat),
            ),
        )


class _Run:
    """One run of `PipInstall`."""

    def __init__(self, step: PipInstall, work: Work, pip: Pip) -> None:
        self.step, self.work, self.pip = step, work, pip

    def all(self) -> None:
        """Do it."""
        from colabmagic.cuda.packages import pip_run  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.packages.links import write_page  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.packages.wheel_pages import find_links  # noqa: PLC0415

        step, pip, progress = self.step, self.pip, self.work.progress
        progress.start("pip: what would change")
        before = pip.versions()
        missing = self._missing(before)
        if missing:
            assert step.family is not None
            links = find_links(self.work, step.family.source, missing)
            pip.write(pip_run.WHEELS, [write_page(links)])
        pip.write(pip_run.REQUIREMENTS, [*step.options, *step.requirements])
        rows = pip.resolve(step.command_options)
        changes = pip_run.changes_of(rows, before)
        progress.finish(_summary(changes))
        if not changes:
            self.work.packages = self._still_to_restart()
            return
        restart = self._check_use(changes)
        if not any("--hash" in each for each in step.requirements):
            pip.write(pip_run.FOUND, pip_run.exact(rows))
        frozen = pip.freeze()
        names = {each.name for each in changes}
        record = Record(
            before=tuple(scrub(line) for name, line in frozen.items() if name in names),
            changes=tuple(changes),
            restart=restart,
        )
        write_record(self.work.home, step.token, record)
        progress.start("pip install", len(changes))
        try:
            pip.install(step.command_options, self._advance)
        finally:
            importlib.invalidate_caches()  # so that this kernel finds what is new
        progress.finish(_summary(changes))
        self.work.packages = record

    def _still_to_restart(self) -> Record:
        """Return that nothing changes, and what an earlier run left to be restarted."""
        last = outcome_of(self.step, self.work.home)
        return Record(before=(), changes=(), restart=last.restart if last else ())

    def _missing(self, before: dict[str, str]) -> tuple[str, ...]:
        """Return the pins of the family that are not installed yet."""
        from packaging.requirements import Requirement  # noqa: PLC0415

        if self.step.family is None:
            return ()
        missing = []
        for pin in self.step.family.pins:
            requirement = Requirement(pin)
            installed = before.get(requirement.name)
            if installed is None or not requirement.specifier.contains(
                installed, prereleases=True
            ):
                missing.append(pin)
        return tuple(missing)

    def _check_use(self, changes: Sequence[Change]) -> tuple[str, ...]:
        """Return the packages for which the kernel must restart.

        Raises
        ------
        PackageInUseError
            There are some, and nobody said yes.
        """
        from colabmagic.cuda.packages.in_use import used  # noqa: PLC0415 (lazy)

        live = self.step.python in {None, sys.executable}
        found = used(changes, dict(self.step.imported), live=live)
        if found and not self.step.yes:
            names = ", ".join(each.name for each in found)
            raise PackageInUseError(
                f"this kernel has imported {names}, and the cell would change it",
                seen="; ".join(each.shown for each in found),
                hint="restart the kernel, then run this cell before all others\n"
                "or add --yes to the first line, and restart afterwards",
            )
        return tuple(each.name for each in found)

    def _advance(self, line: str) -> None:
        """Tell how far pip is: one package each."""
        if line.lstrip().startswith(("Downloading ", "Using cached ", "Processing ")):
            self.work.progress.advance()


def _summary(changes: Sequence[Change]) -> str:
    """Return what changes in one line."""
    if not changes:
        return "nothing: all is here already"
    shown = [each.shown for each in changes[:_MOST_SHOWN]]
    more = len(changes) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def outcome_of(step: PipInstall, home: Home) -> Record | None:
    """Return what a step has changed, and what must be restarted; None: nothing.

    A kernel that has restarted since has nothing left to restart for.
    """
    record = read_record(home, step.token)
    if record is None or record.process == PROCESS:
        return record
    return replace(record, restart=())

"""Install the packages of the cell, after a dry run; and take it back."""

from __future__ import annotations

import shlex
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colabmagic.cuda.errors import NoTorchWheelError, PackageInUseError
from colabmagic.cuda.packages.record import (
    Record,
    drop_record,
    read_record,
    token_of,
    write_record,
)
from colabmagic.cuda.packages.scrub import scrub
from colabmagic.cuda.packages.sources import Source, official_root

if TYPE_CHECKING:
    from collections.abc import Sequence

    from colabmagic.cuda.packages.links import Link
    from colabmagic.cuda.packages.pip_run import Pip
    from colabmagic.cuda.packages.record import Change
    from colabmagic.cuda.steps.base import Step, Work
    from colabmagic.cuda.store.layout import Home

_MOST_SHOWN = 8
_OUTSIDE = "packages of this Python (pip)"


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


def _shown_python(python: str | None) -> str:
    """Return the interpreter as a person types it."""
    return "python" if python in {None, sys.executable} else str(python)


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
        return (_OUTSIDE,)

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

        python = _shown_python(self.python)
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
        """Find out what would change, and change it.

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

        step, pip, progress = self.step, self.pip, self.work.progress
        progress.start("pip: what would change")
        before = pip.versions()
        missing = self._missing(before)
        if missing:
            links = _find_links(self.work, step.family, missing)
            pip.write(pip_run.WHEELS, [_page(links)])
        pip.write(pip_run.REQUIREMENTS, [*step.options, *step.requirements])
        rows = pip.resolve(step.command_options)
        changes = pip_run.changes_of(rows, before)
        progress.finish(_summary(changes))
        if not changes:
            return
        restart = self._check_use(changes)
        if not any("--hash" in each for each in step.requirements):
            pip.write(pip_run.FOUND, pip_run.exact(rows))
        frozen = pip.freeze()
        names = {each.name for each in changes}
        write_record(
            self.work.home,
            step.token,
            Record(
                before=tuple(
                    scrub(line) for name, line in frozen.items() if name in names
                ),
                changes=tuple(changes),
                restart=restart,
            ),
        )
        progress.start("pip install", len(changes))
        pip.install(step.command_options, self._advance)
        progress.finish(_summary(changes))

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


def _session(work: Work) -> Any:  # noqa: ANN401 (requests publishes no types)
    """Return a session; what the service gave, if it did."""
    if work.session is not None:
        return work.session
    import requests

    return requests.Session()


def _find_links(
    work: Work, family: Family | None, pins: Sequence[str]
) -> tuple[Link, ...]:
    """Return the wheels for some pins.

    Raises
    ------
    SourceUnreachableError, NoTorchWheelError, ChecksumError
        The source does not answer, has none, or has another than PyTorch.
    """
    assert family is not None
    if work.offline:
        from colabmagic.cuda.errors import SourceUnreachableError  # noqa: PLC0415

        raise SourceUnreachableError(
            "PyTorch's wheels would have to be fetched, and --offline was given",
            seen=", ".join(pins),
            hint="run the cell without --offline",
        )
    with _session(work) as session:
        return tuple(_find_link(session, family.source, pin) for pin in pins)


def _find_link(session: Any, source: Source, pin: str) -> Link:  # noqa: ANN401
    """Return the wheel for one pin, with the checksum that PyTorch tells.

    Raises
    ------
    SourceUnreachableError, NoTorchWheelError, ChecksumError
        See `_find_links`.
    """
    from colabmagic.cuda.packages import links  # noqa: PLC0415 (lazy)

    name = pin.partition("=")[0]
    page = source.page(name)
    link = _pick(links.fetch_page(session, page), page, pin)
    if link is None:
        raise NoTorchWheelError(
            f"there is no wheel of {pin} for this Python",
            seen=f"looked at {scrub(page)}",
            hint=f"see which there are: {scrub(page)}",
        )
    official = source.official_page(name)
    if official is not None:
        text = links.fetch_page(session, official, is_needed=False)
        link = links.with_official_checksum(link, _pick(text, official, pin))
    return link


def _pick(text: str | None, address: str, pin: str) -> Link | None:
    """Return the wheel for a pin on a page."""
    from packaging.tags import sys_tags  # noqa: PLC0415

    from colabmagic.cuda.packages import links  # noqa: PLC0415 (lazy)

    if text is None:
        return None
    return links.pick(links.parse_page(text, address), pin, tuple(sys_tags()))


def _page(links: Sequence[Link]) -> str:
    """Return the page for pip."""
    from colabmagic.cuda.packages.links import write_page  # noqa: PLC0415 (lazy)

    return write_page(links)


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
        return (_OUTSIDE,)

    def lines(self) -> Sequence[str]:
        """Return what is done, in words: the versions are in the record."""
        python = _shown_python(self.python)
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
        from colabmagic.cuda.packages.record import name_of  # noqa: PLC0415 (lazy)

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
            argv = [pip.python, "-m", "pip", "uninstall", "--yes", "--no-input", *new]
            pip.run(argv, lambda _: None)
        if back:
            links = self._links(work, back)
            if links:
                pip.write(pip_run.WHEELS, [_page(links)])
            pip.write(pip_run.REQUIREMENTS, back)
            pip.install(("--no-deps", "--force-reinstall"), lambda _: None)
        work.progress.finish(f"{len(back)} brought back, {len(new)} taken away")

    def _links(self, work: Work, lines: Sequence[str]) -> list[Link]:
        """Return the wheels of PyTorch's builds among some lines of ``pip freeze``."""
        found: list[Link] = []
        for line in lines:
            name, _, version = line.partition("==")
            label = version.partition("+")[2]
            if not label.startswith("cu"):
                continue
            source = Source(url=f"{self.root}/{label}", is_flat=self.is_flat)
            family = Family(source=source, pins=(f"{name}=={version}",))
            found += _find_links(work, family, family.pins)
        return found


def outcome_of(step: PipInstall, home: Home) -> Record | None:
    """Return what a step has changed, and what must be restarted; None: nothing."""
    return read_record(home, step.token)

"""Pip of this kernel: its command lines, and what it answers."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any

from colabmagic.cuda.errors import CudaError, SourceUnreachableError
from colabmagic.cuda.fetching.pip_settings import pip_environment
from colabmagic.cuda.packages.failure import explain
from colabmagic.cuda.packages.record import Change, name_of, normal
from colabmagic.cuda.packages.scrub import scrub
from colabmagic.host.stream import stream
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from colabmagic.cuda.steps.base import Work

_LOOK_S = 120.0
_RESOLVE_S = 3600.0  # pip may fetch whole wheels to read what they want
_INSTALL_S = 7200.0

# What is installed, in a tenth of the time that `pip list` takes; the first one counts.
_LIST = """
import json
from importlib.metadata import distributions
found = {}
for each in distributions():
    if each.metadata["Name"]:
        found.setdefault(each.metadata["Name"], each.version)
print(json.dumps(found))
"""

REQUIREMENTS = "requirements.txt"  # its lines are shown beside the command
WHEELS = "torch-wheels.html"  # the wheels of PyTorch that were chosen, and no others
FOUND = "found.txt"  # the versions that the dry run found
REPORT = "report.json"  # which the dry run writes


def install_argv(  # noqa: PLR0913 (each is a part of the command)
    python: str,
    *,
    folder: str = "",
    command_options: Sequence[str] = (),
    with_wheels: bool = False,
    with_found: bool = False,
    dry_run: bool = False,
    offline: bool = False,
) -> list[str]:
    """Return the command; a plan shows the same with the files' bare names.

    Parameters
    ----------
    python
        The interpreter whose packages change.
    folder
        Of the files, ending with a slash.
    command_options
        Of the cell.
    with_wheels, with_found
        Whether these files are there.
    dry_run
        Change nothing, and write what would change into ``report.json``.
    offline
        Ask no index.
    """
    return [
        python,
        "-P",  # modules in the notebook's folder are none of pip's
        "-m",
        "pip",
        "install",
        "--no-input",
        "--progress-bar=off",
        *command_options,
        *(["--no-index"] if offline else []),
        *([f"--find-links={folder}{WHEELS}"] if with_wheels else []),
        *([f"--constraint={folder}{FOUND}"] if with_found else []),
        *(["--dry-run", f"--report={folder}{REPORT}"] if dry_run else []),
        f"--requirement={folder}{REQUIREMENTS}",
    ]


def environment(command: str, python: str | None = None) -> Mapping[str, str]:
    """Return the environment of pip: this Python's, without advice that we do not show.

    Parameters
    ----------
    command, python
        See `pip_environment`.
    """
    return {
        **pip_environment(command, python),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PIP_NO_COLOR": "1",
        "PYTHONWARNINGS": "ignore",
    }


class Pip:
    """Runs pip for one step.

    Parameters
    ----------
    work
        Of the step.
    python
        The interpreter; None: ours.
    folder
        A folder that only the user may read, for files that may hold passwords.
    """

    def __init__(self, work: Work, python: str | None, folder: Path) -> None:
        self.work = work
        self.python = python or sys.executable
        self.folder = folder

    def write(self, name: str, lines: Sequence[str]) -> None:
        """Write a file that a command names."""
        (self.folder / name).write_text("\n".join([*lines, ""]), encoding="utf-8")

    def environment(self, command: str) -> Mapping[str, str]:
        """Return what a command of this pip works in."""
        return environment(command, self.python)

    def _has(self, name: str) -> bool:
        """Tell whether a file was written."""
        return (self.folder / name).is_file()

    def argv(
        self, command_options: Sequence[str] = (), *, dry_run: bool = False
    ) -> list[str]:
        """Return the command with the files that are there."""
        return install_argv(
            self.python,
            folder=f"{self.folder}/",
            command_options=command_options,
            with_wheels=self._has(WHEELS),
            with_found=self._has(FOUND),
            dry_run=dry_run,
            offline=self.work.offline,
        )

    def freeze(self) -> dict[str, str]:
        """Return what is installed: package → its line of ``pip freeze``.

        Raises
        ------
        CudaError
            Pip does not run.
        """
        argv = [self.python, "-P", "-m", "pip", "freeze", "--all"]
        outcome = self.work.run(argv, timeout_s=_LOOK_S, env=self.environment("freeze"))
        if not outcome.ok:
            raise explain(outcome, outcome.stdout)
        lines = outcome.stdout.splitlines()
        return {name: line for line in lines if (name := name_of(line)) is not None}

    def versions(self) -> dict[str, str]:
        """Return what is installed: package → version."""
        argv = [self.python, "-c", _LIST]
        outcome = self.work.run(argv, timeout_s=_LOOK_S, env=self.environment("list"))
        if not outcome.ok:
            raise explain(outcome, outcome.stdout)
        with _readable("what is installed"):
            rows = json.loads(outcome.stdout.splitlines()[-1])
            return {normal(name): str(version) for name, version in rows.items()}

    def resolve(self, command_options: Sequence[str]) -> list[dict[str, Any]]:
        """Return what pip would install, as its report has it.

        Raises
        ------
        CudaError
            It cannot be.
        """
        argv = self.argv(command_options, dry_run=True)
        outcome = self.work.run(
            argv, timeout_s=_RESOLVE_S, env=self.environment("install")
        )
        if not outcome.ok:
            raise self._explained(outcome, outcome.stdout)
        with _readable("the report of its dry run"):
            text = (self.folder / REPORT).read_text(encoding="utf-8")
            rows: list[dict[str, Any]] = json.loads(text)["install"]
            for row in rows:  # what is read of it later
                _ = row["metadata"]["name"] + row["metadata"]["version"]
            return rows

    def install(
        self, command_options: Sequence[str], on_line: Callable[[str], object]
    ) -> None:
        """Install what `resolve` has found.

        Raises
        ------
        CudaError
            It failed; what was changed before that is changed.
        """
        self.run(self.argv(command_options), on_line)

    def run(self, argv: Sequence[str], on_line: Callable[[str], object]) -> None:
        """Run a command that changes something.

        Raises
        ------
        CudaError
            It failed.
        """
        said: list[str] = []

        def hear(line: str) -> None:
            said.append(line)
            on_line(line)

        command = argv[argv.index("pip") + 1]
        outcome = stream(
            argv, timeout_s=_INSTALL_S, on_line=hear, env=self.environment(command)
        )
        if not outcome.ok:
            raise self._explained(outcome, "".join(said[-50:]))

    def _explained(self, outcome: Any, output: str) -> Exception:  # noqa: ANN401
        """Return the error; offline, what is missing is not the cell's fault."""
        error = explain(outcome, output)
        if self.work.offline and outcome.returncode:
            return SourceUnreachableError(
                "pip would have to fetch packages, and --offline was given",
                seen=error.seen or error.what,
                hint="run the cell without --offline, or once with a connection",
            )
        return error


@contextlib.contextmanager
def _readable(what: str) -> Iterator[None]:
    """Turn an answer of pip that makes no sense into one clear error."""
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise CudaError(
            f"pip does not tell {what} in a way that can be read",
            seen=f"{type(error).__name__}: {scrub(clean(str(error)))[:80]}",
            hint="%pip install -U pip\nthen run the cell again",
        ) from None


def changes_of(rows: list[dict[str, Any]], before: dict[str, str]) -> list[Change]:
    """Return what a report of pip would change."""
    changes = []
    for row in rows:
        name = normal(row["metadata"]["name"])
        after = row["metadata"]["version"]
        changes.append(Change(name=name, before=before.get(name), after=after))
    return sorted(changes, key=lambda each: each.name)


def exact(rows: list[dict[str, Any]]) -> list[str]:
    """Return what a report found as constraints, so that nothing else is installed."""
    return [
        f"{row['metadata']['name']}==={row['metadata']['version']}"
        for row in rows
        if not row.get("is_direct")
    ]

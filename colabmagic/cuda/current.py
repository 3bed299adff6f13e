"""Which toolkit is meant: one of ours by its version, or the one in use."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.cuda.errors import BadVersionError, CudaError, NotInstalledError
from colabmagic.cuda.machine.toolkits import behind_script
from colabmagic.cuda.store.inventory import Installed, find, installed, read_card
from colabmagic.cuda.store.journal import Journal
from colabmagic.cuda.switching import environment
from colabmagic.cuda.version import parse_wanted
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from colabmagic.cuda.machine.facts import MachineFacts, Toolkit
    from colabmagic.cuda.store.journal import Change
    from colabmagic.cuda.store.layout import Home
    from colabmagic.cuda.verifying.ladder import Ladder

_MOST_NAMED: Final = 3  # toolkits, each with its line to type


def found(
    home: Home,
    version: str,
    *,
    hint: str = "",
    only: bool = False,
    others: Callable[[], Iterable[Toolkit]] = tuple,
) -> Installed:
    """Return a toolkit of ours.

    Parameters
    ----------
    home
        Our folder.
    version
        "12.4", "12.4.1", "12", "cu124".
    hint
        What to type where it is not here; left out: what installs it.
    only
        Refuse what may mean several: it is to be removed.
    others
        Looks for all toolkits of the machine, where it is not in our folder.

    Raises
    ------
    NotInstalledError
        It is not in our folder; one of the system's is named.
    CudaError
        With `only`, it means more than one.
    """
    plain = _plain(version)
    toolkit = find(home, plain)
    if toolkit is not None and only and toolkit.name != plain:
        _refuse_several(home, plain)
    if toolkit is None:
        here = ", ".join(each.name for each in installed(home)) or "none yet"
        other = next((each for each in others() if _is_of(each, plain)), None)
        what, seen = "is not installed", f"in our folder: {here}"
        if other is not None:
            what, seen = "is here, but not ours", f"{clean(other.root)}; {seen}"
            hint = hint or f"%cuda_install {clean(version)}\n(uses that one)"
        raise NotInstalledError(
            f"CUDA {clean(version)} {what}",
            seen=seen,
            hint=hint or _to_have(version),
        )
    return toolkit


def _to_have(version: str) -> str:
    """Return what installs a version; of what is none, the list of those that are here."""
    try:
        parse_wanted(version)
    except BadVersionError:
        return "%cuda_install --list"
    return f"%cuda_install {clean(version)}"


def _is_of(toolkit: Toolkit, version: str) -> bool:
    """Tell whether a toolkit that another has installed is of a version."""
    if toolkit.origin == "ours" or not toolkit.has_compiler or not version:
        return False
    return f"{toolkit.build}.".startswith(f"{version}.")


def _plain(version: str) -> str:
    """Return "12.4" of "cu124" and "v12.4"; what is no version stays as it is."""
    try:
        wanted = parse_wanted(version)
    except BadVersionError:
        return version.strip().removeprefix("v")
    return wanted.version or wanted.minor or str(wanted.major or version.strip())


def _refuse_several(home: Home, version: str) -> None:
    """Refuse to guess which of several is meant.

    Raises
    ------
    CudaError
        There are several.
    """
    names = [each.name for each in installed(home)]
    meant = [name for name in names if name.startswith(f"{version}.")]
    if len(meant) > 1:
        raise CudaError(
            f"{clean(version)} may mean each of {len(meant)} toolkits",
            seen=f"in our folder: {', '.join(names)}",
            hint="\nor\n".join(f"%cuda_install --uninstall {name}" for name in meant),
        )


def had_replaced(home: Home, change: Change) -> bool:
    """Tell whether a change that was taken back had put a toolkit in another's place.

    That one is gone: a name is given anew only when the new one is whole, and then the
    files of the old one go.

    Parameters
    ----------
    home
        Our folder.
    change
        What was taken back.
    """
    name, root = change.details.get("name"), str(change.details.get("root"))
    is_ours = Path(root) == home.toolkits / str(name)
    if not is_ours or find(home, str(name)) is not None:
        return False
    before = [
        each
        for each in Journal(home.journal).changes()
        if each.began < change.began
        and each.state == "committed"
        and each.details.get("name") == name
    ]
    last = before[-1].details if before else {}
    return last.get("root") == root and last.get("reversible") is not False


def with_own_fixes(ladder: Ladder, home: Home) -> Ladder:
    """Return a ladder whose advice can be followed: only ours can be uninstalled by us.

    Parameters
    ----------
    ladder
        Of any toolkit.
    home
        Our folder.
    """
    if Path(ladder.root).parent == home.toolkits:
        return ladder
    build = ladder.build or ""
    minor = ".".join(build.split(".")[:2]) or "auto"
    instead = f"%cuda_install --plan {minor}   names other ways to have it"
    rungs = tuple(
        replace(rung, fix=instead) if "--uninstall" in rung.fix else rung
        for rung in ladder.rungs
    )
    return replace(ladder, rungs=rungs)


def named(home: Home, version: str, verb: str) -> str:
    """Return a version that was named, without blanks.

    Parameters
    ----------
    home
        Our folder.
    version
        As the user writes it.
    verb
        What shall be done with it: "use", "uninstall".

    Raises
    ------
    NotInstalledError
        It is empty; what can be typed is told.
    """
    if version.strip():
        return version.strip()
    here = [each.name for each in installed(home)]
    ways = [f"%cuda_install --{verb} {name}" for name in here[:_MOST_NAMED]]
    if verb == "use":
        ways.append("%cuda_install --use none\n(what was used before us)")
    is_to_be_had = verb == "use" and not here
    ways.append("%cuda_install auto" if is_to_be_had else "%cuda_install --list")
    raise NotInstalledError(
        f"--{verb} does not say which CUDA",
        seen=f"in our folder: {', '.join(here) or 'none yet'}",
        hint="\nor\n".join(ways),
    )


def in_use(home: Home) -> tuple[Path, str | None, dict[str, str]]:
    """Return the toolkit that this kernel uses, its build, and its variables.

    Parameters
    ----------
    home
        Our folder: where nothing is used, its newest toolkit is.

    Raises
    ------
    NotInstalledError
        There is none at all.
    """
    root = environment.active_root()
    nvcc = shutil.which("nvcc")
    if root is None and os.environ.get("CUDA_HOME"):
        root = Path(os.environ["CUDA_HOME"])
    if root is None and nvcc is not None:
        root = behind_script(Path(nvcc).resolve()).resolve().parent.parent
    if root is None:
        newest = next(iter(installed(home)), None)
        if newest is None:
            raise NotInstalledError(
                "there is no CUDA toolkit to verify",
                seen="CUDA_HOME is not set, nvcc is not on PATH, our folder is empty",
                hint="%cuda_install auto",
            )
        return Path(newest.root), newest.build, newest.variables()
    card = read_card(root)
    if card is None:
        return root, None, {}
    return root, card.build, card.variables()


def capability(facts: MachineFacts) -> int | None:
    """Return the compute capability of the first GPU as 75; None: there is none.

    Parameters
    ----------
    facts
        The machine.
    """
    for gpu in facts.gpus:
        if isinstance(gpu.capability, tuple):
            major, minor = gpu.capability
            return major * 10 + minor
    return None

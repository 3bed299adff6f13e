"""Which toolkit is meant: one of ours by its version, or the one in use."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.cuda.errors import NotInstalledError
from colabmagic.cuda.machine.toolkits import behind_script
from colabmagic.cuda.store.inventory import Installed, find, installed, read_card
from colabmagic.cuda.switching import environment
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from colabmagic.cuda.machine.facts import MachineFacts
    from colabmagic.cuda.store.layout import Home

_MOST_NAMED: Final = 3  # toolkits, each with its line to type


def found(home: Home, version: str, *, hint: str = "") -> Installed:
    """Return a toolkit of ours.

    Parameters
    ----------
    home
        Our folder.
    version
        "12.4", "12.4.1", "12".
    hint
        What to type where it is not here; left out: what installs it.

    Raises
    ------
    NotInstalledError
        It is not in our folder.
    """
    toolkit = find(home, version.strip().removeprefix("v"))
    if toolkit is None:
        here = ", ".join(each.name for each in installed(home)) or "none yet"
        raise NotInstalledError(
            f"CUDA {clean(version)} is not installed",
            seen=f"in our folder: {here}",
            hint=hint or f"%cuda_install {clean(version)}",
        )
    return toolkit


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
    ways += ["%cuda_install --list"] if here else ["%cuda_install auto"]
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

"""The toolkits in our folder, as their own files tell of them."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.cuda.store.layout import Home

CARD: Final = "toolkit.json"
_VARIABLE: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
ROOT: Final = "{root}"  # in a card, for the folder that it lies in


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A finished toolkit.

    Attributes
    ----------
    name
        Of its folder: the release, "13.0.3".
    build
        As ``nvcc --version`` says: "13.0.88".
    method
        How it came.
    installed
        Seconds since the epoch.
    environment
        What it wants in the environment; ``{root}`` stands for its folder.
    size_bytes
        On disk.
    change
        The name in the journal of what installed it.
    root
        Its folder.
    """

    name: str
    build: str
    method: str
    installed: float
    environment: dict[str, str] = field(default_factory=dict)
    size_bytes: int = 0
    change: str = ""
    root: str = ""

    def variables(self) -> dict[str, str]:
        """Return the environment with the real folder in it."""
        return {
            name: value.replace(ROOT, self.root)
            for name, value in self.environment.items()
        }


def write_card(folder: Path, toolkit: Installed) -> None:
    """Write the card of a toolkit; it is on disk when this returns.

    Parameters
    ----------
    folder
        Of the toolkit.
    toolkit
        Its folder is not written: it may be another later.
    """
    data = asdict(toolkit)
    del data["root"]
    with (folder / CARD).open("w", encoding="utf-8") as file:
        json.dump(data, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def read_card(folder: Path) -> Installed | None:
    """Return what the card of a toolkit says; None: it has none that can be read.

    Parameters
    ----------
    folder
        Of the toolkit.
    """
    try:
        data: dict[str, Any] = json.loads((folder / CARD).read_text(encoding="utf-8"))
        if not _makes_sense(data):
            return None
        return Installed(**{**data, "name": folder.name, "root": str(folder)})
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def _makes_sense(data: dict[str, Any]) -> bool:
    """Tell whether all that a file says is of its kind: it may be anybody's."""
    texts = (data.get("build"), data.get("method"), data.get("change", ""))
    installed, variables = data.get("installed"), data.get("environment", {})
    return (
        all(isinstance(each, str) for each in texts)
        and isinstance(installed, int | float)
        and math.isfinite(installed)
        and isinstance(data.get("size_bytes", 0), int)
        and isinstance(variables, dict)
        and all(
            _VARIABLE.fullmatch(name) and isinstance(value, str) and "\0" not in value
            for name, value in variables.items()
        )
    )


def installed(home: Home) -> list[Installed]:
    """Return the toolkits in our folder, the newest version first.

    Parameters
    ----------
    home
        Our folder.
    """
    found = []
    with contextlib.suppress(OSError):
        for entry in home.toolkits.iterdir():
            if entry.name.startswith(".") or not entry.is_dir():
                continue
            card = read_card(entry)
            if card is not None:
                found.append(card)
    return sorted(found, key=_age, reverse=True)


def find(home: Home, version: str) -> Installed | None:
    """Return the newest toolkit of a version: "13.0.3", or of a minor, "13.0".

    Parameters
    ----------
    home
        Our folder.
    version
        As the user writes it; "13" means any of 13.
    """
    for toolkit in installed(home):
        if toolkit.name == version or toolkit.name.startswith(f"{version}."):
            return toolkit
    return None


def size_of(folder: Path) -> int:
    """Return the bytes that a folder takes; what is linked twice counts once.

    Parameters
    ----------
    folder
        It may be gone by half: what is not there counts nothing.
    """
    seen: set[tuple[int, int]] = set()
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                status = os.lstat(os.path.join(place, name))  # noqa: PTH118 (walks many)
                if (status.st_dev, status.st_ino) not in seen:
                    seen.add((status.st_dev, status.st_ino))
                    total += status.st_size
    return total


def _age(toolkit: Installed) -> tuple[Version, str]:
    """Return what toolkits are sorted by."""
    try:
        return Version(toolkit.name), toolkit.name
    except InvalidVersion:
        return Version("0"), toolkit.name

"""Which packages the kernel has imported."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import TYPE_CHECKING

from colabmagic.cuda.packages.record import normal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from colabmagic.cuda.packages.record import Change


def used(
    changes: Iterable[Change], imported: Iterable[str], *, live: bool
) -> tuple[Change, ...]:
    """Return the changes of packages that are imported.

    Parameters
    ----------
    changes
        What would change.
    imported
        Modules or packages that are known to be imported.
    live
        Whether the packages are those of this process, whose modules count then.
    """
    names = {normal(each) for each in imported}
    modules = {name.partition(".")[0] for name in sys.modules} if live else set()
    found = []
    for change in changes:
        if change.before is None:
            continue
        tops = _modules_of(change.name) if live else {change.name.replace("-", "_")}
        if (
            change.name in names
            or {normal(top) for top in tops} & names
            or (tops & modules)
        ):
            found.append(change)
    return tuple(found)


def _modules_of(name: str) -> set[str]:
    """Return the top-level modules of an installed package: pillow → PIL."""
    guess = {name.replace("-", "_")}
    try:
        distribution = metadata.distribution(name)
        top_level = distribution.read_text("top_level.txt")
        if top_level:
            return set(top_level.split())
        files = distribution.files or ()
    except metadata.PackageNotFoundError:
        return guess
    tops = {
        file.parts[0].removesuffix(".py")
        for file in files
        if file.suffix in {".py", ".so"} and ".dist-info" not in file.parts[0]
    }
    return {top.partition(".")[0] for top in tops} or guess

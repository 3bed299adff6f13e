"""The options of pip that may stand in a file of requirements, or in our cell."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnownOption:
    """An option: its long name, and whether a value follows."""

    name: str
    takes_value: bool


_WITH_VALUE = {
    "--index-url": ("-i", "--pypi-url"),
    "--extra-index-url": (),
    "--constraint": ("-c",),
    "--requirement": ("-r",),
    "--editable": ("-e",),
    "--find-links": ("-f",),
    "--no-binary": (),
    "--only-binary": (),
    "--trusted-host": (),
    "--use-feature": (),
    "--hash": (),
    "--config-settings": ("-C", "--config-setting"),
    "--global-option": (),
    "--upgrade-strategy": (),
}
_WITHOUT_VALUE = {
    "--no-index": (),
    "--pre": (),
    "--prefer-binary": (),
    "--require-hashes": (),
    # Options of the command, not of a file; people paste them.
    "--upgrade": ("-U",),
    "--force-reinstall": (),
    "--no-deps": (),
    "--no-cache-dir": (),
    "--no-build-isolation": (),
    "--quiet": ("-q",),
}
# Of one requirement.
LINE_OPTIONS = frozenset({"--hash", "--config-settings", "--global-option"})
# Pip takes these on its command line only.
COMMAND_OPTIONS = frozenset(
    {
        "--upgrade",
        "--upgrade-strategy",
        "--force-reinstall",
        "--no-deps",
        "--no-cache-dir",
        "--no-build-isolation",
        "--quiet",
    }
)

_NAMES: dict[str, KnownOption] = {}
for _options, _takes_value in ((_WITH_VALUE, True), (_WITHOUT_VALUE, False)):
    for _name, _others in _options.items():
        for _spelling in (_name, *_others):
            _NAMES[_spelling] = KnownOption(_name, _takes_value)


def find_option(name: str) -> KnownOption | None:
    """Return an option by its name or, as pip has it, by the beginning of a long one."""
    if name in _NAMES:
        return _NAMES[name]
    if not name.startswith("--") or name == "--":
        return None
    fitting = {_NAMES[each] for each in _NAMES if each.startswith(name)}
    return fitting.pop() if len(fitting) == 1 else None


def takes_address(value: str) -> bool:
    """Tell whether a value may be the address of an index."""
    return bool(re.match(r"[a-z][a-z+]*://|[./~$]", value, re.IGNORECASE))

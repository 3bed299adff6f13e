"""The user's settings of pip, without those that send its packages elsewhere.

``target``, ``prefix``, ``user`` and their like, in a file or in a variable, change where
pip installs, and for which Python it looks. What we promise, prove and can take back is
what lies in this Python. Indexes, proxies, certificates and the cache stay the user's.
"""

from __future__ import annotations

import configparser
import locale
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

# As pip's files have them; by which packages go elsewhere, others come, or fewer are seen.
NOT_OURS: Final = frozenset(
    {
        "abi", "dry-run", "editable", "exclude", "exclude-editable", "group",
        "implementation", "local", "path", "platform", "prefix", "python",
        "python-version", "report", "requirement", "requirements-from-script", "root",
        "target", "user",
    }
)  # fmt: skip
_VARIABLE: Final = "PIP_"
_FILE: Final = "PIP_CONFIG_FILE"
_NAME: Final = "pip.conf"
_ETC: Final = Path("/etc")
# A program gets no longer variable (Linux: 128 KiB), and all together have a bound, too.
_LONGEST: Final = 100_000
_MOST_BYTES: Final = 2**20  # of a file


def pip_environment(command: str, python: str | None = None) -> dict[str, str]:
    """Return an environment in which a command of pip works for its Python alone.

    A file cannot be told to leave one setting out, and what a later file sets to nothing
    counts for pip 25.2 and 25.3 all the same (read). So pip reads no file at all: what is
    in them is handed over as variables.

    Parameters
    ----------
    command
        "install": the section of the files that counts beside ``global``.
    python
        The interpreter; None: this one.

    Returns
    -------
    dict
        Of this process, with pip's variables changed. It may hold passwords, as the files
        do.
    """
    kept = {name: each for name, each in os.environ.items() if _counts(name, each)}
    if kept.get(_FILE) == os.devnull:  # so that pip reads no file
        return kept
    try:
        settings = _settings(_files(kept.get(_FILE, ""), python), command)
    except (configparser.Error, UnicodeError):  # pip itself says best what is wrong
        return kept
    if sum(map(len, settings.values())) > _LONGEST:  # no program starts with these
        return kept
    known = {_normal(name) for name in kept if name.startswith(_VARIABLE)}
    told = {
        f"{_VARIABLE}{name.upper().replace('-', '_')}": value
        for name, value in settings.items()
        if name not in NOT_OURS | known and name.replace("-", "").isalnum()
    }
    return {**told, **kept, _FILE: os.devnull}


def _counts(name: str, value: str) -> bool:
    """Tell whether a variable is kept: none that sends away, or that is empty for pip."""
    return not name.startswith(_VARIABLE) or (
        bool(value) and _normal(name) not in NOT_OURS
    )


def _normal(name: str) -> str:
    """Return the name of a setting, or of its variable, as pip compares it."""
    return name.removeprefix(_VARIABLE).lower().replace("_", "-").removeprefix("--")


def _files(chosen: str, python: str | None) -> list[Path]:
    """Return where pip looks for settings on Linux; the later one counts.

    Those of the machine, of the user (or the one that he has named), of this Python.
    """
    folders = os.environ.get("XDG_CONFIG_DIRS", "").strip() or str(_ETC / "xdg")
    machine = [Path(each) / "pip" / _NAME for each in folders.split(os.pathsep)]
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 (it may be unknown: pip takes ~)
    config = os.environ.get("XDG_CONFIG_HOME", "").strip()
    above = Path(config) if config else home / ".config"
    user = [home / ".pip" / _NAME, above / "pip" / _NAME]
    is_ours = python in {None, sys.executable}
    prefix = Path(sys.prefix if python is None or is_ours else python)
    site = (prefix if is_ours else prefix.parent.parent) / _NAME
    is_there = os.path.exists(chosen)  # noqa: PTH110 (it raises nothing)
    named = [Path(chosen)] if chosen and is_there else []
    return [*machine, _ETC / _NAME, *([] if named else user), site, *named]


def _settings(files: Iterable[Path], command: str) -> dict[str, str]:
    """Return what counts for a command: name → value; what is empty, pip ignores.

    Raises
    ------
    configparser.Error, UnicodeError
        A file is none of settings.
    """
    found: dict[str, dict[str, str]] = {"global": {}, command: {}}
    for file in files:
        parser = configparser.RawConfigParser()
        parser.read_string(_text(file), str(file))
        for section, its in found.items():
            items = parser.items(section) if parser.has_section(section) else ()
            its.update((_normal(name), value) for name, value in items)
    both = [
        {name: value for name, value in each.items() if value and "\0" not in value}
        for each in found.values()
    ]
    return {name: value for each in both for name, value in each.items()}


def _text(file: Path) -> str:
    """Return what is in a file of settings; nothing where there is none to be read.

    Raises
    ------
    configparser.Error, UnicodeError
        It is none of settings.
    """
    try:
        # Of a pipe or a device nothing is read: it may have no end, or never begin.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as opened:  # noqa: PTH123 (a descriptor)
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
            data = opened.read(_MOST_BYTES + 1) if is_file else b""
    except (OSError, ValueError):  # pip passes it over, too
        return ""
    if len(data) > _MOST_BYTES:
        raise configparser.Error(f"{file} has more than {_MOST_BYTES} bytes")
    text = data.decode(locale.getpreferredencoding(do_setlocale=False))
    return text.replace("\r\n", "\n").replace("\r", "\n")

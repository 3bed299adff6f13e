"""Read what the system is: its name, its C library, its disks, its tools."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from colabmagic.host.system import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from colabmagic.cuda.machine.facts import Pair

TOOLS: Final = ("apt-get", "dpkg-deb", "xz", "zstd", "uv", "ldconfig")
# Of these programs some live where a user's PATH does not lead.
_SYSTEM_FOLDERS: Final = ("usr/sbin", "sbin", "usr/bin", "bin")
_KEYRINGS: Final = (
    "usr/share/keyrings",
    "etc/apt/keyrings",
    "etc/apt/trusted.gpg.d",
)
_KEYS: Final = frozenset({".gpg", ".asc"})
_SOURCE: Final = re.compile(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)")
_NO_LINUX: Final = {"Windows": "windows", "Darwin": "macos"}
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})


def read_os(sysroot: Path) -> tuple[str, str, str]:
    """Return id, version and name of the system, as os-release has them.

    Parameters
    ----------
    sysroot
        The root of the file system.
    """
    system = platform.system()
    if system in _NO_LINUX:
        version = platform.mac_ver()[0] if system == "Darwin" else platform.version()
        return _NO_LINUX[system], version, f"{system} {platform.release()}"
    values: dict[str, str] = {}
    for path in ("etc/os-release", "usr/lib/os-release"):
        text = read_text(sysroot / path)
        if text:
            values = _parse(text)
            break
    identity = values.get("ID") or "linux"
    version = values.get("VERSION_ID", "")
    return (
        identity,
        version,
        values.get("PRETTY_NAME") or f"{identity} {version}".strip(),
    )


def _parse(text: str) -> dict[str, str]:
    """Return the assignments of an os-release."""
    values = {}
    for line in text.splitlines():
        name, is_pair, value = line.strip().partition("=")
        if is_pair and not name.startswith("#"):
            values[name] = value.strip().strip("\"'")
    return values


def read_glibc() -> Pair | None:
    """Return ``(2, 35)``; None where the C library is another one."""
    try:
        text = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, OSError, ValueError):  # no Unix, or musl
        return None
    found = re.match(r"glibc (\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def is_root() -> bool:
    """Tell whether this process may change the system: root, and a disk that lets it."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and os.access("/usr", os.W_OK)


def free_bytes(home: Path, cache: Path) -> dict[str, int]:
    """Return the room by purpose; what cannot be read is left out.

    Parameters
    ----------
    home, cache
        Folders, which need not exist yet.
    """
    free = {}
    # The variable first: Python remembers a folder from before it was set.
    temporary = Path(os.environ.get("TMPDIR") or tempfile.gettempdir())
    places = {"home": home, "cache": cache, "tmp": temporary}
    for purpose, folder in places.items():
        # As a function it raises for no folder that is shut.
        while not os.path.exists(folder) and folder != folder.parent:  # noqa: PTH110
            folder = folder.parent  # noqa: PLW2901 (up to what exists)
        try:
            free[purpose] = shutil.disk_usage(folder).free
        except OSError:
            continue
    return free


def find_tools(env: Mapping[str, str], sysroot: Path) -> tuple[str, ...]:
    """Return which of `TOOLS` are here."""
    folders = [str(sysroot / each) for each in _SYSTEM_FOLDERS]
    path = os.pathsep.join([env.get("PATH", ""), *folders])
    return tuple(tool for tool in TOOLS if shutil.which(tool, path=path))


def has_pip() -> bool:
    """Tell whether this Python has pip: environments that uv makes have none."""
    return importlib.util.find_spec("pip") is not None


def find_keyrings(sysroot: Path) -> tuple[str, ...]:
    """Return the files of keys that apt may trust, as the system names them."""
    found = []
    for folder in _KEYRINGS:
        try:
            names = sorted(os.listdir(sysroot / folder))  # noqa: PTH208 (names only)
        except OSError:
            continue
        found += [f"/{folder}/{name}" for name in names if Path(name).suffix in _KEYS]
    return tuple(found)


def find_apt_sources(sysroot: Path) -> tuple[str, ...]:
    """Return where apt on this machine gets packages, each as "address suite".

    Lines with a login in their address are left out.

    Parameters
    ----------
    sysroot
        The root of the file system.
    """
    files = [sysroot / "etc/apt/sources.list"]
    folder = sysroot / "etc/apt/sources.list.d"
    with contextlib.suppress(OSError):
        files += [folder / name for name in sorted(os.listdir(folder))]  # noqa: PTH208
    found: dict[str, None] = {}
    for file in files:
        text = read_text(file) or ""
        pairs = _stanzas(text) if file.suffix == ".sources" else _lines(text)
        for address, suite in pairs:
            if "@" not in address:
                found[f"{address.rstrip('/')} {suite}"] = None
    return tuple(found)


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield address and suite of each line: ``deb [arch=…] http://… jammy main``."""
    for line in text.splitlines():
        found = _SOURCE.match(line.strip())
        if found is not None:
            yield found[1], found[2]


def _stanzas(text: str) -> Iterator[tuple[str, str]]:
    """Yield the same of the newer form, with ``URIs:`` and ``Suites:``."""
    for stanza in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"(?m)^(Types|URIs|Suites|Enabled):\s*(.+)$", stanza))
        if "deb" not in fields.get("Types", "").split():
            continue
        if fields.get("Enabled", "yes").strip().lower() in {"no", "false"}:
            continue
        for address in fields.get("URIs", "").split():
            for suite in fields.get("Suites", "").split():
                yield address, suite


def imported_packages(modules: Mapping[str, Any]) -> dict[str, str]:
    """Return the installed packages that are imported, with the version they tell.

    Modules are looked at, no attribute of theirs is computed.

    Parameters
    ----------
    modules
        ``sys.modules``, or alike.
    """
    found = {}
    for name, module in list(modules.items()):
        if "." in name or name.startswith("_") or name in sys.stdlib_module_names:
            continue
        content = getattr(module, "__dict__", None)
        if not isinstance(content, dict):
            continue
        file = content.get("__file__")
        if not isinstance(file, str) or _INSTALLED.isdisjoint(Path(file).parts):
            continue
        version = content.get("__version__")
        found[name] = version if isinstance(version, str) else ""
    return found

"""What the archives of Debian and Ubuntu hold: compilers, and toolkits of their own.

Packages are unpacked beside the toolkit, so that any release may serve whose C library
is not newer than the machine's, and whose signature the machine can check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from colabmagic.data import compat

if TYPE_CHECKING:
    from colabmagic.cuda.machine.facts import MachineFacts, Pair

_MOST_ROOM = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """One release of a distribution.

    Attributes
    ----------
    os_id, version, suite
        "ubuntu", "22.04", "jammy".
    components
        Where compilers and toolkits are.
    glibc
        What its programs want.
    gcc
        Major versions of its g++-N.
    isl
        Version of the library (libisl) that its compilers load.
    basis
        How `gcc` is known.
    table_name
        Of its row in ``distro_nvcc``.
    is_only_own
        Whether usual mirrors have it no more, so that it serves its own machines alone.
    packages
        Those that hold the toolkit.
    """

    os_id: str
    version: str
    suite: str
    components: tuple[str, ...]
    glibc: Pair
    gcc: tuple[int, ...]
    isl: int
    basis: str
    table_name: str
    packages: tuple[str, ...]
    is_only_own: bool = False

    @property
    def name(self) -> str:
        """Return "Ubuntu 22.04"."""
        return f"{self.os_id.capitalize()} {self.version}"

    def nvcc(self) -> tuple[str, str] | None:
        """Return build and basis of its toolkit: ("11.8.89", "measured")."""
        for row in compat.distro_nvcc():
            if row.suite == self.table_name:
                return row.nvcc, row.basis
        return None


_DEBIAN: Final = ("main", "contrib", "non-free")
_UBUNTU: Final = ("main", "universe", "multiverse")
_TOOLKIT: Final = "nvidia-cuda-toolkit"

ARCHIVES: Final = (
    Archive(
        os_id="debian",
        version="13",
        suite="trixie",
        components=_DEBIAN,
        glibc=(2, 41),
        gcc=(12, 13, 14),
        isl=23,
        basis="memory",
        table_name="trixie non-free",
        packages=(_TOOLKIT, "libnvvm4"),
    ),
    Archive(
        os_id="debian",
        version="12",
        suite="bookworm",
        components=_DEBIAN,
        glibc=(2, 36),
        gcc=(11, 12),
        isl=23,
        basis="measured",
        table_name="bookworm non-free",
        packages=(_TOOLKIT, "libnvvm4"),
    ),
    Archive(
        os_id="debian",
        version="11",
        suite="bullseye",
        components=_DEBIAN,
        glibc=(2, 31),
        gcc=(9, 10),
        isl=23,
        basis="measured",
        table_name="bullseye non-free",
        packages=(_TOOLKIT, "libnvvm4", "nvidia-cuda-dev"),
    ),
    Archive(
        os_id="ubuntu",
        version="24.04",
        suite="noble",
        components=_UBUNTU,
        glibc=(2, 39),
        gcc=(9, 10, 11, 12, 13, 14),
        isl=23,
        basis="memory",
        table_name="ubuntu 24.04",
        packages=(_TOOLKIT, "libnvvm4"),
    ),
    Archive(
        os_id="ubuntu",
        version="22.04",
        suite="jammy",
        components=_UBUNTU,
        glibc=(2, 35),
        gcc=(9, 10, 11, 12),
        isl=23,
        basis="memory",
        table_name="ubuntu 22.04",
        packages=(_TOOLKIT, "libnvvm4", "nvidia-cuda-dev"),
    ),
    Archive(
        os_id="ubuntu",
        version="20.04",
        suite="focal",
        components=_UBUNTU,
        glibc=(2, 31),
        gcc=(7, 8, 9, 10),
        isl=22,
        basis="memory",
        table_name="ubuntu 20.04",
        packages=(_TOOLKIT, "libnvvm3", "nvidia-cuda-dev"),
    ),
    Archive(
        os_id="ubuntu",
        version="18.04",
        suite="bionic",
        components=_UBUNTU,
        glibc=(2, 27),
        gcc=(5, 6, 7, 8),
        isl=19,
        basis="memory",
        table_name="ubuntu 18.04 multiverse",
        packages=(_TOOLKIT, "libnvvm3", "nvidia-cuda-dev"),
    ),
    Archive(
        os_id="ubuntu",
        version="17.10",
        suite="artful",
        components=_UBUNTU,
        glibc=(2, 26),
        gcc=(5, 6, 7),
        isl=15,
        basis="memory",
        table_name="",
        packages=(),
        is_only_own=True,
    ),
)

# What unpacks packages without root.
_TOOLS: Final = frozenset({"apt-get", "dpkg-deb"})
_RING: Final = {"debian": "debian-archive", "ubuntu": "ubuntu-archive"}


def usable_archives(facts: MachineFacts) -> tuple[Archive, ...]:
    """Return the archives that may serve this machine: its own first, then the newest.

    Parameters
    ----------
    facts
        The machine.
    """
    if not set(facts.tools) >= _TOOLS or facts.glibc is None:
        return ()
    own = own_archive(facts)
    fitting = [
        each
        for each in ARCHIVES
        if each.glibc <= facts.glibc
        and (not each.is_only_own or each == own)
        and keyring_for(each, facts) is not None
        and source_line(each, facts) is not None
    ]
    return tuple(sorted(fitting, key=lambda each: each != own))


def own_archive(facts: MachineFacts) -> Archive | None:
    """Return the archive of the machine's own release; None: it is none of `ARCHIVES`.

    Parameters
    ----------
    facts
        The machine.
    """
    own = (facts.os_id, facts.os_version)
    return next((each for each in ARCHIVES if (each.os_id, each.version) == own), None)


def source_line(archive: Archive, facts: MachineFacts) -> str | None:
    """Return an archive as a line of apt's sources, from the machine's own mirror.

    Parameters
    ----------
    archive
        One of `ARCHIVES`.
    facts
        The machine.

    Returns
    -------
    str or None
        ``URL suite component …``; None: apt here knows no mirror of the distribution.
    """
    suites = {each.suite for each in ARCHIVES if each.os_id == archive.os_id}
    suites |= {"stable"} if archive.os_id == "debian" else set()
    for line in facts.apt_sources:
        address, _, suite = line.partition(" ")
        # Repositories of others use the same names of suites.
        is_own = address.rstrip("/").rpartition("/")[2].startswith(archive.os_id)
        if is_own and suite in suites:
            return " ".join([address, archive.suite, *archive.components])
    return None


def keyring_for(archive: Archive, facts: MachineFacts) -> str | None:
    """Return the file of keys that checks an archive; None: it is not here.

    Parameters
    ----------
    archive
        One of `ARCHIVES`.
    facts
        The machine.
    """
    begin = _RING[archive.os_id]
    names = {
        path: path.rpartition("/")[2]
        for path in facts.keyrings
        if path.rpartition("/")[2].startswith(begin) and "removed" not in path
    }
    # The one of all releases first; else that of this release.
    for path, name in names.items():
        if name.startswith(f"{begin}-keyring"):
            return path
    for path, name in names.items():
        if archive.suite in name:
            return path
    return None

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


_TOOLKIT: Final = "nvidia-cuda-toolkit"
_DEV: Final = "nvidia-cuda-dev"


def _debian(  # noqa: PLR0913 (a row of a table)
    version: str,
    suite: str,
    *,
    glibc: Pair,
    gcc: tuple[int, ...],
    basis: str,
    more: tuple[str, ...] = (),
) -> Archive:
    """Return a release of Debian."""
    return Archive(
        os_id="debian",
        version=version,
        suite=suite,
        components=("main", "contrib", "non-free"),
        glibc=glibc,
        gcc=gcc,
        isl=23,
        basis=basis,
        table_name=f"{suite} non-free",
        packages=(_TOOLKIT, "libnvvm4", *more),
    )


def _ubuntu(  # noqa: PLR0913 (a row of a table)
    version: str,
    suite: str,
    *,
    glibc: Pair,
    gcc: tuple[int, ...],
    isl: int,
    packages: tuple[str, ...],
    table_name: str | None = None,
) -> Archive:
    """Return a release of Ubuntu; one that has no toolkit is on its own machines only."""
    return Archive(
        os_id="ubuntu",
        version=version,
        suite=suite,
        components=("main", "universe", "multiverse"),
        glibc=glibc,
        gcc=gcc,
        isl=isl,
        basis="memory",
        table_name=f"ubuntu {version}" if table_name is None else table_name,
        packages=packages,
        is_only_own=not packages,
    )


ARCHIVES: Final = (
    _debian("13", "trixie", glibc=(2, 41), gcc=(12, 13, 14), basis="memory"),
    _debian("12", "bookworm", glibc=(2, 36), gcc=(11, 12), basis="measured"),
    _debian(
        "11", "bullseye", glibc=(2, 31), gcc=(9, 10), basis="measured", more=(_DEV,)
    ),
    _ubuntu(
        "24.04",
        "noble",
        glibc=(2, 39),
        gcc=(9, 10, 11, 12, 13, 14),
        isl=23,
        packages=(_TOOLKIT, "libnvvm4"),
    ),
    _ubuntu(
        "22.04",
        "jammy",
        glibc=(2, 35),
        gcc=(9, 10, 11, 12),
        isl=23,
        packages=(_TOOLKIT, "libnvvm4", _DEV),
    ),
    _ubuntu(
        "20.04",
        "focal",
        glibc=(2, 31),
        gcc=(7, 8, 9, 10),
        isl=22,
        packages=(_TOOLKIT, "libnvvm3", _DEV),
    ),
    _ubuntu(
        "18.04",
        "bionic",
        glibc=(2, 27),
        gcc=(5, 6, 7, 8),
        isl=19,
        packages=(_TOOLKIT, "libnvvm3", _DEV),
        table_name="ubuntu 18.04 multiverse",
    ),
    _ubuntu(
        "17.10",
        "artful",
        glibc=(2, 26),
        gcc=(5, 6, 7),
        isl=15,
        packages=(),
        table_name="",
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

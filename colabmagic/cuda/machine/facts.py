"""What is known about a machine, as plain frozen data that fits into JSON."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 (types are read at run time)
from dataclasses import dataclass, field, replace
from typing import Any, Final

# At run time: captured machines are read by these types.
from colabmagic.report.model import Unknown
from colabmagic.report.plain import from_plain, to_plain

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiler:
    """A C++ compiler that may be nvcc's host compiler."""

    path: str
    version: tuple[int, ...]  # (11, 4, 0)
    kind: str = "gcc"  # or "clang"

    @property
    def major(self) -> int:
        """Return 11 of 11.4."""
        return self.version[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolkit:
    """A toolkit that is here already.

    Attributes
    ----------
    root
        Its folder.
    build
        As ``nvcc --version`` says: "12.8.93"; Unknown if nvcc does not run.
    origin
        ``ours`` (below our folder), ``system`` (``/usr/local/cuda*``), ``distribution``
        (``/usr/lib/nvidia-cuda-toolkit``), ``wheels`` (``site-packages/nvidia``), ``path``.
    has_compiler
        Whether ``bin/nvcc`` and the compilers behind it exist.
    variables
        What it wants in the environment, by pairs; of ours alone.
    parts
        Libraries whose headers are in it, as ``--with`` calls them.
    """

    root: str
    build: str | Unknown
    origin: str
    has_compiler: bool = True
    variables: tuple[tuple[str, str], ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def minor(self) -> str | None:
        """Return "12.8" of "12.8.93"; None where the build is unknown."""
        if isinstance(self.build, Unknown):
            return None
        return ".".join(self.build.split(".")[:2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A GPU that the driver shows."""

    name: str
    capability: Pair | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchHere:
    """The PyTorch of this interpreter."""

    version: str  # "2.11.0+cu128"
    cuda: str | None  # "12.8"; None: built for the CPU
    is_imported: bool = False
    archs: tuple[str, ...] = ()  # ("sm_75", …, "compute_120"); empty: not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A finished toolkit that lies in the folder of ``--cache`` as one archive.

    Attributes
    ----------
    path
        Of the archive.
    problem
        Why it cannot be used, whatever is wanted; empty: nothing is known against it.
        The other fields may be empty then.
    release, build
        "13.0.3", and what its nvcc says: "13.0.88".
    method
        How the toolkit came.
    arch
        As in ``platform.machine()``.
    system
        "ubuntu 22.04", if packages of that system are in it; empty: NVIDIA's files only.
    compiler
        Major version of the g++ that is in it; None: none is.
    parts
        As of `Toolkit`.
    sha256, size
        Of the archive.
    files, unpacked_bytes
        What comes out of it, at most.
    """

    path: str
    problem: str = ""
    release: str = ""
    build: str = ""
    method: str = ""
    arch: str = ""
    system: str = ""
    compiler: int | None = None
    parts: tuple[str, ...] = ()
    sha256: str = ""
    size: int = 0
    files: int = 0
    unpacked_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """All that a plan depends on.

    Attributes
    ----------
    os_id, os_version
        As in os-release: "ubuntu", "22.04".
    arch
        As in ``platform.machine()``: "x86_64", "aarch64".
    glibc
        None where the C library is another one.
    python
        (3, 13).
    host
        `colabmagic.host.facts.HostKind` as text: "colab", "kaggle", …
    driver
        Its version, "580.82.07"; None: no driver is here; Unknown: it does not answer.
    driver_cuda
        The newest CUDA that the driver runs, (13, 0).
    imported
        Top-level packages of this kernel that are imported, with their versions.
    disk_free
        Bytes by purpose: "home" (our folder), "cache", "tmp".
    tools
        Programs that are here, of: apt-get, dpkg-deb, xz, zstd, uv, ldconfig.
    keyrings
        Files of keys that apt on this machine trusts.
    apt_sources
        Where apt gets packages: "http://… jammy" each.
    kept
        Finished toolkits in the folder of ``--cache``; Unknown if it does not answer.
    """

    os_id: str
    os_version: str
    os_name: str
    arch: str
    glibc: Pair | None
    python: Pair
    host: str
    is_root: bool
    is_wsl: bool
    container: str | None
    gpus: tuple[Gpu, ...]
    driver: str | Unknown | None
    driver_cuda: Pair | Unknown | None
    compilers: tuple[Compiler, ...]
    toolkits: tuple[Toolkit, ...]
    torch: TorchHere | None
    imported: dict[str, str] = field(default_factory=dict)
    disk_free: dict[str, int] = field(default_factory=dict)
    tools: tuple[str, ...] = ()
    keyrings: tuple[str, ...] = ()
    apt_sources: tuple[str, ...] = ()
    library_path: str = ""  # LD_LIBRARY_PATH
    has_pip: bool = True  # whether this Python has it
    kept: tuple[Kept, ...] | Unknown = ()

    @property
    def system(self) -> str:
        """Return "ubuntu 22.04"."""
        return f"{self.os_id} {self.os_version}".strip()

    @property
    def python_tag(self) -> str:
        """Return "cp313"."""
        return f"cp{self.python[0]}{self.python[1]}"

    @property
    def capabilities(self) -> tuple[Pair, ...]:
        """Return the compute capabilities of the GPUs that tell theirs."""
        return tuple(
            gpu.capability
            for gpu in self.gpus
            if not isinstance(gpu.capability, Unknown)
        )


_DICTS: Final = ("imported", "disk_free")  # which `from_plain` does not know


def facts_to_dict(facts: MachineFacts) -> dict[str, Any]:
    """Return plain data that JSON can hold."""
    plain: dict[str, Any] = to_plain(facts)
    return plain


def facts_from_dict(data: Mapping[str, Any]) -> MachineFacts:
    """Return what `facts_to_dict` gave as facts; fields with a default may be absent.

    Raises
    ------
    ValueError
        The data does not fit.
    """
    rest = {name: value for name, value in data.items() if name not in _DICTS}
    return replace(
        from_plain(MachineFacts, rest),
        imported=dict(data.get("imported") or {}),
        disk_free=dict(data.get("disk_free") or {}),
    )

"""What is known about the place where the code runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

# At run time, for captured machines are read by these types.
from colabmagic.report.model import Unknown  # noqa: TC001


class HostKind(Enum):
    """The service or program that runs the notebook."""

    COLAB = "colab"
    KAGGLE = "kaggle"
    LIGHTNING = "lightning"
    STUDIO_LAB = "studio-lab"
    SAGEMAKER = "sagemaker"
    PAPERSPACE = "paperspace"
    VSCODE = "vscode"
    JUPYTER = "jupyter"
    IPYTHON = "ipython"
    PLAIN = "plain"


MANAGED = frozenset(
    {
        HostKind.COLAB,
        HostKind.KAGGLE,
        HostKind.LIGHTNING,
        HostKind.STUDIO_LAB,
        HostKind.SAGEMAKER,
        HostKind.PAPERSPACE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemFacts:
    """The machine, as this process may use it."""

    os: str  # as in platform.system(): Linux, Windows, Darwin
    os_name: str
    machine: str  # as in platform.machine(): x86_64, arm64
    python: str
    container: str | None  # docker, podman, kubernetes …; None outside of one
    wsl: bool
    cpu_count: float | Unknown  # usable: affinity and quota, so 1.5 is possible
    memory_total_bytes: int | Unknown  # the limit of the container, if there is one
    memory_available_bytes: int | Unknown
    disk_total_bytes: int | Unknown  # of the working directory
    disk_free_bytes: int | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """Where the code runs, and how that was recognised."""

    kind: HostKind
    name: str
    variant: str | None  # enterprise, hosted, interactive, batch
    front_end: str | Unknown  # what shows the notebook
    evidence: tuple[str, ...]  # names only: values may be private
    system: SystemFacts

    @property
    def is_managed(self) -> bool:
        """Tell whether somebody else runs the machine and its driver."""
        return self.kind in MANAGED

    @property
    def is_container(self) -> bool:
        """Tell whether the user's own container is around us."""
        return self.system.container is not None and not self.is_managed

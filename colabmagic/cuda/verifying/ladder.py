"""What was tried, rung by rung, and how it ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

OK: Final = "ok"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"
NO_DRIVER: Final = "no driver"

# In this order. What fails in a rung of `TOOLKIT` is the toolkit's fault.
RUNGS: Final = {
    "files": "files and hashes",
    "version": "nvcc --version",
    "cubin": "compile for the GPU",
    "run": "link and run",
    "library": "library that programs load",
    "flags": "flags of this session",
    "gpu": "compute on the GPU",
    "ptx": "PTX on this driver",
    "torch": "PyTorch",
    "ext": "PyTorch extension",
}
TOOLKIT: Final = frozenset({"files", "version", "cubin", "run"})
_NO_CODE_FOR_GPU: Final = "E06"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One thing that was tried.

    Attributes
    ----------
    name
        One of `RUNGS`.
    verdict
        ``ok``, ``failed``, ``skipped`` or ``no driver`` (all is well up to the GPU).
    why
        A sentence.
    seconds
        How long it took.
    code
        Of the error that it stands for, E01 … E23; empty: of none.
    seen
        The last telling lines of the program that failed.
    fix
        What to type.
    """

    name: str
    verdict: str
    why: str
    seconds: float = 0.0
    code: str = ""
    seen: str = ""
    fix: str = ""

    @property
    def failed(self) -> bool:
        """Tell whether it did not pass."""
        return self.verdict == FAILED

    @property
    def title(self) -> str:
        """Return its name in words."""
        return RUNGS[self.name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """All that was tried on one toolkit.

    Attributes
    ----------
    root
        Of the toolkit.
    build
        As its nvcc says; None where it does not.
    rungs
        In the order of `RUNGS`.
    """

    root: str
    build: str | None
    rungs: tuple[Rung, ...]

    @property
    def ok(self) -> bool:
        """Tell whether nothing failed."""
        return self.failed is None

    @property
    def failed(self) -> Rung | None:
        """Return the first rung that failed."""
        return next((rung for rung in self.rungs if rung.failed), None)

    @property
    def broken(self) -> Rung | None:
        """Return the first rung that failed by the toolkit's own fault.

        A GPU whose memory is full, or that is broken, is not.
        """
        return next(
            (
                rung
                for rung in self.rungs
                if rung.failed
                and (rung.name in TOOLKIT or rung.code == _NO_CODE_FOR_GPU)
            ),
            None,
        )

    @property
    def code(self) -> str:
        """Return the code of the first failure; empty: there is none."""
        return self.failed.code if self.failed is not None else ""

    @property
    def seconds(self) -> float:
        """Return how long all took."""
        return sum(rung.seconds for rung in self.rungs)

    def rung(self, name: str) -> Rung | None:
        """Return a rung by its name; None where it was not tried.

        Parameters
        ----------
        name
            One of `RUNGS`.
        """
        return next((rung for rung in self.rungs if rung.name == name), None)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            **asdict(self),
            "rungs": [asdict(rung) for rung in self.rungs],
            "ok": self.ok,
            "code": self.code,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Ladder:
        """Return the ladder that `to_dict` was made of.

        Parameters
        ----------
        data
            Plain data.
        """
        return cls(
            root=data["root"],
            build=data["build"],
            rungs=tuple(Rung(**rung) for rung in data["rungs"]),
        )

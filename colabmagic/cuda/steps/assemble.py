"""The step that makes a root out of what was unpacked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from colabmagic.cuda.steps.base import InFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from colabmagic.cuda.steps.base import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Assemble(InFolder):
    """Bring unpacked parts into the form of one CUDA root.

    Attributes
    ----------
    layout
        How the parts come: ``wheels``, ``redist``, ``deb``, ``runfile`` or ``shadow``.
    build
        Of the compiler, "13.0.88", or its minor, "13.0"; for the plan's eyes.
    from_root
        For ``shadow``: the tree that PyTorch brought, whose libraries are linked.
    """

    kind: ClassVar[str] = "assemble"

    layout: str
    build: str
    from_root: str | None = None

    def lines(self) -> Sequence[str]:
        """Return what a person sees in the plan."""
        made = f"make a CUDA {self.build} root: bin, include, lib64, nvvm"
        if self.from_root is None:
            return (made,)
        return (made, f"link libraries and headers of {self.from_root} (not changed)")

    def do(self, work: Work) -> None:
        """Carry it out; see `colabmagic.cuda.rooting.assemble.assemble`."""
        from colabmagic.cuda.rooting.assemble import assemble  # noqa: PLC0415 (when used)

        work.progress.start("putting the toolkit together")
        made = assemble(
            work.staging / "parts",
            work.staging,
            self.layout,
            None if self.from_root is None else Path(self.from_root),
        )
        work.environment.update(made.environment)
        work.progress.finish(f"{made.files} files, {made.size_bytes / 1e6:.0f} MB")

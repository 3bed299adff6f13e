"""Let this kernel use the toolkit."""

from __future__ import annotations

import os
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colabmagic.cuda.packages.record import PROCESS
from colabmagic.cuda.store.inventory import read_card
from colabmagic.cuda.switching import environment

if TYPE_CHECKING:
    from colabmagic.cuda.steps.base import Step, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Activate:
    """Set the environment of this kernel, for ``!nvcc`` and for builds.

    Attributes
    ----------
    root
        Of the toolkit; None: the one that this plan has made.
    variables
        What it wants beside the usual ones, by pairs.
    """

    root: str | None = None
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def kind(self) -> str:
        """Return the name of the step."""
        return "activate"

    @property
    def outside(self) -> tuple[str, ...]:
        """Return what changes elsewhere: nothing that outlives this kernel."""
        return ()

    def lines(self) -> tuple[str, ...]:
        """Return what a person sees."""
        root = self.root or "<the new toolkit>"
        more = (f"{name}={shlex.quote(value)}" for name, value in self.variables)
        return (f"CUDA_HOME={root}", "PATH=$CUDA_HOME/bin:$PATH", *more)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"kind": self.kind, **asdict(self)}

    def undo(self) -> tuple[Step, ...]:
        """Return the inverse, for this process alone."""
        before = environment.active_root()
        back_to = None if before is None else str(before)
        return (Deactivate(pid=os.getpid(), back_to=back_to, process=PROCESS),)

    def do(self, work: Work) -> None:
        """Set it."""
        root = Path(self.root) if self.root is not None else work.root
        assert root is not None, "publish comes before activate"
        work.root = root
        work.environment = environment.activate(
            root, {**work.environment, **dict(self.variables)}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Deactivate:
    """Set the environment back, in the process whose it is.

    Attributes
    ----------
    pid
        Of that process.
    back_to
        The toolkit that it used before, ours or the system's; None: none.
    process
        Its own name: in a container that was started anew, another one has its number.
    """

    pid: int
    back_to: str | None = None
    process: str = ""

    @property
    def kind(self) -> str:
        """Return the name of the step."""
        return "deactivate"

    @property
    def outside(self) -> tuple[str, ...]:
        """Return what changes elsewhere."""
        return ()

    def lines(self) -> tuple[str, ...]:
        """Return what a person sees."""
        return ("CUDA_HOME and PATH as they were",)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"kind": self.kind, **asdict(self)}

    def undo(self) -> tuple[Step, ...]:
        """Return the inverse: there is none."""
        return ()

    def do(self, work: Work) -> None:
        """Set it back; another process has an environment of its own."""
        if self.pid != os.getpid() or self.process not in {"", PROCESS}:
            return
        environment.deactivate()
        if self.back_to is None:
            return
        root = Path(self.back_to)
        card = read_card(work.home.toolkits / root.name)
        if card is not None:
            environment.activate(Path(card.root), card.variables())
            return
        # Another's: what it wants is in this process alone, and no journal can say it.
        variables = environment.variables_of(root)
        if variables is not None:
            environment.activate(root, variables)

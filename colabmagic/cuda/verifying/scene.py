"""What all rungs work with: the toolkit, a folder to write to, a clean environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.cuda.flags import FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from colabmagic.host.command import CommandOutcome

COMPILE_S: Final = 180.0  # it takes 1 to 5; machines with two busy cores ten times that
ASK_S: Final = 20.0
RUN_S: Final = 60.0  # the first start of CUDA on a big machine takes its time

_KEPT: Final = ("PATH", "HOME")  # of the user's variables, what a compiler needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A toolkit under test.

    Attributes
    ----------
    root
        Its folder.
    scratch
        An empty folder that goes afterwards.
    run
        Runs programs, as `colabmagic.host.command.run` does.
    compiler
        The host's compiler; None: what is on the path.
    own
        What the toolkit itself wants in the environment.
    user
        The environment of the session.
    capability
        Of the GPU that is here: 75 for 7.5; None: none is known.
    """

    root: Path
    scratch: Path
    run: Callable[..., CommandOutcome]
    compiler: str | None = None
    own: Mapping[str, str] = field(default_factory=dict)
    user: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    capability: int | None = None

    @property
    def nvcc(self) -> str:
        """Return where the compiler lies."""
        return str(self.root / "bin" / "nvcc")

    def environment(self) -> dict[str, str]:
        """Return an environment in which nothing of the user's disturbs a compiler."""
        kept = {name: self.user[name] for name in _KEPT if name in self.user}
        mine = {"LC_ALL": "C", "TMPDIR": str(self.scratch)}
        return {"PATH": os.defpath, **kept, **mine, **self.own}

    def user_flags(self) -> dict[str, str]:
        """Return flags for nvcc that are the user's, and not the toolkit's."""
        return {
            name: self.user[name]
            for name in FLAGS
            if self.user.get(name) and self.user[name] != self.own.get(name)
        }

    def library_path(self) -> str:
        """Return the user's ``LD_LIBRARY_PATH``."""
        return self.user.get("LD_LIBRARY_PATH", "")

    def driver_path(self) -> str:
        """Return those of its folders that hold the driver, and no runtime of CUDA.

        On Colab the driver is found by them alone.
        """
        folders = [Path(each) for each in self.library_path().split(":") if each]
        return ":".join(
            str(folder)
            for folder in folders
            if (folder / "libcuda.so.1").exists()
            and not any(folder.glob("libcudart.so*"))
        )

    def compile(
        self, *arguments: str, env: Mapping[str, str] | None = None
    ) -> CommandOutcome:
        """Run nvcc with these arguments.

        Parameters
        ----------
        arguments
            Without the host's compiler, which is added where one was chosen.
        env
            The whole environment; a clean one where it is left out.
        """
        chosen = () if self.compiler is None else ("-ccbin", self.compiler)
        return self.run(
            [self.nvcc, *chosen, *arguments],
            timeout_s=COMPILE_S,
            env=self.environment() if env is None else env,
        )

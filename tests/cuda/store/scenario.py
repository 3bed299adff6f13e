"""A small change of our folder, made of real steps; a script kills itself in it.

``python -m tests.cuda.store.scenario FOLDER [EVERY]`` runs the change once for each
(or every EVERY-th) line of ``colabmagic/cuda`` that it executes, kills the process at
that line, and prints what was left, as JSON: one list of problems for each kill.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colabmagic.cuda.errors import CudaError
from colabmagic.cuda.fetching.cache import Cache
from colabmagic.cuda.steps.activate import Activate
from colabmagic.cuda.steps.base import Work
from colabmagic.cuda.steps.command import Command
from colabmagic.cuda.steps.publish import Publish
from colabmagic.cuda.steps.system_link import SystemLink
from colabmagic.cuda.store.apply import Store
from colabmagic.cuda.store.inventory import read_card
from colabmagic.cuda.store.layout import Home
from colabmagic.host.command import run
from colabmagic.report.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from colabmagic.cuda.steps.base import Step

NAME = "13.0.3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """Write files into the staging folder; a step like those that unpack.

    Attributes
    ----------
    text
        What is in them.
    fails
        Whether it fails in the middle.
    """

    text: str
    fails: bool = False

    @property
    def kind(self) -> str:
        """Return the name of the step."""
        return "fill"

    @property
    def outside(self) -> tuple[str, ...]:
        """Return what changes elsewhere."""
        return ()

    def lines(self) -> tuple[str, ...]:
        """Return what a person sees."""
        return ("fill",)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"kind": self.kind, **asdict(self)}

    def undo(self) -> tuple[Step, ...]:
        """Return the inverse: the staging folder goes anyway."""
        return ()

    def do(self, work: Work) -> None:
        """Write three files."""
        (work.staging / "bin").mkdir()
        for number, name in enumerate(("nvcc", "ptxas", "fatbinary")):
            if self.fails and number == 1:
                raise CudaError("it broke", hint="nothing")
            (work.staging / "bin" / name).write_text(self.text)
        work.environment["CUDAHOSTCXX"] = f"{work.staging}/g++"


@dataclass(frozen=True, slots=True)
class Scene:
    """A folder of ours, a link of the system and a package list beside it."""

    folder: Path

    @property
    def home(self) -> Home:
        """Return our folder."""
        return Home(self.folder / "home")

    @property
    def link(self) -> Path:
        """Return what stands for ``/usr/local/cuda``."""
        return self.folder / "usr-local-cuda"

    def package(self, text: str) -> Path:
        """Return what stands for a package of the system."""
        return self.folder / f"package-{text}"

    @property
    def store(self) -> Store:
        """Return who changes it."""

        def make_work(staging: Path) -> Work:
            return Work(
                home=self.home,
                staging=staging,
                cache=Cache(self.home.cache),
                run=run,
                progress=SILENT,
            )

        return Store(self.home, make_work)

    def steps(self, text: str, *, fails: bool = False) -> Sequence[Step]:
        """Return a change that touches all that can be touched."""
        return (
            Command(
                argv=("touch", str(self.package(text))),
                what="install a package",
                undo_argv=("rm", "-f", str(self.package(text))),
            ),
            Fill(text=text, fails=fails),
            Publish(name=NAME, build="13.0.88", method="wheels"),
            SystemLink(link=str(self.link)),
            Activate(),
        )

    def install(self, text: str, *, fails: bool = False) -> Work:
        """Carry the change out."""
        return self.store.carry_out("install", self.steps(text, fails=fails))

    def state(self) -> dict[str, Any]:
        """Return all that a person can see."""
        target = self.home.toolkits / NAME
        card = read_card(target)
        return {
            "toolkit": {
                path.name: path.read_text() for path in sorted(target.glob("bin/*"))
            },
            "card": None if card is None else card.build,
            "link": str(self.link.readlink()) if self.link.is_symlink() else None,
            "packages": sorted(each.name for each in self.folder.glob("package-*")),
            "left": sorted(
                each.name
                for each in self.home.toolkits.glob(".*")
                if self.home.toolkits.is_dir()
            ),
        }


def kill_at(scene: Scene, line: int, text: str) -> bool:
    """Install in a child that is killed at its n-th line of ours; tell whether it was."""
    child = os.fork()
    if child == 0:
        left = [line]

        def trace(frame: Any, event: str, argument: Any) -> Any:  # noqa: ANN401, ARG001
            if "/colabmagic/cuda/" not in frame.f_code.co_filename:
                return None
            if event == "line":
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        try:
            scene.install(text)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def main(folder: str, every: int) -> None:
    """Kill at such lines, on an empty folder and on one with an older toolkit."""
    problems: dict[str, list[str]] = {}
    kills = 0
    for has_older in (False, True):
        line = 1 - every
        while True:
            line += every
            scene = Scene(Path(folder) / f"{has_older}")
            shutil.rmtree(scene.folder, ignore_errors=True)
            scene.folder.mkdir(parents=True)
            scene.link.symlink_to("/usr/local/cuda-12.8")
            if has_older:
                scene.install("old")
            scene.home.toolkits.mkdir(parents=True, exist_ok=True)
            before = scene.state()
            if not kill_at(scene, line, "new"):
                break
            kills += 1
            scene.store.recover()
            after = scene.state()
            scene.install("new")
            again = scene.state()
            found = []
            if after not in (before, again):
                found.append(f"left: {after}")
            if set(again["toolkit"].values()) != {"new"} or again["left"]:
                found.append(f"a second run: {again}")
            if found:
                problems[f"older {has_older}, line {line}"] = found
    print(json.dumps({"kills": kills, "problems": problems}))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)

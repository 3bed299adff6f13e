"""Climb the ladder: prove by doing that a toolkit works."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from colabmagic.cuda.verifying import pytorch, running, toolkit
from colabmagic.cuda.verifying.ladder import NO_DRIVER, Ladder, Rung
from colabmagic.cuda.verifying.outcome import Result, failed, no_driver, skipped
from colabmagic.cuda.verifying.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from colabmagic.host.command import CommandOutcome


def verify_toolkit(  # noqa: PLR0913 (each is a fact that the caller knows)
    root: Path,
    *,
    build: str | None = None,
    capability: int | None = None,
    compiler: str | None = None,
    run: Callable[..., CommandOutcome] | None = None,
    own: Mapping[str, str] | None = None,
    user: Mapping[str, str] | None = None,
    hashes: bool = True,
    until: str = "ext",
    ext: bool = False,
    torch: bool = True,
    python: str = sys.executable,
) -> Ladder:
    """Try a toolkit, rung by rung; a rung that fails ends what depends on it.

    Parameters
    ----------
    root
        Of the toolkit.
    build
        What it shall be: "13.0.88", or "13.0"; None: any.
    capability
        Of the GPU that is here: 75 for 7.5; None: none is known.
    compiler
        The host's; None: what nvcc finds.
    run
        Runs programs; `colabmagic.host.command.run` where it is left out.
    own
        What the toolkit wants in the environment, such as ``NVCC_APPEND_FLAGS``.
    user
        The environment of the session; this process's where it is left out.
    hashes
        Whether all files are read; otherwise their sizes are compared.
    until
        The last rung to try: "cubin" proves in two seconds that it compiles.
    ext
        Whether a PyTorch extension is built, which takes minutes.
    torch
        Whether PyTorch is asked at all.
    python
        The interpreter whose PyTorch is asked.

    Returns
    -------
    Ladder
        Plain data; nothing is raised for a toolkit that fails.
    """
    climb = _Climb(Path(root), build, until)
    climb.take("files", lambda: toolkit.check_files(climb.root, hashes=hashes))
    user = dict(os.environ if user is None else user)
    with _scratch(user) as (scratch, trouble):
        if trouble is not None:
            climb.take("cubin", lambda: trouble)
            return climb.ladder()
        assert scratch is not None
        scene = Scene(
            root=climb.root,
            scratch=scratch,
            run=_command if run is None else run,
            compiler=compiler,
            own=dict(own or {}),
            user=user,
            capability=capability,
        )
        _climb_toolkit(climb, scene, build)
        if torch and climb.build is not None:
            _climb_torch(climb, scene, python, ext=ext)
    return climb.ladder()


class _Climb:
    """The rungs so far, and how far to go."""

    def __init__(self, root: Path, wanted: str | None, until: str) -> None:
        self.root = root
        self._wanted = wanted
        self.build: str | None = None
        self._until = until
        self._rungs: list[Rung] = []
        self._ended = False

    def take(self, name: str, attempt: Callable[[], Result]) -> bool:
        """Try a rung unless the end is reached; return whether it did not fail."""
        if self._ended:
            return False
        began = time.monotonic()
        result = attempt()
        seconds = round(time.monotonic() - began, 3)
        self._rungs.append(Rung(name=name, seconds=seconds, **asdict(result)))
        self._ended = name == self._until
        return not self._rungs[-1].failed

    def ladder(self) -> Ladder:
        """Return what came out."""
        version = running.minor_of(self.build or self._wanted or "VERSION")
        rungs = (
            replace(rung, fix=rung.fix.replace("VERSION", version))
            for rung in self._rungs
        )
        return Ladder(root=str(self.root), build=self.build, rungs=tuple(rungs))


def _climb_toolkit(climb: _Climb, scene: Scene, wanted: str | None) -> None:
    """Take the rungs of the toolkit itself."""
    target: int | None = None
    ran = running.Ran(result=skipped(""))

    def version() -> Result:
        result, climb.build = toolkit.check_version(scene, wanted)
        return result

    def cubin() -> Result:
        nonlocal target
        result, target = toolkit.check_cubin(scene)
        return result

    def run() -> Result:
        nonlocal ran
        assert target is not None
        assert climb.build is not None
        ran = running.check_run(scene, target, climb.build)
        return ran.result

    if not (climb.take("version", version) and climb.take("cubin", cubin)):
        return
    assert target is not None
    assert climb.build is not None
    build, aim = climb.build, target
    if not climb.take("run", run):
        return
    climb.take("library", lambda: running.check_library(scene, ran.objects, build))
    climb.take("flags", lambda: running.check_flags(scene, aim))
    told = ran.told
    if told is None or ran.result.verdict == NO_DRIVER:
        nothing = "No GPU answers here, so nothing was computed on one."
        climb.take("gpu", lambda: no_driver(nothing))
        climb.take("ptx", lambda: no_driver(nothing))
    elif climb.take("gpu", lambda: running.check_gpu(told)):
        climb.take("ptx", lambda: running.check_ptx(scene, aim))


def _climb_torch(climb: _Climb, scene: Scene, python: str, *, ext: bool) -> None:
    """Take the rungs of PyTorch."""
    told: dict[str, object] = {}
    build = climb.build
    assert build is not None
    if python == sys.executable and not pytorch.torch_is_here():
        climb.take("torch", lambda: skipped("There is no PyTorch here."))
        return

    def torch() -> Result:
        nonlocal told
        result, told = pytorch.check_torch(scene, build, python)
        return result

    if climb.take("torch", torch) and ext:
        climb.take("ext", lambda: pytorch.check_ext(scene, told, python))


def _command(
    argv: list[str], *, timeout_s: float, env: Mapping[str, str] | None = None
) -> CommandOutcome:
    """Run a program."""
    from colabmagic.host.command import run  # noqa: PLC0415 (when it is used)

    return run(argv, timeout_s=timeout_s, env=env)


@contextmanager
def _scratch(
    user: Mapping[str, str],
) -> Iterator[tuple[Path | None, Result | None]]:
    """Make a folder that goes afterwards, where the user's nvcc would write as well."""
    chosen = user.get("TMPDIR") or None
    try:
        folder = tempfile.TemporaryDirectory(
            prefix="colabmagic-", dir=chosen, ignore_cleanup_errors=True
        )
    except OSError as error:
        where = chosen or tempfile.gettempdir()
        seen = f"{where}: {error.strerror}"
        fix = "%env TMPDIR=/a/folder/that/you/may/write"
        yield None, failed("Temporary files cannot be written.", seen=seen, fix=fix)
        return
    with folder as name:
        yield Path(name), None

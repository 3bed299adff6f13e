"""The parts of ``%colab_setup``: each does what its own magic does, and tells it in a row."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from IPython.core.error import UsageError

from colabmagic.errors import GpuCheckError
from colabmagic.magics import _setup_folder as places
from colabmagic.setup.errors import SetupValueError
from colabmagic.setup.files import on_drive
from colabmagic.setup.running import Done, Part, typed
from colabmagic.setup.wishes import Wishes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

    from colabmagic.drive.report import MountReport
    from colabmagic.gpu.check import GpuReport
    from colabmagic.keepalive.state import KeepaliveStatus
    from colabmagic.report.progress import Progress

_CPU: Final = frozenset({"cpu", "off", "stop", "none"})
_SAME_S: Final = 2.0  # two times that are one, for a person
_FOR: Final = "--for "  # how errors of %keepalive call its time


@dataclass(eq=False, slots=True)
class _Memory:
    """What this process keeps between two calls.

    Attributes
    ----------
    connected
        The account that Drive's API has shown, where there is no folder.
    """

    connected: str | None = None


_MEMORY: Final = _Memory()


class SetupParts:
    """The parts for one call.

    Parameters
    ----------
    shell
        The shell of the running cell.
    progress
        Shows how far each is.
    """

    def __init__(self, shell: InteractiveShell, progress: Progress) -> None:
        self._shell = shell
        self._progress = progress
        self._gpu: GpuReport | None = None
        self._drive: MountReport | None = None
        self._asked: Path | None = None  # where Drive is to be a folder

    def all(self) -> dict[str, Part]:
        """Return each part by its name."""
        return {
            "require": _part(
                "looking at the GPU", self.require, "%gpu_check --require"
            ),
            "gpu": _part("looking for a GPU", self.gpu, "%gpu_check"),
            "cuda": _part("CUDA", self.cuda, "%cuda_install"),
            "drive": _part(
                "mounting Drive; allow it where Google asks", self.drive, "%mount_drive"
            ),
            "cd": Part(
                doing="changing the folder",
                act=_ours(self.cd),
                alone="%cd FOLDER",
                needs=lambda folder: "drive" if self._is_on_drive(folder) else None,
            ),
            "train": _part("importing PyTorch", self.train, "%train_on"),
            "keepalive": _part("keepalive", self.keepalive, "%keepalive"),
        }

    @property
    def report(self) -> GpuReport:
        """What ``%gpu_check`` finds; looked at once."""
        if self._gpu is None:
            from colabmagic.gpu.check import check  # noqa: PLC0415 (lazy)

            self._gpu = check()
        return self._gpu

    def defaults_on_drive(self) -> Wishes:
        """Return what the file on Drive asks for; nothing where Drive is no folder."""
        found = self._drive
        return on_drive(found.path) if found and found.path else Wishes()

    # --- the parts, in order -------------------------------------------------------------

    def require(self, text: str) -> Done:
        """Say whether the machine has what is needed."""
        from colabmagic.gpu.require import check_requirements  # noqa: PLC0415 (lazy)

        try:
            check_requirements(self.report, text)
        except ValueError as error:
            raise SetupValueError(str(error), hint='--require "16GiB"') from None
        return Done(what=f"{text}: this machine has it", is_new=None)

    def gpu(self, _: str) -> Done:
        """Say whether there is a GPU."""
        report = self.report
        if report.ok:
            return Done(what=report.view().summary, is_new=None)
        cause = report.findings[0]
        raise GpuCheckError(
            cause.title,
            seen="; ".join(cause.evidence) or None,
            hint="\n".join(cause.fix) or "%gpu_check",
            report=report,
        )

    def cuda(self, version: str) -> Done:
        """Have a toolkit, in use in this kernel."""
        from colabmagic.cuda import service  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.steps.activate import Activate  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.switching import environment  # noqa: PLC0415 (lazy)

        plan = service.plan(version or "torch")
        used = environment.active_root()
        roots = {str(step.root) for step in plan.steps if isinstance(step, Activate)}
        if plan.can_run and plan.is_reuse and str(used) in roots:
            assert plan.release is not None
            return Done(what=f"CUDA {plan.release.minor}: {used}", is_new=False)
        outcome = service.install(plan, progress=self._progress)
        self._gpu = None  # there may be a new PyTorch
        shown = outcome.view()
        return Done(what=f"{shown.title} {shown.verdict}; {shown.summary}")

    def drive(self, path: str) -> Done:
        """Have Drive: as a folder where that works."""
        from colabmagic.drive.errors import DriveError  # noqa: PLC0415 (with the rest)
        from colabmagic.magics import drive  # noqa: PLC0415 (it brings in requests)

        self._asked = places.expanded(path).absolute() if path else None
        try:
            found = self._drive = drive.mount(self._shell, path)
        except DriveError as error:
            from colabmagic.drive.trouble import last_error  # noqa: PLC0415 (rare)

            last_error.remember(error)  # for --doctor; no cell fails with it
            raise
        if found.path is None:
            user = found.account.user if found.account else None
            known, _MEMORY.connected = _MEMORY.connected, user or "unknown"
            notes = "; ".join(["by its API, without a folder", *found.notes[:1]])
            return Done(
                what=notes,
                is_new=known != _MEMORY.connected,
                todo='%mount_drive --ls "MyDrive"',
            )
        shown = found.path if found.path.name == "MyDrive" else found.path / "MyDrive"
        more = ", read-only" if found.readonly else ""
        return Done(what=f"{shown}{more}", is_new=not found.reused)

    def cd(self, folder: str) -> Done:
        """Change the working directory; a relative one begins where the notebook is."""
        here, path = places.working_directory(), places.expanded(folder)
        start = here and places.notebook_folder()
        if self._is_on_drive(folder) and not (
            path.is_absolute() and self._is_here(path)
        ):
            from colabmagic.drive.mounting import folders  # noqa: PLC0415 (in use)

            root = self._mounted(folder)
            places.refuse_dead(root)
            folders.enter(root, str(path))
        else:
            base = path if path.is_absolute() else places.notebook_folder()
            places.change_to(base / path)
        now = places.entered(start)
        return Done(what=str(now), is_new=now != here)

    def train(self, device: str) -> Done:
        """Let later cells run on a device."""
        from colabmagic.magics import train  # noqa: PLC0415 (lazy)

        if device.lower() in _CPU:
            service = sys.modules.get("colabmagic.train.service")
            was_on = service is not None and service.standing() is not None
            train.turn_off(self._shell)
            return Done(what="later cells run on the CPU", is_new=was_on)
        state = train.is_on(self._shell, device)
        if state is not None:
            return Done(what=_trains(state.device, state.fallback), is_new=False)
        state = train.turn_on(self._shell, device, show=_once_shown(_print))
        return Done(
            what=_trains(state.device, state.fallback), todo="to end it: %train_on off"
        )

    def keepalive(self, time: str) -> Done:
        """Beat while something runs."""
        from colabmagic.keepalive.errors import KeepaliveOptionError  # noqa: PLC0415
        from colabmagic.keepalive.options import (  # noqa: PLC0415 (lazy)
            KeepaliveOptions,
            parse_duration,
        )
        from colabmagic.magics import keepalive  # noqa: PLC0415 (lazy)

        options = KeepaliveOptions()
        if time:
            try:
                options = replace(options, for_s=parse_duration(time))
            except KeepaliveOptionError as error:
                error.what = error.what.replace(_FOR, "--keepalive ", 1)
                raise
        found = keepalive.status(self._shell)
        if _runs_as(found, options.for_s, is_named=bool(time)):
            return Done(what=_after_colon(found.headline), is_new=False)
        found = keepalive.start(self._shell, options, show=False)
        if not found.running:
            return Done(what=_after_colon(found.headline), is_new=None)
        return Done(
            what=_after_colon(found.headline), todo="to see it: %keepalive status"
        )

    # --- where a folder is ---------------------------------------------------------------

    def _is_on_drive(self, folder: str) -> bool:
        """Tell whether a folder is one of Drive, mounted or not."""
        path = places.expanded(folder)
        if not path.is_absolute():
            first = path.parts[0] if path.parts else ""
            if first.lower() not in places.ROOTS:
                return False
            if places.working_directory() is None:  # it was deleted
                return True
            return not places.exists(places.notebook_folder() / first)
        mounted = self._drive.path if self._drive is not None else None
        roots = [each for each in (mounted, self._asked) if each is not None]
        return any(path.is_relative_to(root) for root in roots) or any(
            name.lower() in places.ROOTS for name in path.parts
        )

    def _is_here(self, path: Path) -> bool:
        """Tell whether a folder can be entered, whoever has brought it there."""
        places.refuse_dead(path)
        return places.exists(path)

    def _mounted(self, folder: str) -> Path:
        """Return the folder that is Drive."""
        path = self._drive.path if self._drive is not None else None
        if path is None and self._drive is None:
            from colabmagic.drive.mounting import folders  # noqa: PLC0415 (rare)

            path = folders.status_of_others().path
        if path is not None:
            return path.parent if path.name == "MyDrive" else path
        name = typed(folder) or "FOLDER"
        if self._drive is not None:
            raise SetupValueError(
                f"{folder} is on Drive, which is no folder here",
                seen="Drive is reached by its API",
                hint=f"%mount_drive --stage {typed(f'{folder}.tar.zst') or 'ARCHIVE'}",
            )
        raise SetupValueError(
            f"{folder} is on Drive, and Drive is not mounted",
            hint=f"%colab_setup --drive --cd {name}",
        )


def _part(doing: str, act: Callable[[str], Done], alone: str) -> Part:
    """Return a part that needs no other."""
    return Part(doing=doing, act=_ours(act), alone=alone)


def _ours(act: Callable[[str], Done]) -> Callable[[str], Done]:
    """Have refusals of a magic's own words be errors like the others."""

    def acting(value: str) -> Done:
        try:
            return act(value)
        except UsageError as error:
            what, _, hint = str(error).partition("  (")
            raise SetupValueError(
                what.partition(": ")[2] or what,
                hint=hint.rstrip(")") or "%colab_setup?",
            ) from None

    return acting


def _trains(device: str | None, fallback: str | None) -> str:
    """Return where later cells run, and why there."""
    if fallback:
        reason = fallback.partition(". ")[0].rstrip(".")
        return f"later cells run on the CPU: {reason} (more: %gpu_check)"
    return f"later cells run on {device}"


def _runs_as(found: KeepaliveStatus, for_s: float, *, is_named: bool) -> bool:
    """Tell whether the beats that are on are those that are asked for."""
    if not (found.running or found.rests):
        return False
    if not is_named or found.started is None or found.expires is None:
        return True
    lasts = found.expires - found.started
    if abs(lasts - for_s) <= _SAME_S:
        return True
    return found.expires_with_machine and lasts < for_s


def _after_colon(headline: str) -> str:
    """Return a headline without its title: verdict; summary."""
    return "; ".join(headline.partition(":")[2].split("  ")).strip()


def _once_shown(show: Callable[[str], None]) -> Callable[[str], None]:
    """Leave the first line out: the row says it. What comes later is shown."""
    began = False

    def showing(text: str) -> None:
        nonlocal began
        if began:
            show(text)
        began = True

    return showing


def _print(text: str) -> None:
    """Print a line in the cell's output."""
    print(text, flush=True)  # noqa: T201 (magics show)

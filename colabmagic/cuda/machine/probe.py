"""Look at the machine: all that a plan depends on, in some 50 ms."""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from colabmagic.cuda.machine import system
from colabmagic.cuda.machine.compilers import find_compilers
from colabmagic.cuda.machine.facts import MachineFacts, TorchHere
from colabmagic.cuda.machine.gpus import GpusHere, find_gpus
from colabmagic.cuda.machine.kept import find_kept
from colabmagic.cuda.machine.toolkits import find_toolkits
from colabmagic.cuda.store.layout import Home, home_folder
from colabmagic.gpu.facts import TorchState
from colabmagic.gpu.sources.nvml import SOURCE
from colabmagic.gpu.sources.torch_build import probe_torch
from colabmagic.host.command import run as run_command
from colabmagic.host.detect import detect
from colabmagic.report.model import Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from colabmagic.cuda.machine.facts import Compiler, Kept, Toolkit
    from colabmagic.gpu.sources.nvml import NvmlSource
    from colabmagic.host.command import CommandOutcome

Value = TypeVar("Value")

DEADLINE_S: Final = 3.0
_BROKE: Final = Unknown("asking broke")


def probe_machine(  # noqa: PLR0913 (what tests put in the place of the machine)
    home: Home | None = None,
    run: Callable[..., CommandOutcome] = run_command,
    *,
    env: Mapping[str, str] | None = None,
    sysroot: str | Path = "/",
    nvml: NvmlSource = SOURCE,
    deadline_s: float = DEADLINE_S,
    site_packages: Iterable[str | Path] | None = None,
    cache: Path | None = None,
) -> MachineFacts:
    """Return what is here; never raises, imports no PyTorch, starts no CUDA.

    Parameters
    ----------
    home
        Our folder; where left out, that of the environment.
    run
        Runs a program whose files do not tell enough; as `colabmagic.host.command.run`.
    env
        Environment variables; those of the process where left out.
    sysroot
        The root of the file system.
    nvml
        Where NVML is asked.
    deadline_s
        After so many seconds the driver counts as not answering.
    site_packages
        Where wheels are installed; where left out, the folders of ``sys.path``.
    cache
        The folder of ``--cache``, in which finished toolkits may lie.
    """
    env = os.environ if env is None else env
    root = Path(sysroot)
    home = Home(home_folder(env)) if home is None else home
    until = time.monotonic() + deadline_s
    if sys.platform != "darwin":
        _guard(lambda: nvml.start(until), None)
    folders = _installed() if site_packages is None else map(Path, site_packages)
    os_id, os_version, os_name = _guard(
        lambda: system.read_os(root), ("linux", "", "unknown system")
    )
    host = detect(env, root)
    toolkits: tuple[Toolkit, ...] = _guard(
        lambda: find_toolkits(env, root, home, folders, run), ()
    )
    compilers: tuple[Compiler, ...] = _guard(lambda: find_compilers(env, root, run), ())
    torch = _guard(_torch, None)
    free: dict[str, int] = _guard(lambda: system.free_bytes(home.root, home.cache), {})
    tools: tuple[str, ...] = _guard(lambda: system.find_tools(env, root), ())
    imported: dict[str, str] = _guard(lambda: system.imported_packages(sys.modules), {})
    keyrings: tuple[str, ...] = _guard(lambda: system.find_keyrings(root), ())
    sources: tuple[str, ...] = _guard(lambda: system.find_apt_sources(root), ())
    kept: tuple[Kept, ...] | Unknown = ()
    if cache is not None:
        unknown: tuple[Kept, ...] | Unknown = _BROKE
        kept = _guard(lambda: find_kept(cache, run), unknown)
    # Last, for the driver answers in its own thread meanwhile.
    here = GpusHere()
    if sys.platform != "darwin":
        broken = GpusHere(driver=_BROKE, driver_cuda=_BROKE)
        here = _guard(lambda: find_gpus(until, root, nvml, run), broken)
    return MachineFacts(
        os_id=os_id,
        os_version=os_version,
        os_name=os_name,
        arch=platform.machine(),
        glibc=_guard(system.read_glibc, None),
        python=sys.version_info[:2],
        host=host.kind.value,
        is_root=_guard(system.is_root, False),  # noqa: FBT003 (what follows a failure)
        is_wsl=host.system.wsl,
        container=host.system.container,
        gpus=here.gpus,
        driver=here.driver,
        driver_cuda=here.driver_cuda,
        compilers=compilers,
        toolkits=toolkits,
        torch=torch,
        imported=imported,
        disk_free=free,
        tools=tools,
        keyrings=keyrings,
        apt_sources=sources,
        library_path=env.get("LD_LIBRARY_PATH", ""),
        kept=kept,
        has_pip=_guard(system.has_pip, True),  # noqa: FBT003 (as above)
    )


def _guard(ask: Callable[[], Value], fallback: Value) -> Value:
    """Return what a source says, or `fallback` when it breaks."""
    try:
        return ask()
    except Exception:  # noqa: BLE001 (the border of each source)
        return fallback


def _installed() -> list[Path]:
    """Return the folders of ``sys.path`` that wheels are installed into."""
    folders = [Path(each) for each in sys.path if each]
    return [each for each in folders if each.name in {"site-packages", "dist-packages"}]


def _torch(modules: Mapping[str, Any] | None = None) -> TorchHere | None:
    """Return the PyTorch of this interpreter; None where it cannot be used."""
    facts = probe_torch(sys.modules if modules is None else modules)
    if facts.state is not TorchState.INSTALLED or isinstance(facts.version, Unknown):
        return None
    cuda = None
    if facts.cuda is not None and not isinstance(facts.cuda, Unknown):
        cuda = f"{facts.cuda[0]}.{facts.cuda[1]}"
    return TorchHere(
        version=facts.version,
        cuda=cuda,
        is_imported=facts.imported,
        archs=() if isinstance(facts.archs, Unknown) else facts.archs,
    )

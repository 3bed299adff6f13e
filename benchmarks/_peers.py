"""Play a machine for any tool: drivers, folders and PyTorch, the same for all of them.

The drivers are the fake ones of the tests. ``/dev``, ``/sys``, ``/.dockerenv`` and the
like are those of the machine that is played, for every tool: the child gets a root
folder of its own in a mount namespace, into which the rest of this machine is bound.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from _expectations import Said  # noqa: E402

from tests.fakes.drivers import build, profiles  # noqa: E402
from tests.gpu import scenarios  # noqa: E402

if TYPE_CHECKING:
    from _expectations import Machine, Table

__all__ = [
    "OURS",
    "PEERS",
    "Room",
    "Tool",
    "argv",
    "ask",
    "build",
    "can_have_rooms",
    "cuda_of_torch",
    "is_there",
    "profiles",
    "quiet_env",
    "scenarios",
    "set_up",
]

# A driver for which the newest PyTorch is not too new.
NEW_DRIVER = {"driver": "580.65.06", "cuda": 13000}
WAIT_S = 45.0  # for a tool whose time is not limited by its own start
MADE = ("dev", "sys", "var", "run")  # folders of the machine that is played
CANNOT_START = (125, 126, 127)  # the shell's, of a command that is not there
DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "shm", "pts")

# Binds pairs of folders, then starts the rest of its arguments in the new root.
ENTER = """set -e
while [ "$1" != -- ]; do mount --rbind "$1" "$2"; shift 2; done
shift; root=$1; cwd=$2; shift 2
exec chroot "$root" /bin/sh -c 'cd "$0" && exec "$@"' "$cwd" "$@"
"""
# Makes Python look nowhere for PyTorch.
NO_TORCH = """
from importlib import machinery
look = machinery.PathFinder.find_spec
def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] == "torch" else look(name, path, target)
machinery.PathFinder.find_spec = find_spec
"""


@dataclass(frozen=True)
class Tool:
    """A contestant: its name, and its command behind the folder of programs."""

    name: str
    command: tuple[str, ...]
    imports_torch: bool = False


OURS = Tool("**%gpu_check**", ("python", "-m", "colabmagic", "gpu_check"))
PEERS = (
    Tool("gpustat", ("gpustat",)),
    Tool("nvitop -1", ("nvitop", "-1")),
    Tool(
        "collect_env",
        ("python", "-m", "torch.utils.collect_env"),
        imports_torch=True,
    ),
    Tool("accelerate env", ("accelerate", "env"), imports_torch=True),
    Tool(
        "PyTorch's message",
        ("python", "-c", "import torch; torch.zeros(1, device='cuda')"),
        imports_torch=True,
    ),
)


def argv(tool: Tool, python: Path) -> list[str]:
    """Return the command line of a tool that is installed beside an interpreter."""
    program = python if tool.command[0] == "python" else python.parent / tool.command[0]
    return [str(program), *tool.command[1:]]


def is_there(tool: Tool, python: Path) -> bool:
    """Tell whether a tool is installed beside an interpreter."""
    return Path(argv(tool, python)[0]).exists()


def cuda_of_torch(python: Path) -> tuple[str, str | None] | None:
    """Return version and CUDA of an interpreter's PyTorch, read from its files."""
    if python == Path(sys.executable):
        spec = importlib.util.find_spec("torch")
        found = spec.origin if spec else None
        files = [Path(found).parent / "version.py"] if found else []
    else:
        folders = (python.parents[1] / "lib").glob("python3*/site-packages/torch")
        files = [folder / "version.py" for folder in folders]
    for file in files:
        text = file.read_text(encoding="utf-8")
        version = re.search(r"^__version__ = '([^']+)'", text, re.MULTILINE)
        cuda = re.search(r"^cuda\b[^=]*= '([^']+)'", text, re.MULTILINE)
        return (version[1] if version else "?", cuda[1] if cuda else None)
    return None


def can_have_rooms() -> bool:
    """Tell whether a process may have a root folder of its own here."""
    if not (shutil.which("unshare") and shutil.which("chroot")):
        return False
    done = subprocess.run([*_unshare(), "true"], capture_output=True, check=False)
    return done.returncode == 0


def _unshare() -> list[str]:
    """Return the command that begins a mount namespace."""
    return ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]


def quiet_env() -> dict[str, str]:
    """Return the variables of this process without those that tell of its own GPUs.

    Text is as wide as a notebook's cell, and without colours.
    """
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(scenarios.FOREIGN)
    }
    folders = [
        str(Path(sys.executable).parent),
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
    ]
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"):
        kept.pop(name, None)  # what users do not set
    return kept | {"PATH": ":".join(folders), "COLUMNS": "120", "TERM": "dumb"}


@dataclass(frozen=True)
class Room:
    """A machine that is set up: start commands behind `prefix`, with `env`."""

    prefix: tuple[str, ...]
    env: dict[str, str]
    folder: Path


def set_up(  # noqa: PLR0913
    machine: Machine,
    table: Table,
    libraries: Path,
    folder: Path,
    *,
    real_torch: bool = False,
    trace: Path | None = None,
) -> Room:
    """Make a machine in an empty folder.

    Parameters
    ----------
    libraries
        The fake drivers.
    real_torch
        Leave the PyTorch of the interpreter in its place, instead of the made-up one,
        and give it a driver that fits it where the machine is not about that.
    trace
        A file for the calls of the drivers.
    """
    files = dict(machine.files)
    env = quiet_env()
    if machine.place == "colab":
        files |= scenarios.COLAB_FILES
        env |= scenarios.COLAB
    elif machine.place == "kaggle":
        files |= {**scenarios.OWN_FILES, ".dockerenv": ""}
        env |= scenarios.KAGGLE
    else:
        files |= scenarios.OWN_FILES
        files |= {".dockerenv": ""} if machine.place == "container" else {}
    paths = [str(ROOT)]
    build_of_torch = table.torch[machine.torch]
    if isinstance(build_of_torch, list):
        if not real_torch:
            version, cuda, archs = build_of_torch
            site = scenarios.write_torch(folder / "site", version, cuda, archs)
            paths.insert(0, str(site))
    elif build_of_torch == "none":
        (folder / "site").mkdir()
        (folder / "site" / "sitecustomize.py").write_text(NO_TORCH, encoding="utf-8")
        paths.insert(0, str(folder / "site"))
    env["PYTHONPATH"] = os.pathsep.join(paths)
    if machine.profile:
        files |= {"dev/nvidia0": "", "dev/nvidiactl": ""}
        changes = dict(machine.set)
        if real_torch and machine.torch == "fits":
            changes |= NEW_DRIVER
        config = profiles.write_profile(machine.profile, folder / "gpu.cfg", changes)
        used = _some_of(libraries, machine, folder)
        env = build.fake_gpu_env(used, config, trace, env)
    env |= machine.env
    return Room(tuple(_enter(files, folder)), env, folder)


def _some_of(libraries: Path, machine: Machine, folder: Path) -> Path:
    """Return the folder of a machine's libraries: in its place, and what is missing not."""
    if not machine.without and not machine.libraries:
        return libraries
    used = folder / (machine.libraries or "lib")
    used.mkdir(parents=True)
    for path in libraries.glob("lib*"):
        if path.name not in machine.without:
            shutil.copy(path, used)
    return used


def _enter(files: dict[str, str], folder: Path) -> list[str]:
    """Return the command that goes before one which shall see these files."""
    root = folder / "root"
    root.mkdir()
    pairs = []
    for source in _kept():
        target = root / source.relative_to("/")
        if source.is_symlink():
            target.symlink_to(source.readlink())
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.mkdir() if source.is_dir() else target.touch()
        pairs.append((source, target))
    for name in ("sys/bus/pci/devices", *MADE):
        (root / name).mkdir(parents=True, exist_ok=True)
    plain = {name: text for name, text in files.items() if _is_made(name)}
    scenarios.write_root(root, plain)
    # What lies in a folder that is bound is bound over the nearest name that it has.
    over = folder / "over"
    for name in files.keys() - plain.keys():
        place = Path(name)
        while not (Path("/") / place).exists() and len(place.parts) > 1:
            place = place.parent
        scenarios.write_root(over, {name: files[name]})
        pairs.append((over / place, root / place))
    # This machine's own CUDA toolkit is none of the machine's that is played.
    nothing = folder / "nothing"
    nothing.mkdir()
    toolkits = [path for path in Path("/usr/local").glob("cuda*") if _is_real(path)]
    pairs += [(nothing, root / path.relative_to("/")) for path in toolkits]
    binds = [str(path) for pair in pairs for path in pair]
    shell = ["sh", "-c", ENTER, "sh", *binds, "--", str(root), str(folder)]
    return [*_unshare(), *shell]


def _kept() -> list[Path]:
    """Return what is this machine's own in each new root."""
    top = [path for path in sorted(Path("/").iterdir()) if path.name not in MADE]
    kept = [path for path in top if path.is_dir() or path.is_symlink()]
    inside = [Path("/dev") / name for name in DEVICES]
    inside += [Path("/sys/devices"), Path("/sys/fs"), *sorted(Path("/var").iterdir())]
    return kept + [path for path in inside if path.exists() and not path.is_symlink()]


def _is_real(path: Path) -> bool:
    """Tell whether a path is a folder and no link to one."""
    return path.is_dir() and not path.is_symlink()


def _is_made(name: str) -> bool:
    """Tell whether a file can simply be written into the new root."""
    top = name.partition("/")[0]
    return top in MADE or top == name


def ask(tool: Tool, room: Room, python: Path, limit_s: float | None) -> Said:
    """Run a tool in a room; end it when the limit has passed."""
    started = time.monotonic()
    process = subprocess.Popen(
        [*room.prefix, *argv(tool, python)],
        env=room.env,
        cwd=room.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=limit_s or WAIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return Said(output.decode("utf-8", "replace"), None, in_time=False)
    seconds = time.monotonic() - started
    if process.returncode in CANNOT_START:
        raise RuntimeError(f"{tool.name} did not start: {output!r}")
    return Said(
        output.decode("utf-8", "replace"),
        process.returncode,
        in_time=limit_s is None or seconds <= limit_s,
    )

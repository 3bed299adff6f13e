"""Police every test: it leaves the process as it was, and this machine alone.

The closing lines of a run say which kernels were really used.
"""

from __future__ import annotations

import collections
import ipaddress
import os
import re
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]

# A shell's background jobs ignore Ctrl-C, and so would the programs that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# --- network ----------------------------------------------------------------------

LOCAL_NAMES = {"", "localhost", "ip6-localhost", socket.gethostname()}


def _is_loopback(host: object) -> bool:
    """Tell whether a host is this machine itself."""
    text = host.decode() if isinstance(host, bytes) else host
    if text is None or text in LOCAL_NAMES:
        return True
    try:
        address = ipaddress.ip_address(str(text).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    """Raise when this process is about to talk to another machine."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in {"socket.connect", "socket.sendto"}:
        address = arguments[1]
        if not isinstance(address, tuple):  # a Unix socket
            return
        host = address[0]
    else:
        return
    if not _is_loopback(host):
        message = f"a test wants to reach {host!r}: only loopback is allowed"
        raise PermissionError(message)


sys.addaudithook(_refuse_network)

# --- which worker runs what -------------------------------------------------------


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests of a group run in one worker, and those that may take long go first.

    xdist 3.8 tells its scheduler the groups in an attribute that pytest 9.2 does not read:
    each worker would start every kernel, the browser and the toolkits for itself.
    """
    items.sort(
        key=lambda item: (
            item.get_closest_marker("timeout") is None
            or item.get_closest_marker("xdist_group") is not None
        )
    )
    for item in items:
        # Is set only where xdist would tell it, and has not.
        told, known = getattr(item, "_nodeid", item.nodeid), getattr(item, "_id", None)
        if told != item.nodeid and known is not None:
            item._id = type(known).parse(told)


# --- what a test must leave as it was ---------------------------------------------

# Variables that others set, once, when they are imported.
FOREIGN_VARIABLES = ("PYTEST_", "KMP_", "TORCHINDUCTOR_", "TRITON_")
# Threads that others start and keep.
FOREIGN_THREADS = (
    "IPythonHistorySavingThread",
    "asyncio_",  # the pool of the event loop
    "tqdm",
    "execnet",
    "pytest_timeout",
)
THREAD_GRACE_S = 2.0

TORCH_OWNERS = (
    "torch",
    "torch.Tensor",
    "torch.nn.Module",
    "torch.nn.functional",
    "torch.nn.init",
    "torch.optim.Optimizer",
    "torch.utils.data.DataLoader",
    "torch.random",
    "torch.autograd",
)


def _variables() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(FOREIGN_VARIABLES)
    }


def _threads() -> set[threading.Thread]:
    return {
        thread
        for thread in threading.enumerate()
        if not thread.name.startswith(FOREIGN_THREADS)
    }


def _new_threads(before: set[threading.Thread]) -> set[threading.Thread]:
    """Return the threads that came and stayed, after a short wait."""
    end = time.monotonic() + THREAD_GRACE_S
    while (new := _threads() - before) and time.monotonic() < end:
        time.sleep(0.02)
    return new


def _torch_entry_points() -> dict[tuple[str, str], Any]:
    """Return every function and class that a patch could replace in torch."""
    torch = sys.modules.get("torch")
    if not hasattr(torch, "optim"):  # not loaded, or in the middle of it
        return {}
    found = {}
    for path in TORCH_OWNERS:
        owner = torch
        for part in path.split(".")[1:]:
            owner = getattr(owner, part)
        for name, value in vars(owner).items():
            if callable(value) or isinstance(value, property | classmethod):
                found[path, name] = value
    return found


@pytest.fixture(autouse=True)
def _leaves_the_process_as_it_was() -> Iterator[None]:
    """Fail a test that leaves variables, threads, a folder or a patch behind."""
    variables, threads, folder = _variables(), _threads(), Path.cwd()
    entry_points = _torch_entry_points()
    yield
    now = _variables()
    changed = {
        name: (variables.get(name), now.get(name))
        for name in variables.keys() | now.keys()
        if variables.get(name) != now.get(name)
    }
    for name, (value, _) in changed.items():  # so that the next test is not hurt
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
    moved = Path.cwd()
    os.chdir(folder)
    left = _new_threads(threads)
    after = _torch_entry_points() if entry_points else {}
    patched = [
        ".".join(key)
        for key, value in entry_points.items()
        if after.get(key) is not value
    ]
    assert not changed, f"environment variables changed: {changed}"
    assert moved == folder, f"the working directory changed to {moved}"
    assert not left, f"threads still run: {left}"
    assert not patched, f"torch stays patched: {patched}"


# A shell of IPython makes its own module `__main__` when it is made, and leaves it there.
MAIN = sys.modules["__main__"]


@pytest.fixture(autouse=True)
def _has_its_own_main() -> None:
    """Give each test the `__main__` of this process: `multiprocessing` reads it."""
    sys.modules["__main__"] = MAIN


@pytest.fixture(autouse=True)
def _workers_end_soon() -> None:
    """Shorten torch's wait of 5 s for each loader worker that failed."""
    utils = sys.modules.get("torch.utils.data._utils")
    if utils is not None:
        utils.MP_STATUS_CHECK_INTERVAL = 0.2  # type: ignore[attr-defined]


# --- which kernels ran ------------------------------------------------------------

KERNELS = ("default", ".venv-old", ".venv-colab")
KERNEL_PARAMETERS = ("kernel", "kernel_name", "interpreter")


@pytest.fixture(autouse=True)
def _names_its_kernel(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    """Note, for the closing lines, the kernel that a test is parametrised with."""
    parameters = getattr(getattr(request.node, "callspec", None), "params", {})
    for name in KERNEL_PARAMETERS:
        if name in parameters:
            record_property("kernel", str(parameters[name]))


def pytest_terminal_summary(terminalreporter: Any) -> None:  # noqa: ANN401 (pytest's own, not public)
    """Say which kernels ran how many tests, and what was skipped for what reason."""
    ran: collections.Counter[tuple[str, str]] = collections.Counter()
    reasons: collections.Counter[str] = collections.Counter()
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            properties = dict(getattr(report, "user_properties", []))
            if "kernel" in properties:
                ran[properties["kernel"], outcome] += 1
            if "table" in properties:
                terminalreporter.section(report.nodeid)
                terminalreporter.write_line(str(properties["table"]))
            if outcome == "skipped" and isinstance(report.longrepr, tuple):
                reasons[report.longrepr[2].removeprefix("Skipped: ")] += 1
    terminalreporter.section("kernels and skips")
    for name in sorted({*KERNELS, *(kernel for kernel, _ in ran)}):
        counts = [
            f"{count} {outcome}"
            for (kernel, outcome), count in sorted(ran.items())
            if kernel == name
        ]
        folder = Path(sys.prefix) if name == "default" else ROOT / name
        terminalreporter.write_line(
            f"kernel {name} ({_versions(folder)}): {', '.join(counts) or 'not used'}"
        )
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"skipped {count}: {reason}")
    if not reasons:
        terminalreporter.write_line("skipped: none")


def _versions(environment: Path) -> str:
    """Say what a virtual environment holds, from its files."""
    settings = environment / "pyvenv.cfg"
    if not settings.exists():
        return "not set up here: make venvs"
    python = re.search(r"(?m)^version\s*=\s*(\S+)", settings.read_text("utf-8"))
    found = [f"Python {python[1] if python else '?'}"]
    for name in ("ipython", "ipykernel", "torch"):
        pattern = f"lib/python3*/site-packages/{name}-*.dist-info"
        version = [path.name.split("-")[1] for path in environment.glob(pattern)]
        shown = version[0].removesuffix(".dist") if version else "none"
        found.append(f"{name} {shown}")
    return ", ".join(found)

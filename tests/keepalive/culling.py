"""A real Jupyter server that ends idle kernels after 8 s, and who lives on it how long.

``python -m tests.keepalive.culling --repeats 10`` prints the table.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from jupyter_client.blocking.client import BlockingKernelClient

from tests.kernel.support import INTERPRETERS, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

IDLE_S = 8.0
PERIODS = 3
ALIVE_S = PERIODS * IDLE_S + 1.0
SLACK_S = 8.0  # a busy machine, the server's look each second, and our own
GRACE_S = 10.0  # with a beat each 5 s
WORK_S = 26.0
START_TIMEOUT_S = 60.0
SETUP_TRIES = 3

LOAD = "%load_ext colabmagic\n"
WORK = f"""
import threading, time
def work():
    end = time.monotonic() + {WORK_S}
    while time.monotonic() < end:
        sum(range(1000)); time.sleep(0.01)
"""
JOB = """
from colabmagic import keepalive
def job():
    with keepalive.job("train"):
        work()
"""
THREAD = "threading.Thread(target={}, daemon=True).start()"


@dataclass(frozen=True)
class Scenario:
    """One kernel's life.

    Attributes
    ----------
    code
        Its only cell.
    action
        What is done to it after `ALIVE_S`: a cell, or ``restart``.
    least_s, most_s
        When it is to be ended, in seconds after its cell.
    """

    name: str
    code: str
    least_s: float
    most_s: float
    action: str | None = None


SCENARIOS = (
    Scenario("idle", LOAD, IDLE_S - 1, IDLE_S + SLACK_S),
    Scenario(
        "thread", LOAD + WORK + THREAD.format("work"), IDLE_S - 1, IDLE_S + SLACK_S
    ),
    Scenario(
        "thread + keepalive, then stop",
        LOAD + WORK + THREAD.format("work") + "\n%keepalive --while always --every 5s",
        ALIVE_S + IDLE_S - 1,
        ALIVE_S + IDLE_S + SLACK_S,
        "%keepalive stop",
    ),
    Scenario(
        "job + keepalive, then its end",
        LOAD + WORK + JOB + THREAD.format("job") + "\n%keepalive --every 5s",
        WORK_S,
        WORK_S + GRACE_S + 5 + IDLE_S + SLACK_S,
    ),
    Scenario(
        "keepalive, then a restart",
        LOAD + "%keepalive --while always --every 5s",
        ALIVE_S + IDLE_S - 1,
        ALIVE_S + IDLE_S + SLACK_S + 4,  # and the time that a kernel takes to start
        "restart",
    ),
)


@dataclass
class Life:
    """What became of one kernel."""

    scenario: Scenario
    kernel: str
    client: BlockingKernelClient
    began: float
    ended_s: float | None = None
    acted: bool = False

    @property
    def ok(self) -> bool:
        """Whether it ended when it was to."""
        one = self.scenario
        return self.ended_s is not None and one.least_s <= self.ended_s <= one.most_s


@dataclass
class Server:
    """A Jupyter server in a folder, whose kernels run in one interpreter."""

    python: Path
    root: Path
    log: str = ""
    url: str = field(init=False)
    _process: subprocess.Popen[bytes] = field(init=False)

    def __enter__(self) -> Self:
        """Start it."""
        spec = self.root / "data/kernels/python3/kernel.json"
        spec.parent.mkdir(parents=True)
        argv = [str(self.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec.write_text(
            json.dumps({"argv": argv, "display_name": "Python", "language": "python"})
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [
            *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"),
            *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"),
            "--IdentityProvider.token=",  # only for loopback, only in tests
            "--ServerApp.disable_check_xsrf=True",
            f"--ServerApp.root_dir={self.root}",
            f"--MappingKernelManager.cull_idle_timeout={IDLE_S:.0f}",
            "--MappingKernelManager.cull_interval=1",
            "--MappingKernelManager.cull_connected=True",
            "--KernelSpecManager.ensure_native_kernel=False",
        ]
        with (self.root / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                self.ask("GET", "/api")
            except OSError:
                assert time.monotonic() < end, self.words()
                assert self._process.poll() is None, self.words()
                time.sleep(0.1)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        """End it, and what it has started."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def words(self) -> str:
        """Return its log."""
        return (self.root / "server.log").read_text("utf-8", "replace")

    def _environment(self) -> dict[str, str]:
        """Return variables with which nothing comes from the user's home."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "JUPYTER", "JPY", "IPYTHON", "VIRTUAL"))
        }
        folders = {
            "HOME": "home",
            "IPYTHONDIR": "ipython",
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
        }
        return {
            **kept,
            **{name: str(self.root / folder) for name, folder in folders.items()},
            "PYTHONPATH": str(ROOT),
            "PYTHONPYCACHEPREFIX": str(ROOT / "build" / "pycache"),
            "OMP_NUM_THREADS": "1",
        }

    def ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 (JSON)
        """Send a request."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)  # noqa: S310
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            text = answer.read()
        return json.loads(text) if text else None

    def kernels(self) -> set[str]:
        """Return the ids of those that live."""
        return {each["id"] for each in self.ask("GET", "/api/kernels")}

    def begin(self, scenario: Scenario) -> Life:
        """Start a kernel and run its cell."""
        for _ in range(SETUP_TRIES):  # a slow start may be culled before its cell
            kernel = self.ask("POST", "/api/kernels", {"name": "python3"})["id"]
            client = self.client(kernel)
            try:  # the cell waits in the socket until the kernel is up
                run(client, scenario.code)
            except queue.Empty:
                client.stop_channels()
                continue
            return Life(scenario, kernel, client, time.monotonic())
        raise AssertionError(f"no kernel came up:\n{self.words()}")

    def client(self, kernel: str) -> BlockingKernelClient:
        """Return a client for a kernel."""
        path = self.root / f"runtime/kernel-{kernel}.json"
        end = time.monotonic() + START_TIMEOUT_S
        while not path.exists():
            assert time.monotonic() < end, self.words()
            time.sleep(0.02)
        client = BlockingKernelClient(connection_file=str(path))
        client.load_connection_file()
        client.start_channels()
        return client

    def act(self, life: Life) -> None:
        """Do to a kernel what is to be done."""
        life.acted = True
        if life.scenario.action == "restart":
            self.ask("POST", f"/api/kernels/{life.kernel}/restart")
        elif life.scenario.action is not None:
            run(life.client, life.scenario.action)


def run(client: BlockingKernelClient, code: str, timeout_s: float = 15.0) -> None:
    """Run a cell; raise where it fails."""
    request = client.execute(code)
    end = time.monotonic() + timeout_s
    while True:
        reply = client.get_shell_msg(timeout=max(0.1, end - time.monotonic()))
        if reply["parent_header"].get("msg_id") == request:
            break
    assert reply["content"]["status"] == "ok", reply["content"]


def live(python: Path, scenarios: tuple[Scenario, ...] = SCENARIOS) -> list[Life]:
    """Run all scenarios side by side on one server; return what became of each."""
    with (
        tempfile.TemporaryDirectory(prefix="culling-") as folder,
        Server(python, Path(folder)) as server,
        _clients() as lives,
    ):
        # The longest first, so that all are over soon after the last has begun.
        for scenario in sorted(scenarios, key=lambda one: -one.most_s):
            lives.append(server.begin(scenario))
        end = time.monotonic() + max(one.most_s for one in scenarios) + 2
        while time.monotonic() < end and any(one.ended_s is None for one in lives):
            alive = server.kernels()
            for life in lives:
                _look(server, life, alive)
            time.sleep(0.25)
        return lives


def _look(server: Server, life: Life, alive: set[str]) -> None:
    """Note the end of a kernel, and do to it what is due."""
    age_s = time.monotonic() - life.began
    if life.ended_s is None and life.kernel not in alive:
        life.ended_s = age_s
    elif life.scenario.action and not life.acted and age_s >= ALIVE_S:
        try:
            server.act(life)
        except (urllib.error.HTTPError, queue.Empty):
            life.ended_s = age_s  # it was ended in that moment: not as expected


@contextmanager
def _clients() -> Iterator[list[Life]]:
    """Close what is open to kernels."""
    lives: list[Life] = []
    try:
        yield lives
    finally:
        for life in lives:
            life.client.stop_channels()
            life.client.context.destroy(linger=0)


def main() -> int:
    """Print the table; return 1 where something was not as expected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--kernels", default="default,.venv-old")
    options = parser.parse_args()
    found: dict[str, list[list[Life]]] = {
        name: [] for name in options.kernels.split(",")
    }
    for number in range(options.repeats):
        threads = [
            threading.Thread(
                target=lambda n=name: found[n].append(live(INTERPRETERS[n]))
            )
            for name in found
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(f"run {number + 1} of {options.repeats}", file=sys.stderr, flush=True)
    print(table(found, options.repeats))
    lives = [life for runs in found.values() for one in runs for life in one]
    wanted = options.repeats * len(found) * len(SCENARIOS)
    return int(len(lives) < wanted or not all(life.ok for life in lives))


def table(found: dict[str, list[list[Life]]], repeats: int) -> str:
    """Return what was seen, a row for each scenario and kernel."""
    rows = [
        f"{'kernel':10} {'scenario':32} {'ended after':>18} {'wanted':>14} {'ok':>6}"
    ]
    for name, runs in found.items():
        for scenario in SCENARIOS:
            lives = [x for one in runs for x in one if x.scenario is scenario]
            times = [x.ended_s for x in lives if x.ended_s is not None]
            seen = f"{min(times):.1f} to {max(times):.1f} s" if times else "never"
            wanted = f"{scenario.least_s:.0f} to {scenario.most_s:.0f} s"
            good = f"{sum(x.ok for x in lives)}/{repeats}"
            rows.append(
                f"{name:10} {scenario.name:32} {seen:>18} {wanted:>14} {good:>6}"
            )
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())

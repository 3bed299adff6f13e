"""Live views in real kernels: which cell gets the frames, and what else they touch."""

from __future__ import annotations

import html
import json
import queue
import re
import time
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter, MarkdownExporter

from colabmagic.report.chart import BARS
from tests.fakes.drivers import build, profiles
from tests.kernel.support import TIMEOUT_S, Kernel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Message = dict[str, Any]

START = "from colabmagic.magics import _live\nview = _live.start({every}, {length})"
QUICK = START.format(every=0.1, length=1)
LONG = START.format(every=0.1, length=60)
SHOWS = {"display_data", "execute_result", "stream", "error"}
THREADS = "[t.name for t in __import__('threading').enumerate() if 'colabm' in t.name]"
HOOKS = (
    "[h for h in get_ipython().events.callbacks['post_run_cell'] if '_live' in repr(h)]"
)


class Machine:
    """A kernel that sees fake GPUs, and all that it says on its public channel.

    Parameters
    ----------
    kernel
        The kernel.
    config
        The configuration of its drivers.
    """

    def __init__(self, kernel: Kernel, config: Path) -> None:
        self.kernel = kernel
        self.config = config
        # A front end of its own: `Kernel.run` keeps only what belongs to its cell.
        self._front_end = kernel._manager.blocking_client()
        self._front_end.start_channels()
        self.heard: list[Message] = []
        end = time.monotonic() + TIMEOUT_S
        while not self.heard and time.monotonic() < end:  # until it is connected
            kernel.run("pass")
            self.listen(0.1)
        assert self.heard

    def listen(self, quiet_s: float = 0.5) -> list[Message]:
        """Take in what was said, until nothing comes any more."""
        while True:
            try:
                self.heard.append(self._front_end.get_iopub_msg(timeout=quiet_s))
            except queue.Empty:
                return self.heard

    def clear(self, profile: str = "t4_busy") -> None:
        """Forget what was said, and make another machine of it."""
        profiles.write_profile(profile, self.config)
        self.kernel.run("%reset -f")
        self.listen(0.1)
        self.heard.clear()

    def updates(self) -> list[Message]:
        """Return the updates that were sent."""
        return [one for one in self.heard if one["msg_type"] == "update_display_data"]

    def wait_for(self, text: str, count: int = 1) -> None:
        """Listen until so many updates have a text."""
        end = time.monotonic() + TIMEOUT_S
        while sum(text in plain(one) for one in self.updates()) < count:
            assert time.monotonic() < end, [plain(one) for one in self.updates()]
            self.listen(0.1)

    def cells(self) -> dict[str, str]:
        """Return the code of each cell, by the id of its request."""
        return {
            one["parent_header"]["msg_id"]: one["content"]["code"]
            for one in self.heard
            if one["msg_type"] == "execute_input"
        }

    def stop(self) -> None:
        """End the second front end."""
        self._front_end.stop_channels()
        self._front_end.context.destroy(linger=0)


def plain(message: Message) -> str:
    """Return the text of an output."""
    text: str = message["content"]["data"]["text/plain"]
    return text


def display_id(message: Message) -> str:
    """Return what an update and its output have in common."""
    name: str = message["content"]["transient"]["display_id"]
    return name


def parent(message: Message) -> str:
    """Return the request that a message belongs to."""
    request: str = message["parent_header"]["msg_id"]
    return request


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the fake NVIDIA libraries."""
    try:
        return build.build(tmp_path_factory.mktemp("fake_drivers"))
    except build.BuildError as error:
        pytest.skip(f"no fake NVIDIA drivers: {error}")


@pytest.fixture(scope="module")
def shared_machine(
    interpreter_path: str, libraries: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """Start one kernel with fake GPUs for all tests of an interpreter."""
    config = profiles.write_profile(
        "t4_busy", tmp_path_factory.mktemp("config") / "gpu.cfg"
    )
    kernel = Kernel(interpreter_path)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in build.fake_gpu_env(libraries, config, base={}).items():
            patch.setenv(name, value)
        kernel.__enter__()
    try:
        kernel.run("%load_ext colabmagic")
        started = Machine(kernel, config)
        yield started
        started.stop()
    finally:
        kernel.stop()


@pytest.fixture
def machine(shared_machine: Machine) -> Iterator[Machine]:
    """Return the shared machine, with nothing of the test before."""
    shared_machine.clear()
    yield shared_machine
    shared_machine.kernel.run("from colabmagic.magics import _live; _live.stop()")


def test_frames_go_to_their_cell_while_another_runs(machine: Machine) -> None:
    """One output; all updates carry its id; the later cell shows what it printed."""
    machine.kernel.run(QUICK)
    later = machine.kernel.run(
        "import time\nfor n in range(16):\n  time.sleep(.1)\n  n"
    )
    machine.wait_for("ENDED")
    machine.listen()
    (first,) = [one for one in machine.heard if one["msg_type"] == "display_data"]
    updates = machine.updates()
    assert {display_id(one) for one in updates} == {display_id(first)}
    home = [one for one in updates if parent(one) == parent(first)]
    assert len(home) > 2
    assert "RUNNING" in plain(first)
    assert ["ENDED" in plain(one) for one in home[-2:]] == [False, True]
    assert later.outputs == []
    foreign = {parent(one) for one in updates} - {parent(first)}
    assert all("time.sleep" in machine.cells()[one] for one in foreign)
    assert "Tesla T4" in first["content"]["data"]["text/html"]


def test_a_later_cell_keeps_its_own_outputs(machine: Machine) -> None:
    """Half a line, a result and a display of a busy cell come out as without a view."""
    machine.kernel.run(LONG)
    reply = machine.kernel.run(
        "import time\nprint('half', end='')\ntime.sleep(.5)\nprint(' line')\n"
        "display('shown')\n6 * 7"
    )
    assert reply.stdout == "half line\n"
    assert reply.results == ["42"]
    shown = [one for one in reply.outputs if one["type"] == "display_data"]
    assert [one["data"]["text/plain"] for one in shown] == ["'shown'"]
    machine.listen(0.1)
    assert all(
        "GPU live" not in json.dumps(one["content"])
        for one in machine.heard
        if one["msg_type"] in SHOWS - {"display_data"}
    )


def test_streams_are_left_alone(machine: Machine) -> None:
    """No thread of ours empties what a busy cell has written so far."""
    code = """
import sys, threading
class Watched:
    def __init__(self, stream): self.stream, self.names = stream, []
    def __getattr__(self, name):
        self.names.append(threading.current_thread().name)
        return getattr(self.stream, name)
watched = sys.stdout = Watched(sys.stdout)
import time
time.sleep(.6)
sys.stdout = watched.stream
names = set(watched.names)
"""
    machine.kernel.run(LONG)
    machine.kernel.run(code)
    assert machine.kernel.value("len(view.samples) > 4")
    assert not machine.kernel.value("[n for n in names if n.startswith('colabmagic')]")


def test_the_value_is_not_shown_beside_the_frame(machine: Machine) -> None:
    """In its own cell the view shows once; in a later one as a picture of then."""
    own = machine.kernel.run(LONG + "\nview")
    assert len(own.outputs) == 1
    later = machine.kernel.run("view")
    (shown,) = later.outputs
    assert "GPU live: RUNNING" in shown["data"]["text/plain"]
    assert "<table" in shown["data"]["text/html"]
    assert "transient" not in shown or not shown["transient"]
    text = machine.kernel.value("repr(view)")
    assert re.fullmatch(
        r"<GPU live view: runs, .* of 60 s, a reading every 0.1 s>", text
    )


def test_samples_are_plain(machine: Machine) -> None:
    """What was read is there for the user's own chart."""
    machine.kernel.run(LONG)
    samples = machine.kernel.value("view.samples[:2]")
    assert [one["device"] for one in samples] == ["GPU 0", "CPU"]
    assert samples[0]["use_percent"] == 97


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("view.stop()", "stopped"),
        ("_live.start(2, 0)", "stopped"),
        ("_live.stop()", "stopped"),
        ("other = _live.start(0.1, 60)", "replaced by a newer one"),
    ],
)
def test_a_view_is_ended(code: str, words: str, machine: Machine) -> None:
    """By its object, by `--for 0`, by unloading and by a newer view."""
    machine.kernel.run(LONG)
    assert machine.kernel.value("view.running")
    machine.listen(0.1)
    machine.kernel.run(code)
    machine.wait_for(words)
    assert machine.kernel.value("view.running") is False
    ended = [one for one in machine.updates() if words in plain(one)]
    assert {display_id(one) for one in ended} == {display_id(machine.updates()[0])}


def test_nothing_stays_behind(machine: Machine) -> None:
    """After the end no thread and no hook are left, whoever ended it."""
    machine.kernel.run(QUICK)
    machine.wait_for("ENDED")
    machine.kernel.run("pass")  # the cell after the end takes the hook back
    assert machine.kernel.value(THREADS) == []
    assert machine.kernel.value(f"len({HOOKS})") == 0
    machine.kernel.run(LONG)
    assert machine.kernel.value(f"len({HOOKS})") == 1
    machine.kernel.run("_live.stop(); view._run.join(10)")
    assert machine.kernel.value(THREADS) == []
    assert machine.kernel.value(f"len({HOOKS})") == 0
    assert machine.kernel.value("_live.start(2, 0)") is None


def test_a_gpu_is_lost_in_mid_run(machine: Machine) -> None:
    """The frame says so, and the kernel works on."""
    machine.clear("2xt4_kaggle")
    machine.kernel.run(LONG)
    machine.wait_for("Tesla T4")
    with machine.config.open("a", encoding="utf-8") as config:
        config.write("d1.ret=15\n")
    machine.wait_for("GPU 1: PROBLEM: GPU is lost")
    assert machine.kernel.value("1 + 1") == 2


def test_no_gpu(machine: Machine) -> None:
    """Without a GPU the reason is one line, and the machine is shown in the same form."""
    machine.clear("none")
    machine.kernel.run(LONG)
    machine.wait_for("No GPU to watch: ")
    last = machine.updates()[-1]["content"]["data"]
    assert "CPU" in last["text/plain"]
    assert "No GPU to watch: " in last["text/html"]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [("0, 60", "--every"), ("2, -1", "--for"), ("2, float('nan')", "--for")],
)
def test_a_wrong_number_is_one_line(
    arguments: str, hint: str, machine: Machine
) -> None:
    """It is told in one line, and a view that runs goes on."""
    machine.kernel.run(LONG)
    reply = machine.kernel.run(f"_live.start({arguments})")
    assert reply.ename == "UsageError"
    assert hint in reply.shown
    assert len(reply.shown.strip().splitlines()) == 1
    assert machine.kernel.value("view.running")


def test_captured_output_has_one_frame(machine: Machine) -> None:
    """Under %%capture nothing is shown, and no updates pile up."""
    reply = machine.kernel.run(f"%%capture caught\n{LONG}")
    assert reply.outputs == []
    machine.kernel.run("import time; time.sleep(.5); view.stop()")
    assert machine.kernel.value("len(caught.outputs)") == 1
    machine.listen(0.1)
    assert machine.updates() == []


def test_a_notebook_that_a_program_runs(machine: Machine) -> None:
    """The saved notebook has the last frame in the right cell, and exports keep it."""
    cells = [QUICK, "import time\ntime.sleep(1.5)\nprint('second')", "print('third')"]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells]
    )
    client = NotebookClient(notebook, km=machine.kernel._manager, timeout=TIMEOUT_S)
    # The kernel is there already, and stays.
    client.kc = machine.kernel._manager.client()
    client.kc.start_channels()
    try:
        client.reset_execution_trackers()
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
    finally:
        client.kc.stop_channels()
    first, second, third = (cell.outputs for cell in notebook.cells)
    (output,) = first
    assert "GPU live: ENDED" in output.data["text/plain"]
    assert [one.text for one in second] == ["second\n"]
    assert [one.text for one in third] == ["third\n"]
    pages = {
        "html": HTMLExporter(),
        "sanitised": HTMLExporter(sanitize_html=True),
        "markdown": MarkdownExporter(),
    }
    for name, exporter in pages.items():
        page, _ = exporter.from_notebook_node(notebook)
        page = html.unescape(page).replace("\N{NO-BREAK SPACE}", " ")
        for text in ("GPU live: ENDED", "Tesla T4", "13.7 of 15.0 GiB", BARS[-1] * 3):
            assert text in page, name


def test_a_kernel_that_ends(fresh_kernel: Kernel, tmp_path: Path) -> None:
    """A shutdown is not held up, says nothing, and the saved frame tells the truth."""
    fresh_kernel.run("%load_ext colabmagic")
    machine = Machine(fresh_kernel, tmp_path / "unused.cfg")
    try:
        assert fresh_kernel.run(LONG).status == "ok"
        machine.wait_for("RUNNING")
        fresh_kernel._client.shutdown()
        machine.wait_for("the kernel ended")
        end = time.monotonic() + TIMEOUT_S
        while fresh_kernel._manager.is_alive():
            assert time.monotonic() < end
            time.sleep(0.05)
        kinds = {one["msg_type"] for one in machine.listen(0.1)}
        assert not kinds & {"stream", "error"}
    finally:
        machine.stop()

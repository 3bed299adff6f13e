"""``%keepalive`` in real kernels: beats that nobody sees, and a server that counts them."""

from __future__ import annotations

import queue
import time
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.fakes.colab import PROFILES, Machine
from tests.fakes.colab.frontend import FrontEnd
from tests.keepalive.culling import SCENARIOS
from tests.kernel.support import ROOT, TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kernel.conftest import Culling
    from tests.kernel.support import Kernel

BEAT = "colabmagic_heartbeat"
STATUS = "from colabmagic import keepalive\nkeepalive.status().to_dict()"


@pytest.fixture
def ours(kernel: Kernel) -> Iterator[Kernel]:
    """Yield the shared kernel, in which nothing beats before and after."""
    yield kernel
    reply = kernel.run(
        "%unload_ext colabmagic\n%load_ext colabmagic\n"
        "from colabmagic.keepalive import service, expiry\n"
        "service._CURRENT.beater = service._CURRENT.place = None; expiry.HOOKS.clear()"
    )
    assert reply.status == "ok", reply.shown


@pytest.fixture
def quick(ours: Kernel) -> Iterator[Kernel]:
    """Yield that kernel, in which a beat may come each second.

    A user may ask for one each five: the tests would do nothing but wait. The culling
    table has the real bound.
    """
    bound = (
        "from colabmagic.keepalive import options as _options\n_options.LEAST_EVERY_S"
    )
    assert ours.value("_options.LEAST_EVERY_S", before=bound) == 5
    ours.run("_options.LEAST_EVERY_S = 1.0")
    yield ours
    assert ours.run(f"{bound} = 5.0").status == "ok"


def messages(kernel: Kernel, seconds: float) -> list[dict[str, Any]]:
    """Return all that an idle kernel sends meanwhile."""
    end, found = time.monotonic() + seconds, []
    while time.monotonic() < end:
        try:
            found.append(kernel._client.get_iopub_msg(timeout=0.2))
        except queue.Empty:
            continue
    return found


# --- what counts ----------------------------------------------------------------------


@pytest.mark.timeout(240)
@pytest.mark.one_kernel
def test_a_server_that_culls(kernel_name: str, culling: Culling) -> None:
    """An idle kernel and a silent thread are ended; beats keep both, and stop keeps none.

    The table of `python -m tests.keepalive.culling`, which has begun before, if it can.
    """
    culling.begin(kernel_name)
    status, table = culling.result(timeout_s=220)
    assert status == 0, table
    assert table.count("1/1") == len(SCENARIOS), table


def test_a_beat_is_no_output(quick: Kernel) -> None:
    """One message of a kind that no front end shows, without parent and content."""
    assert quick.run("%keepalive --while always --every 1s").status == "ok"
    found = messages(quick, 2)
    assert {one["msg_type"] for one in found} == {BEAT}
    for one in found:
        assert one["content"] == {}
        assert one["parent_header"] == {}


@pytest.mark.one_kernel
def test_beats_leave_beside_a_busy_cell(quick: Kernel) -> None:
    """Also while the main thread computes and never waits."""
    quick.run("%keepalive --while always --every 1s")
    request = quick._client.execute(
        "import time\nend = time.time() + 4\nwhile time.time() < end: sum(range(1000))"
    )
    found = messages(quick, 3)
    idle = [
        one
        for one in found
        if one["parent_header"].get("msg_id") == request
        and one["content"].get("execution_state") == "idle"
    ]
    assert not idle
    assert BEAT in {one["msg_type"] for one in found}
    quick._shell_reply(request)


@pytest.mark.one_kernel
def test_a_thousand_of_them(quick: Kernel) -> None:
    """No thread stays, no hook, and no message comes afterwards."""
    before = "[len(v) for v in get_ipython().events.callbacks.values()]"
    hooks = quick.value(before)
    reply = quick.run(
        "run = get_ipython().run_line_magic\n"
        "for _ in range(1000):\n"
        "    run('keepalive', '--while always --every 1s -q')\n"
        "    run('keepalive', 'stop -q')",
        timeout_s=110,
    )
    assert reply.status == "ok", reply.shown
    assert quick.value(before) == hooks
    names = "[t.name for t in __import__('threading').enumerate()]"
    assert not [name for name in quick.value(names) if "keepalive" in name]
    assert messages(quick, 1.5) == []


# --- what is shown ----------------------------------------------------------------------


def test_one_line(ours: Kernel) -> None:
    """Shown once, also in the middle of a cell; the value is there too."""
    reply = ours.run("%keepalive --for 2h")
    assert reply.shown.strip() == ""
    (line,) = reply.displays
    assert line.startswith("keepalive: on until ")
    assert "a beat each 60s, only while something runs" in line
    assert "\n" not in line
    reply = ours.run("s = %keepalive --for 1h\nprint(type(s).__mro__[2].__name__)")
    assert len(reply.displays) == 1
    assert reply.stdout == "KeepaliveStatus\n"


def test_status_tells_all_of_it(ours: Kernel) -> None:
    """What it is at, and what keeps a notebook here."""
    assert "off" in "".join(ours.run("%keepalive status").displays)
    ours.run("%keepalive")
    (text,) = ours.run("%keepalive status").displays
    assert "nothing is at work yet" in text
    assert "What keeps it: the beat counts as activity" in text
    assert "What nothing prevents" in text


def test_stop_says_so_in_the_line_too(ours: Kernel) -> None:
    """The output above does not stay at "on"; a second stop has nothing to stop."""
    ours.run("%keepalive")
    request = ours._client.execute("%keepalive stop")
    found = messages(ours, 1)
    ours._shell_reply(request)
    texts = [
        one["content"]["data"]["text/plain"]
        for one in found
        if one["msg_type"] == "update_display_data"
    ]
    assert texts == ["keepalive: ended  you stopped it; 0 beats"]
    assert "ended" in ours.run("%keepalive stop").stdout


@pytest.mark.parametrize(
    ("then", "words"),
    [
        ("%keepalive --for 8h", "a newer %keepalive took its place; 0 beats"),
        ("%unload_ext colabmagic", "the extension was unloaded; 0 beats"),
    ],
)
def test_no_line_stays_at_on(ours: Kernel, then: str, words: str) -> None:
    """A notebook is saved with its outputs: an older one must not go on promising."""
    ours.run("%keepalive")
    request = ours._client.execute(then)
    found = messages(ours, 1)
    ours._shell_reply(request)
    texts = [
        one["content"]["data"]["text/plain"]
        for one in found
        if one["msg_type"] == "update_display_data"
    ]
    assert texts == [f"keepalive: ended  {words}"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--for 4x", "--for: '4x' is no length of time; write 4h"),
        ("--for 25h", "--for cannot be 25h; write a time from 5s to 24h"),
        ("--every 1s", "--every cannot be 1s; write a time from 5s to 10m"),
        ("--while ever", "--while takes busy, gpu or always"),
        ("--then notify", "--notify"),
        ("--then disconnect", "gives back a machine of Colab, and this is Jupyter"),
        ("--notify http://h.example/s3cret", "by https alone"),
        ("https://h.example/s3cret", "not 'https://…'"),
        ("--notfy https://h.example/s3cret", "did you mean --notify"),
        ("stop --for 4h", "%keepalive stop takes no --for"),
        ("begin", "VERB takes start, status, stop or snippet"),
        ("stat", "did you mean %keepalive status"),
        ("h.example/s3cret", "not '…'"),
        ("--gpu-percent 0", "--gpu-percent cannot be 0"),
    ],
)
def test_mistakes_are_one_line(ours: Kernel, line: str, words: str) -> None:
    """With what would be right, and without what is secret."""
    reply = ours.run(f"%keepalive {line}")
    assert reply.ename == "UsageError"
    assert words in reply.shown
    assert "s3cret" not in reply.shown
    assert len(reply.shown.strip().splitlines()) == 1
    assert not ours.value("keepalive.status().running", before=STATUS)


def test_the_snippet_is_printed(ours: Kernel) -> None:
    """To be copied, with its bound; nothing runs it here."""
    if not (ROOT / "colabmagic/keepalive/snippet.py").exists():
        pytest.skip("the script is not there")
    reply = ours.run("%keepalive snippet --for 2h")
    assert reply.status == "ok", reply.shown
    assert "colabmagicKeepalive" in reply.stdout
    assert reply.displays == []


@pytest.mark.one_kernel
def test_the_saved_notebook(quick: Kernel) -> None:
    """Beats change nothing in it: the status line is all there is."""
    cells = [
        "%keepalive --while always --every 1s",
        "import time\ntime.sleep(3)\nprint('done')",
        "from colabmagic import keepalive\nassert keepalive.status().beats >= 2",
    ]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells]
    )
    client = NotebookClient(notebook, km=quick._manager, timeout=TIMEOUT_S)
    # The kernel is there already, and stays.
    client.kc = quick._manager.client()
    client.kc.start_channels()
    try:
        client.reset_execution_trackers()
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
    finally:
        client.kc.stop_channels()
    first, second, third = (cell["outputs"] for cell in notebook.cells)
    (line,) = first
    assert line["output_type"] == "display_data"
    assert line["data"]["text/plain"].startswith("keepalive: on until ")
    assert [output["text"] for output in second] == ["done\n"]
    assert third == []


# --- work, in a kernel ------------------------------------------------------------------


@pytest.mark.one_kernel
def test_its_own_cell_is_no_work(quick: Kernel) -> None:
    """It waits for the first cell that lasts, and does not end itself before."""
    quick.run("%keepalive --every 1s")
    messages(quick, 4)  # it looks four times; nothing for two is the end of any work
    found = quick.value("keepalive.status().to_dict()", before=STATUS)
    assert (found["running"], found["phase"], found["beats"]) == (True, "waiting", 0)


@pytest.mark.timeout(120)
@pytest.mark.one_kernel
def test_a_cell_is_work_until_it_ends(quick: Kernel) -> None:
    """Also one that runs others; then it rests, says so once, and goes on with the next."""
    quick.run("%keepalive --every 2s")
    quick.run(
        "import time\nget_ipython().run_cell('1')\nget_ipython().run_cell('')\ntime.sleep(3)"
    )
    found = quick.value("keepalive.status().to_dict()", before=STATUS)
    assert (found["phase"], found["reason"]) == ("beating", "a cell runs")
    heard = messages(quick, 8)
    texts = [
        one["content"]["data"]["text/plain"]
        for one in heard
        if one["msg_type"] == "update_display_data"
    ]
    assert len(texts) == 1
    assert texts[0].startswith("keepalive: resting  the work has ended")
    reply = quick.run("print('next')")
    told, line = reply.stdout.splitlines()
    assert told.startswith("keepalive: ")
    assert "it begins again when a cell or a job runs" in told
    assert line == "next"
    assert quick.run("print('next')").stdout == "next\n"
    assert quick.value("keepalive.status().running", before=STATUS)


@pytest.mark.one_kernel
def test_before_the_end(quick: Kernel) -> None:
    """A function that was registered runs; a notice comes into the line."""
    quick.run(
        "from colabmagic import keepalive\nsaved = []\n"
        "handle = keepalive.on_expiry(lambda: saved.append(1), timeout_s=2)\n"
        "%keepalive --while always --for 2s --every 1s"
    )
    found = messages(quick, 4)
    texts = [
        one["content"]["data"]["text/plain"]
        for one in found
        if one["msg_type"] == "update_display_data"
    ]
    assert "the time that was set ends in" in texts[0]
    assert texts[-1].startswith("keepalive: ended  the time that was set is over")
    assert quick.value("saved") == [1]
    reply = quick.run("pass")
    assert "keepalive: " not in reply.stdout  # it was told in the cell before


def test_unloading_ends_it(ours: Kernel) -> None:
    """Thread and hooks go with the extension."""
    ours.run("%keepalive --while always")
    ours.run("%unload_ext colabmagic")
    names = "[t.name for t in __import__('threading').enumerate()]"
    assert not [name for name in ours.value(names) if "keepalive" in name]
    assert ours.run("%load_ext colabmagic").status == "ok"


# --- Colab ------------------------------------------------------------------------------


@pytest.fixture
def colab(quick: Kernel, tmp_path: Path) -> Iterator[FrontEnd]:
    """Yield Colab's page in front of a kernel that is on a machine of Colab."""
    machine = Machine(tmp_path / "vm")
    page = FrontEnd(quick)
    root = str(machine.root)
    setting_up = (
        machine.kernel_code(),
        (
            "import colabmagic.magics.keepalive, colabmagic.magics._colab_page as _page\n"
            "_page.answers.__defaults__ = (0.3,)\n"
            # The machine's own `/`, as for Drive: nothing else is pretended.
            "import colabmagic.host as _host, pathlib as _p\n"
            "_detect_defaults = _host.detect.__defaults__\n"
            f"_host.detect.__defaults__ = (None, _p.Path({root!r}), None, None)\n"
        ),
    )
    try:
        for code in setting_up:
            result = page.execute(code)
            assert result.status == "ok", result.shown
        yield page
    finally:
        page.execute(
            "%keepalive stop -q\n_page.answers.__defaults__ = (3.0,)\n"
            "_host.detect.__defaults__ = _detect_defaults\n"
            + machine.kernel_undo_code()
        )


@pytest.mark.parametrize(
    ("profile", "words", "advice"),
    [
        (
            "web",
            "Colab may end the machine all the same",
            "nobody outside Google knows",
        ),
        ("refusing", "Colab may end the machine all the same", "captcha"),
        ("auth_only", "Google's own client keeps the machine", "google-colab-cli"),
        ("silent", "Google's own client keeps the machine", "VS Code each 5 minutes"),
    ],
)
def test_each_front_end_of_colab(
    colab: FrontEnd, profile: str, words: str, advice: str
) -> None:
    """The right text, after one question that waits for a third of a second at most."""
    colab.page = PROFILES[profile](lambda _script: 2)
    result = colab.execute("%keepalive")
    assert result.status == "ok", result.shown
    assert words in result.shown
    assert result.seconds < 3
    assert [(one.kind, one.wants_reply) for one in colab.requests] == [
        ("cell_javascript_eval", True)
    ]
    colab.requests.clear()
    status = colab.execute("%keepalive status").shown
    assert advice in " ".join(status.split())
    assert "keeps Colab alive" not in status
    assert colab.requests == []


def test_a_page_that_throws_is_the_page(colab: FrontEnd) -> None:
    """Who says that it failed has answered."""

    def throw(_: str) -> None:
        raise RuntimeError("boom")

    colab.page = PROFILES["web"](throw)
    assert "Colab may end" in colab.execute("%keepalive").shown


@pytest.mark.parametrize("saves", [True, False])
def test_giving_back(colab: FrontEnd, saves: bool) -> None:  # noqa: FBT001
    """Colab's own call, once, after what was registered, and only if that ended well."""
    colab.page = PROFILES["web"](lambda _script: 2)
    colab.execute(
        "from http.server import BaseHTTPRequestHandler, HTTPServer\n"
        "import os, threading\nasked = []\n"
        "class Service(BaseHTTPRequestHandler):\n"
        "    def do_POST(self):\n"
        "        asked.append(self.path); order.append('left')\n"
        "        self.send_response(200); self.end_headers()\n"
        "    def log_message(self, *a): pass\n"
        "service = HTTPServer(('127.0.0.1', 0), Service)\n"
        "threading.Thread(target=service.serve_forever, args=(.02,)).start()\n"
        "os.environ['TBE_RUNTIME_ADDR'] = '127.0.0.1:%d' % service.server_address[1]\n"
        "from colabmagic import keepalive\norder = []\n"
        "def save():\n"
        f"    order.append('saved')\n    assert {saves}, 'disk full'\n"
        "keepalive.on_expiry(save, timeout_s=2)"
    )
    result = colab.execute("%keepalive --while always --for 2s --then disconnect")
    assert result.status == "ok", result.shown
    colab.requests.clear()
    colab.pump(4)
    found = colab.execute("service.shutdown(); service.server_close(); asked, order")
    expected = "(['/unassign'], ['saved', 'left'])" if saves else "([], ['saved'])"
    assert found.value == expected
    scripts = [one.body.get("script", "") for one in colab.requests]
    assert any("disconnect" in script for script in scripts) is saves
    assert all(not one.wants_reply for one in colab.requests)
    status = colab.execute("print(keepalive.status().cause, keepalive.status().notes)")
    assert ("left" in status.stdout) is saves
    assert ("the machine is not given back" in status.stdout) is not saves


def test_a_short_cell_keeps_the_machine(colab: FrontEnd) -> None:
    """As the notice says; it is over long before anybody looks for work."""
    kernel = colab.kernel
    assert kernel.run("%keepalive --then disconnect").status == "ok"
    reply = kernel.run(
        "import threading\nfrom colabmagic.keepalive import service\n"
        "beater = service._CURRENT.beater\n"
        "ends = lambda: beater._work_ends(beater._clock.now())\n"
        "threading.Timer(0.3, ends).start()"
    )
    assert reply.status == "ok", reply.shown
    messages(kernel, 1)
    shown = kernel.run("1 + 1").shown
    assert "given back in 5 min unless a cell runs" in shown
    messages(kernel, 0.5)
    again = kernel.run("keepalive_phase = service.status().phase; keepalive_phase")
    assert "there is work again" in again.shown
    assert "'beating'" in again.shown


def test_what_is_on_drive_is_proven_last(colab: FrontEnd) -> None:
    """Behind the user's functions, where a folder is watched; else not at all."""
    names = "[hook.name for hook in _ours._before_the_end()]"
    colab.execute(
        "import os, colabmagic.magics.keepalive as _ours\n"
        "from colabmagic import keepalive\n"
        "handle = keepalive.on_expiry(lambda: None, name='mine')"
    )
    assert colab.execute(names).value == "['mine']"
    colab.page = PROFILES["web"](lambda _script: 2)
    mounted = colab.execute(
        "%mount_drive {os.environ['FAKE_COLAB_ROOT'] + '/content/drive'} -q"
    )
    assert mounted.status == "ok", mounted.shown
    try:
        assert colab.execute(names).value == "['mine', 'Drive --sync']"
        run = colab.execute(
            "from colabmagic.keepalive.expiry import HookRun\nimport time\n"
            "run = HookRun(_ours._before_the_end(), time.monotonic)\n"
            "while not run.poll(): time.sleep(.05)\n"
            "print([(one.name, one.state, one.text) for one in run.results])"
        )
        assert "('mine', 'ok', '')" in run.stdout, run.shown
        assert "('Drive --sync', 'ok', " in run.stdout, run.shown
    finally:
        colab.execute("%mount_drive --unmount -q")

"""One at a time, in this process alone; a thousand of them leave nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from colabmagic import keepalive
from colabmagic.host.vm_clock import VmClock
from colabmagic.keepalive import service
from colabmagic.keepalive.beater import THREAD
from colabmagic.keepalive.expiry import Hooks
from colabmagic.keepalive.options import KeepaliveOptions
from colabmagic.keepalive.place import PLACES
from colabmagic.keepalive.state import Cause

if TYPE_CHECKING:
    from collections.abc import Iterator

ALWAYS = KeepaliveOptions(while_="always")


@pytest.fixture(autouse=True)
def _stopped() -> Iterator[None]:
    """Leave nothing that beats."""
    yield
    service.stop()
    service._CURRENT.beater = service._CURRENT.place = None


def threads() -> list[str]:
    """Return the names of our threads."""
    return [t.name for t in threading.enumerate() if t.name.startswith("colabmagic")]


def test_before_anything_it_is_off() -> None:
    """Asking and stopping start nothing."""
    assert keepalive.status().phase == "off"
    assert keepalive.stop().phase == "off"
    assert threads() == []


def test_one_takes_the_place_of_another() -> None:
    """Its beats are its own."""
    first: list[int] = []
    second: list[int] = []
    service.start(ALWAYS, send=lambda: first.append(1))
    old = service._CURRENT.beater
    assert old is not None
    service.start(ALWAYS, send=lambda: second.append(1))
    assert old.status().cause == "replaced"
    assert threads() == [THREAD]
    assert service.status().running
    assert service.stop().reason == "you stopped it"


def test_a_thousand_starts_and_stops() -> None:
    """No thread stays, and no beat comes after a stop."""
    sent: list[int] = []
    for number in range(1000):
        service.start(ALWAYS, send=lambda n=number: sent.append(n))
        service.stop()
    assert threads() == []
    count = len(sent)
    time.sleep(0.2)
    assert len(sent) == count <= 1000
    assert sent == sorted(sent)


def test_many_threads_at_once() -> None:
    """Whoever is last wins, and exactly one beats."""

    def go() -> None:
        for _ in range(20):
            service.start(ALWAYS, send=lambda: None)

    workers = [threading.Thread(target=go) for _ in range(5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert threads() == [THREAD]


def test_a_stop_from_its_own_thread() -> None:
    """What is told, or run before the end, may stop it."""
    release = threading.Event()

    def send() -> None:
        release.wait(10)
        keepalive.stop()

    service.start(ALWAYS, send=send)
    release.set()
    end = time.monotonic() + 10
    while threads():
        assert time.monotonic() < end
        time.sleep(0.01)
    assert service.status().cause == "stopped"


def test_a_stop_while_it_tells() -> None:
    """Neither waits for the other in vain."""
    telling, release = threading.Event(), threading.Event()
    found: list[bool] = []

    def tell(_: str) -> None:
        telling.set()
        release.wait(10)
        found.append(service.status().running)

    service.start(
        KeepaliveOptions(while_="always", for_s=5, warn_s=4),
        send=lambda: None,
        tell=tell,
    )
    assert telling.wait(10)
    threading.Timer(0.2, release.set).start()
    began = time.monotonic()
    service.stop()
    assert time.monotonic() - began < 1.5
    assert found == [False]


def test_work_of_this_process_is_what_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that begins makes it beat, and its end is seen."""
    monkeypatch.setattr("colabmagic.keepalive.options.LEAST_EVERY_S", 1.0)
    beats: list[int] = []
    options = KeepaliveOptions(every_s=1)
    with keepalive.job("train"):
        service.start(options, send=lambda: beats.append(1))
        end = time.monotonic() + 10
        while not beats:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert service.status().reason == "job train"
    assert not service.status().rests
    assert service.resume()


def test_a_place_comes_with_its_advice() -> None:
    """In the status, not in the line."""
    service.start(ALWAYS, send=lambda: None, place=PLACES["jupyter"])
    found = service.status()
    assert found.place == "Jupyter"
    assert found.advice == PLACES["jupyter"].advice
    assert "What keeps it" in found.text
    assert "What keeps it" not in found.headline


def test_the_life_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is known, the end is not beyond it."""
    monkeypatch.setattr(VmClock, "left_s", lambda _: 1800.0)
    service.start(ALWAYS, send=lambda: None)
    found = service.status()
    assert found.expires_with_machine
    assert found.expires is not None
    assert found.expires - time.time() == pytest.approx(1800, abs=5)


def test_nothing_is_known_off_colab() -> None:
    """Then the bound alone counts."""
    assert service.life_s() is None


def test_hooks_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """The magic adds Drive's to the user's."""
    monkeypatch.setattr("colabmagic.keepalive.options.LEAST_EVERY_S", 1.0)
    hooks = Hooks()
    ran: list[int] = []
    hooks.add(lambda: ran.append(1), timeout_s=1)
    service.start(
        KeepaliveOptions(while_="always", for_s=1, warn_s=0),
        send=lambda: None,
        hooks=hooks.all,
    )
    end = time.monotonic() + 15
    while service.status().running:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert ran == [1]
    assert service.status().cause == "bound"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_begins_anew() -> None:
    """It has no thread, no beater, no jobs, and can start its own."""
    with keepalive.job("the parent's"):
        service.start(ALWAYS, send=lambda: None)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                fine = service.status().phase == "off" and threads() == []
                service.start(ALWAYS, send=lambda: None)
                fine = fine and threads() == [THREAD]
                service.stop()
                code = 0 if fine and threads() == [] else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert service.status().running


def test_the_process_ends_with_it_on() -> None:
    """No thread holds it, and nothing is printed."""
    code = (
        "from colabmagic.keepalive import service, KeepaliveOptions as O\n"
        "service.start(O(while_='always'), send=lambda: None)\n"
        "import threading; print([t.name for t in threading.enumerate()][1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == f"['{THREAD}']\n"
    assert done.stderr == ""


def test_it_is_light() -> None:
    """Importing and starting it brings in neither torch nor requests nor pynvml."""
    code = (
        "import sys\n"
        "from colabmagic.keepalive import service, KeepaliveOptions as O\n"
        "service.start(O(), send=lambda: None); service.stop()\n"
        "print([n for n in ('torch', 'requests', 'pynvml', 'IPython') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("kind", ["job", "process"])
def test_a_job_outside_of_a_cell_ends_a_rest(kind: str) -> None:
    """A thread that waits for data and then computes runs no cell."""
    changes: list[bool] = []
    service.start(
        send=lambda: None, changed=lambda: changes.append(service.status().running)
    )
    beater = service._CURRENT.beater
    assert beater is not None
    beater._end(Cause.WORK)
    beater._wake.set()  # as it is where the thread itself finds no work
    assert service.status().rests
    if kind == "job":
        with keepalive.job("train"):
            assert service.status().running
    else:
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as process:
            keepalive.watch_pid(process.pid)
            assert service.status().running
            process.communicate(b"\n")
    assert changes[-1]


def test_a_job_after_the_end_begins_nothing() -> None:
    """Who stopped it wants it stopped."""
    service.start(send=lambda: None)
    service.stop()
    with keepalive.job("train"):
        assert not service.status().running
    assert threads() == []

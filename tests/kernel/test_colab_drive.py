"""Drive by Colab's means in real kernels, over the messages of Colab's page."""

from __future__ import annotations

import ast
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.colab import PROFILES, REFUSAL, Machine
from tests.fakes.colab.frontend import FrontEnd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kernel.support import Kernel

SECRETS = {"TOKEN": "s3cret"}
SHOWN = """
from pathlib import Path
def shown(work):
    from colabmagic.drive.errors import DriveError
    try:
        found = work()
    except DriveError as error:
        print("SHOWN", repr((type(error).__name__, str(error))))
    else:
        print("SHOWN", repr(("ok", str(found))))
"""


@pytest.fixture(scope="module")
def front_end(
    shared_kernel: Kernel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FrontEnd]:
    """Yield Colab's page in front of a kernel that is on a machine of Colab."""
    machine = Machine(tmp_path_factory.mktemp("colab") / "vm")
    machine.behave(pad_s=0)
    page = FrontEnd(shared_kernel)
    setting_up = (
        machine.kernel_code(),
        "import google.colab.userdata as u; u.TIMEOUT_S = 0.3",
        SHOWN,
        "from colabmagic.drive.account import colab_account",
        f"from colabmagic.drive.mounting import colab\nROOT = Path({str(machine.root)!r})",
    )
    try:
        for code in setting_up:
            result = page.execute(code)
            assert result.status == "ok", result.shown
        yield page
    finally:
        page.execute(machine.kernel_undo_code() + "%reset -f")


@pytest.fixture
def page(front_end: FrontEnd) -> FrontEnd:
    """Return the page with nothing asked, and no mount behind it."""
    front_end.execute(
        "from google.colab import _machine\n"
        "for path in _machine.mounted(): _machine.unmount(path)\n"
        "_machine.at('/content/.adc').unlink(missing_ok=True)"
    )
    front_end.requests.clear()
    front_end.page = PROFILES["web"](secrets=SECRETS)
    return front_end


def result_of(page: FrontEnd, expression: str) -> tuple[str, str]:
    """Return ``ok`` and a value, or the name of an error and its words."""
    result = page.execute(f"shown(lambda: {expression})")
    assert result.status == "ok", result.shown
    printed, _, value = result.stdout.partition("SHOWN ")
    assert printed == ""  # nothing of Google's own words
    found: tuple[str, str] = ast.literal_eval(value)
    return found


MOUNT = "colab.mount(ROOT / 'content/drive', timeout_s=1)"


@pytest.mark.parametrize(
    ("profile", "mount", "secret", "log_in"),
    [
        ("web", "reused=False", "s3cret", "None"),
        ("auth_only", "reused=False", "nobody answered", "None"),
        ("silent", "nobody answered", "nobody answered", "nobody answered"),
        ("refusing", REFUSAL, "may not read", REFUSAL),
    ],
)
def test_each_front_end(
    page: FrontEnd, profile: str, mount: str, secret: str, log_in: str
) -> None:
    """What each kind of page leads to, in words; every wait ends."""
    page.page = PROFILES[profile](secrets=SECRETS)
    assert mount in result_of(page, MOUNT)[1]
    assert secret in result_of(page, "colab_account.secret('TOKEN')")[1]
    assert log_in in result_of(page, "colab_account.authenticate(timeout_s=0.3)")[1]
    kinds = [(one.kind, one.wants_reply) for one in page.requests]
    assert kinds == [
        ("request_auth", True),
        ("GetSecret", True),
        ("request_auth", True),
    ]


def test_a_mount_that_works_asks_nobody(page: FrontEnd) -> None:
    """The second cell needs no page at all."""
    assert "reused=False" in result_of(page, MOUNT)[1]
    page.page = PROFILES["silent"]()
    page.requests.clear()
    assert "reused=True" in result_of(page, MOUNT)[1]
    assert page.requests == []


def test_a_refusal_in_advance_asks_nobody(page: FrontEnd) -> None:
    """No pop-up for a path that cannot be."""
    kind, _ = result_of(page, "colab.mount(ROOT / 'content/my disk')")
    assert kind == "MountpointError"
    assert page.requests == []


def test_an_interrupt_ends_the_wait(page: FrontEnd) -> None:
    """The stop button works while the page does not answer; the kernel goes on."""
    page.page = PROFILES["silent"]()
    cell = page.start("print('go')\n" + MOUNT.replace("=1", "=60"))
    while not page.requests:
        page.pump(0.05)
    page.interrupt()
    result = page.finish(cell)
    assert result.error is not None
    assert result.error[0] == "KeyboardInterrupt"
    names = "sorted(t.name for t in __import__('threading').enumerate())"
    assert "colabmagic-deadline" not in page.execute(names).shown
    assert page.execute("1 + 1").value == "2"


def test_what_is_typed_meanwhile_is_no_answer(page: FrontEnd) -> None:
    """After a mount, input() gets what the user types."""
    result_of(page, MOUNT)
    page.typed.append("Ada")
    assert page.execute("print(input('name? '))").stdout.endswith("Ada\n")


def test_it_works_from_a_thread_of_an_idle_kernel(page: FrontEnd) -> None:
    """As the watcher heals: no cell runs, the page answers, the wait is bounded."""
    page.execute(
        "import threading\n"
        "got = []\n"
        "def work():\n"
        f"    got.append({MOUNT}.reused)\n"
        "thread = threading.Thread(target=work); thread.start()"
    )
    page.pump(0.4)
    result: Any = page.execute("thread.join(5); got")
    assert result.value == "[False]"


# --- the protocol itself: what the double and the page are to keep to ---------------


def test_the_shape_of_a_request(page: FrontEnd) -> None:
    """Kind and number in the metadata; the cell is the parent of a script alone."""
    page.execute("from google.colab import output; output.eval_js('1', timeout_sec=5)")
    result_of(page, "colab_account.secret('TOKEN')")
    script, secret = page.requests
    assert (script.kind, script.body) == ("cell_javascript_eval", {"script": "1"})
    assert script.parent_header["msg_type"] == "execute_request"
    assert (secret.kind, secret.body) == ("GetSecret", {"key": "TOKEN"})
    assert set(secret.parent_header) >= {"session"}
    assert "msg_id" not in secret.parent_header
    numbers = [one.metadata["colab_msg_id"] for one in page.requests]
    assert numbers[0] < numbers[1]


@pytest.mark.parametrize(
    ("profile", "script"),
    [
        ("web", "ran 7"),
        ("auth_only", "None"),
        ("silent", "None"),
        ("refusing", "ran 7"),
    ],
)
def test_scripts_in_each_page(page: FrontEnd, profile: str, script: str) -> None:
    """Only Colab's page runs JavaScript; elsewhere the time limit gives None."""
    page.page = PROFILES[profile](lambda text: f"ran {text}")
    code = "from google.colab import output; print(output.eval_js('7', timeout_sec=.2))"
    assert page.execute(code).stdout == f"{script}\n"


def test_a_script_that_throws(page: FrontEnd) -> None:
    """It raises in the cell, and the next cell runs as ever."""

    def throw(_: str) -> None:
        raise RuntimeError("boom")

    page.page = PROFILES["web"](throw)
    code = "from google.colab import output; output.eval_js('7', timeout_sec=5)"
    for _ in range(2):
        assert page.execute(code).error == ("MessageError", "Error: boom")
        assert page.execute("1 + 1").value == "2"


def test_a_script_without_a_reply(page: FrontEnd) -> None:
    """Only sent: the one form that a thread may use."""
    code = "from google.colab import output; output.eval_js('7', ignore_result=True)"
    assert page.execute(code).status == "ok"
    assert [one.wants_reply for one in page.requests] == [False]


def test_without_a_limit_it_waits_for_ever(page: FrontEnd) -> None:
    """Until somebody interrupts it."""
    page.page = PROFILES["silent"]()
    cell = page.start("from google.colab import output; output.eval_js('7')")
    page.pump(0.2)
    assert page.requests
    assert cell not in page.shell_replies
    page.interrupt()
    assert page.finish(cell).error == ("KeyboardInterrupt", "")


def test_a_call_from_an_output_waits_for_the_cell(page: FrontEnd) -> None:
    """It travels on the shell channel: a busy kernel answers when it is done."""
    page.execute(
        "from google.colab import output\noutput.register_callback('add', int.__add__)"
    )
    started = time.monotonic()
    page.start("import time; time.sleep(0.3)")
    call = page.evaluate("output._invoke_function('add', [1, 2], {})")
    while call not in page.shell_replies:
        page.pump(0.05)
    arrived, content = page.shell_replies[call]
    assert arrived - started >= 0.3
    assert content["user_expressions"]["value"]["data"]["text/plain"] == "3"

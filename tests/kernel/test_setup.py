"""``%colab_setup`` in real kernels, on a machine of Colab with a T4."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.colab import PROFILES, Machine
from tests.fakes.colab.frontend import FrontEnd
from tests.fakes.drivers import build, profiles
from tests.kernel.support import Kernel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A PyTorch with CUDA, as far as %gpu_check reads it; the real one here has none.
VERSION = "__version__ = '2.11.0+cu128'\ncuda = '12.8'\nhip = None\n"
ARCHS = b"\0sm_75 sm_80 sm_86 sm_90\0"
WITH_GPU = "--require t4,cuda --gpu --drive {mount} --cd MyDrive/work --keepalive 1h"
# Everything as it was, but for the extension.
CLEAN = """
%unload_ext colabmagic
import os
os.chdir({root!r})
from google.colab import _machine
for path in _machine.mounted(): _machine.unmount(path)
_machine.at('/content/.adc').unlink(missing_ok=True)
from colabmagic.drive.session import STATE
STATE.mounted = STATE.client = None
%load_ext colabmagic
%config ColabMagic.setup = {{}}
"""
STATE = """
import os, threading
from colabmagic import keepalive, train
from colabmagic.drive import service
def state():
    names = sorted(t.name for t in threading.enumerate() if 'colabmagic' in t.name)
    from colabmagic.train.service import standing
    return os.getcwd(), id(standing()), keepalive.status().started, names
"""


class Notebook:
    """A notebook on that machine."""

    def __init__(self, page: FrontEnd, machine: Machine) -> None:
        self.page = page
        self.machine = machine
        self.mount = machine.mountpoint
        self.states_with_gpu: list[dict[str, str]] = []
        self.with_gpu: list[str] = []  # what two calls showed where PyTorch has CUDA

    def setup(self, line: str, name: str = "r") -> str:
        """Run the magic; return all that a person reads."""
        result = self.page.execute(f"{name} = %colab_setup {line}", timeout_s=100)
        assert result.status == "ok", result.shown
        return result.shown

    def states(self, name: str = "r") -> dict[str, str]:
        """Return the state of each part."""
        code = f"{{one.name: one.state for one in {name}.parts}}"
        states: dict[str, str] = self.value(code)
        return states

    def value(self, expression: str) -> object:
        """Return the value of an expression."""
        import ast

        result = self.page.execute(f"print(repr({expression}))")
        assert result.status == "ok", result.shown
        return ast.literal_eval(result.stdout)


@pytest.fixture(scope="module")
def started(
    interpreter_path: str, needs_torch: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Notebook]:
    """Start one kernel with a fake T4 on one machine of Colab."""
    del needs_torch
    folder = tmp_path_factory.mktemp("setup")
    try:
        libraries = build.build(folder / "drivers")
    except build.BuildError as error:
        pytest.skip(f"no fake NVIDIA drivers: {error}")
    config = profiles.write_profile("t4", folder / "gpu.cfg")
    machine = Machine(folder / "vm")
    machine.behave(pad_s=0)
    (machine.root / "google/drive/MyDrive/work").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in build.fake_gpu_env(libraries, config, base={}).items():
            patch.setenv(name, value)
        patch.setenv("COLABMAGIC_HOME", str(folder / "home"))
        kernel = Kernel(interpreter_path)
        kernel.__enter__()
    try:
        page = FrontEnd(kernel)
        result = page.execute(
            "%load_ext colabmagic\n" + machine.kernel_code() + "import pathlib\n"
            "from colabmagic.drive.mounting import folders\n"
            f"folders.SYSROOT = pathlib.Path({str(machine.root)!r})"
        )
        assert result.status == "ok", result.shown
        notebook = Notebook(page, machine)
        set_up_with_gpu(notebook, folder / "packages")
        yield notebook
    finally:
        kernel.stop()


def set_up_with_gpu(notebook: Notebook, packages: Path) -> None:
    """Set up twice while the machine's PyTorch has CUDA: before the real one is imported."""
    (packages / "torch/lib").mkdir(parents=True)
    (packages / "torch/__init__.py").touch()
    (packages / "torch/version.py").write_text(VERSION)
    (packages / "torch/lib/libtorch_python.so").write_bytes(ARCHS)
    page, line = notebook.page, WITH_GPU.format(mount=notebook.mount)
    page.execute(f"import sys; sys.path.insert(0, {str(packages)!r})")
    notebook.with_gpu = [notebook.setup(line, "first"), notebook.setup(line, "again")]
    notebook.states_with_gpu = [notebook.states("first"), notebook.states("again")]
    result = page.execute(
        f"sys.path.remove({str(packages)!r}); assert 'torch' not in sys.modules"
    )
    assert result.status == "ok", result.shown


@pytest.fixture
def notebook(started: Notebook) -> Notebook:
    """Return the notebook with nothing set up, and nothing asked."""
    root = started.machine.root
    result = started.page.execute(CLEAN.format(root=str(root / "content")))
    assert result.status == "ok", result.shown
    for folder in ("content", "google/drive/MyDrive"):  # it is unmounted now
        (root / folder / "colabmagic.toml").unlink(missing_ok=True)
    started.page.requests.clear()
    started.page.page = PROFILES["web"]()
    return started


def test_a_machine_that_has_all(notebook: Notebook) -> None:
    """One table, GPU check last; the second time nothing is new."""
    first, again = notebook.with_gpu
    assert "Setup: READY  3 done" in first
    last = first.rstrip().splitlines()[-1]
    assert last == "GPU check: READY Tesla T4, 14.6 GiB free, use device='cuda'"
    assert notebook.states_with_gpu[0] == {
        "require": "ok", "gpu": "ok", "drive": "done", "cd": "done", "keepalive": "done",
    }  # fmt: skip
    assert "Setup: READY  all was so already" in again
    assert set(notebook.states_with_gpu[1].values()) == {"ok", "already"}


def test_one_line_and_again(notebook: Notebook) -> None:
    """Each part is there afterwards; the second call changes and asks nothing."""
    line = f"--keepalive 1h --train --cd MyDrive/work --drive {notebook.mount}"
    text = notebook.setup(line)
    assert "Setup: READY  4 done" in text
    assert list(notebook.states()) == ["drive", "cd", "train", "keepalive"]
    assert notebook.value("r.ok") is True
    notebook.page.execute(STATE)
    before = notebook.value("state()")
    assert before[0] == str(notebook.mount / "MyDrive/work")  # type: ignore[index]
    assert "colabmagic-keepalive" in str(before)
    assert len(notebook.page.of_kind("request_auth")) == 1

    text = notebook.setup(line, "again")
    assert "Setup: READY  all was so already" in text
    assert set(notebook.states("again").values()) == {"already"}
    assert notebook.value("state()") == before
    assert len(notebook.page.of_kind("request_auth")) == 1


WRONG = {
    "cuda": ("3.9", "CUDA 3.9 is too old"),
    "drive": ('"/content/my disk"', "my disk"),
    "cd": ("nowhere", "there is no folder"),
    "train": ("cdua", "there is no device 'cdua'"),
    "keepalive": ("soon", "'soon' is no length of time"),
}


def test_a_part_that_fails_is_shown(notebook: Notebook) -> None:
    """Each, with what to type; the others are done, and the cell goes on."""
    others = {"drive": notebook.mount, "train": "cpu", "keepalive": "1h"}
    for name, (value, words) in WRONG.items():
        wanted = {**others, name: value}
        text = notebook.setup(" ".join(f"--{key} {wanted[key]}" for key in wanted))
        assert "Setup: NOT ALL DONE" in text
        assert f"Why     {name}: " in text
        assert words in " ".join(text.split())
        states = notebook.states()
        assert states.pop(name) == "failed"
        assert set(states.values()) <= {"done", "already"}
        assert set(others) <= {*states, name}


def test_what_is_required_stops_the_notebook_in_the_end(notebook: Notebook) -> None:
    """The others are done and shown first; the error is one line."""
    result = notebook.page.execute(
        f"%colab_setup --require a100 --drive {notebook.mount}"
    )
    assert result.status == "error"
    # The watcher of Drive may show something after it.
    texts = [each["data"]["text/plain"] for each in result.displays]
    (text,) = [each for each in texts if "Why     require: a100 is asked for" in each]
    assert "drive    done" in text
    (line,) = result.traceback
    assert line.startswith("SetupRequiredError: a100 is asked for, and this machine")
    assert line.endswith("; see above")


def test_defaults_from_each_source(notebook: Notebook) -> None:
    """The line, %config, the file beside the notebook, that on Drive: in this order."""
    content, drive = notebook.machine.root / "content", notebook.machine.root
    (content / "colabmagic.toml").write_text(
        f"[tool.colabmagic]\ndrive = {str(notebook.mount)!r}\ncd = 'MyDrive'\n"
        "keepalive = '1h'\ntrian = true\n"
    )
    (drive / "google/drive/MyDrive/colabmagic.toml").write_text(
        "[tool.colabmagic]\ncd = 'MyDrive/work'\ntrain = 'cpu'\ntoken = 's3cret'\n"
    )
    notebook.page.execute("%config ColabMagic.setup = {'gpu': True}")
    text = notebook.setup("--no-keepalive")
    assert "s3cret" not in text
    words = " ".join(text.split())
    assert "colabmagic.toml: there is no 'trian'; did you mean train?" in words
    assert "'token' does not belong in a file" in words
    assert list(notebook.states()) == ["gpu", "drive", "cd", "train"]
    sources = {
        name: notebook.value(f"r[{name!r}].source") for name in notebook.states()
    }
    assert sources == {
        "gpu": "%config",
        "drive": "colabmagic.toml",
        "cd": "colabmagic.toml",
        "train": "MyDrive/colabmagic.toml",
    }
    # From the folder of Drive the file beside the notebook is found all the same.
    notebook.setup("--no-keepalive", "again")
    assert list(notebook.states("again")) == ["gpu", "drive", "cd", "train"]
    assert notebook.states("again")["cd"] == "already"


def test_ctrl_c_gives_up_one_part(notebook: Notebook) -> None:
    """While Google's question is open: the other parts go on, and the cell is well."""
    notebook.page.page = PROFILES["silent"]()
    cell = notebook.page.start(
        f"r = %colab_setup --drive {notebook.mount} --cd MyDrive --train cpu"
    )
    while not notebook.page.of_kind("request_auth"):
        notebook.page.pump(0.05)
    notebook.page.interrupt()
    result = notebook.page.finish(cell)
    assert result.status == "ok", result.shown
    assert (
        "drive is given up, the other parts go on; Ctrl-C again ends all"
        in result.stdout
    )
    assert notebook.states() == {
        "drive": "given up", "cd": "left out", "train": "already",
    }  # fmt: skip


def test_the_report_is_an_object(notebook: Notebook) -> None:
    """Quiet, it is shown where it is asked for."""
    result = notebook.page.execute("%colab_setup --gpu -q")
    assert (result.displays, result.stdout) == ([], "")
    notebook.page.execute("r = %colab_setup --gpu -q")
    (shown,) = notebook.page.execute("r").displays
    assert set(shown["data"]) == {
        "text/plain",
        "text/html",
        "application/vnd.colabmagic.setup+json",
    }

"""``%cuda_install`` in real kernels, with CUDA 13.0 from the package index.

What is fetched stays in the test cache (``COLABMAGIC_TEST_CACHE``) and comes once. Where
the index does not answer, the tests that need it are skipped, and say so.
"""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

import nbformat
import pytest

from tests.fakes.nvidia.trees import made_once, store
from tests.kernel.support import ROOT, Kernel, ours

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kernel.support import Reply

INSTALL_S = 300.0
LINE = "13.0 --method wheels"
PROGRAM = """
#include <cstdio>
__global__ void add(int *x) { x[threadIdx.x] += 1; }
int main() { std::puts("host half"); return 0; }
"""


def told(reply: Reply) -> str:
    """Return all that a cell showed."""
    return "\n".join([*reply.displays, reply.shown])


@pytest.fixture(scope="session")
def cache() -> Path:
    """Return the folder that downloads are kept in, between runs of the tests, too."""
    folder = store() / "cuda-cache"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def machine(
    interpreter_path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Kernel]:
    """Yield a kernel whose folder for toolkits is empty, as on a new machine."""
    monkeypatch.setenv("COLABMAGIC_HOME", str(tmp_path / "home"))
    for name in ("CUDA_HOME", "CUDA_PATH", "NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS"):
        monkeypatch.delenv(name, raising=False)
    path = [each for each in os.environ["PATH"].split(":") if "cuda" not in each]
    monkeypatch.setenv("PATH", ":".join(path))
    with Kernel(interpreter_path) as kernel:
        assert kernel.run("%load_ext colabmagic").status == "ok"
        yield kernel


def installed(kernel: Kernel, cell: str) -> Reply:
    """Run a cell that installs; skip the test where the index does not answer."""
    reply = kernel.run(cell, timeout_s=INSTALL_S)
    if reply.ename == "SourceUnreachableError":
        pytest.skip("the package index does not answer")
    assert reply.status == "ok", told(reply)
    return reply


@pytest.fixture
def filled(machine: Kernel, cache: Path) -> Kernel:
    """Return a kernel in which the toolkit is installed, one test at a time filling it."""
    del cache
    with made_once("cuda-cache-is-filled") as (_, is_new):
        cell = f"r = %cuda_install {LINE} --cache {store() / 'cuda-cache'}"
        reply = installed(machine, cell)
        if is_new:
            assert "to fetch" in told(reply)
    return machine


def test_from_nothing_to_a_program(filled: Kernel, tmp_path: Path) -> None:
    """The next cells compile with it; a restart finds it again at once; it goes again."""
    kernel = filled
    said = kernel.value("r.text")
    assert said.startswith("CUDA 13.0.3: is installed")
    assert re.search(r"^nvcc --version +ok +CUDA 13\.0\.88\.$", said, re.MULTILINE)
    assert kernel.value("r.is_reused, r.ladder.broken, r.ladder.build") == (
        False,
        None,
        "13.0.88",
    )
    root = str(tmp_path / "home" / "cuda" / "13.0.3")
    assert kernel.value("str(r.root), r.ladder.root") == (root, root)
    assert "V13.0.88" in kernel.run("!nvcc --version").stdout
    assert kernel.run(f"%%writefile a.cu\n{PROGRAM}").status == "ok"
    reply = kernel.run("!nvcc -arch=sm_75 a.cu -o a && ./a", timeout_s=INSTALL_S)
    assert "host half" in reply.stdout, reply.shown
    assert kernel.value("sorted(os.listdir(r.root.parent))", "import os")[-1] == "lock"
    # A new kernel, as after a restart.
    python = str(kernel.value("sys.executable", "import sys"))
    with Kernel(python) as again:
        again.run("%load_ext colabmagic")
        assert again.run("!which nvcc").stdout.strip() != f"{root}/bin/nvcc"
        reply = again.run("r = %cuda_install 13.0")
        assert "CUDA 13.0.3: is here already" in told(reply)
        assert again.value("r.proven_at is not None, r.fetched_bytes") == (True, 0)
        assert again.run("!which nvcc").stdout.strip() == f"{root}/bin/nvcc"
        assert "passes" in told(
            again.run("%cuda_install --verify", timeout_s=INSTALL_S)
        )
        assert "13.0.3 (in use)" in told(again.run("%cuda_install --list"))
        # A file that has changed is found out, and the toolkit is not used.
        again.run("(r.root / 'nvvm/bin/cicc').write_bytes(b'')")
        reply = again.run("%cuda_install 13.0", timeout_s=INSTALL_S)
        assert reply.ename == "VerifyFailedError"
        assert "nvvm/bin/cicc" in reply.shown
        assert "  try:  %cuda_install --uninstall 13.0.3\n" in reply.shown
        assert ours(reply.shown) == []
        assert "is gone" in told(again.run("%cuda_install --uninstall 13.0"))
        assert again.run("!which nvcc").stdout.strip() != f"{root}/bin/nvcc"


@pytest.mark.one_kernel
def test_the_example(filled: Kernel) -> None:
    """The notebook runs as it stands, with and without a GPU."""
    example = nbformat.read(ROOT / "examples" / "cuda.ipynb", as_version=4)
    cells = [cell.source for cell in example.cells if cell.cell_type == "code"]
    said = []
    for cell in cells:
        reply = filled.run(cell, timeout_s=INSTALL_S)
        assert reply.status == "ok", told(reply)
        said.append(told(reply))
    assert "is here already" in said[2]
    assert re.search(r"compiled and linked|1 \+ 2 = 3", said[4]), said[4]
    assert r"b'\x7fELF' 13.0.88" in said[6]
    assert "13.0.3 (in use)" in said[7]


@pytest.mark.one_kernel
def test_the_extension_goes_and_comes(filled: Kernel) -> None:
    """The magic goes with it; the toolkit stays in use, and can still be left."""
    kernel = filled
    home = kernel.value("os.environ['CUDA_HOME']", "import os")
    assert kernel.run("%reload_ext colabmagic").status == "ok"
    assert "13.0.3 (in use)" in told(kernel.run("%cuda_install --list"))
    assert kernel.run("%unload_ext colabmagic").status == "ok"
    reply = kernel.run("%cuda_install --list")
    assert "not found" in reply.shown
    assert "not found" in kernel.run("%%cuda_install 13.0\n").shown
    assert kernel.value("os.environ['CUDA_HOME']") == home
    kernel.run("%load_ext colabmagic")
    assert "what it used before" in told(kernel.run("%cuda_install --use none"))
    assert kernel.value("os.environ.get('CUDA_HOME')") is None
    assert "taken back" in told(kernel.run("%cuda_install --rollback"))


@pytest.mark.one_kernel
def test_an_interrupt_in_the_middle(
    machine: Kernel, cache: Path, tmp_path: Path
) -> None:
    """One line says that all is as before; the same cell again installs."""
    cell = (
        "import signal, threading, os\n"
        "from colabmagic.cuda.steps.assemble import Assemble\n"
        "do = Assemble.do\n"
        "def late(self, work):\n"
        "    do(self, work)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "Assemble.do = late\n"
        f"get_ipython().run_line_magic('cuda_install', '{LINE} --cache {cache}')"
    )
    reply = machine.run(cell, timeout_s=INSTALL_S)
    if reply.ename == "SourceUnreachableError":
        pytest.skip("the package index does not answer")
    assert reply.ename == "KeyboardInterrupt", told(reply)
    assert "everything is as it was before" in reply.shown
    toolkits = tmp_path / "home" / "cuda"
    assert [each for each in toolkits.iterdir() if each.is_dir()] in (
        [],
        [toolkits / ".proofs"],
    )
    assert machine.value("os.environ.get('CUDA_HOME')") is None
    machine.run("Assemble.do = do")
    installed(machine, f"%cuda_install {LINE} --cache {cache}")
    assert (toolkits / "13.0.3" / "bin" / "nvcc").exists()


def test_cells_with_a_body(machine: Kernel) -> None:
    """Empty, below a title of Colab's, with comments, and with names of the user's."""
    machine.run("version, wish = '12.7', 'numpy'")
    for cell in (
        "%%cuda_install --plan 12.7",
        "%%cuda_install --plan 12.7\n",
        "%%cuda_install --plan 12.7\n\n   \n",
        "#@title Install CUDA\n%%cuda_install --plan 12.7\n# nothing\n",
        "%%cuda_install --plan {version}\n# a remark\nnumpy  # another\n",
        "%cuda_install --plan {version}",
        "%cuda_install --plan $version",
    ):
        reply = machine.run(cell)
        assert reply.status == "ok", (cell, reply.shown)
        assert told(reply).count("CUDA 12.7 was never released [E01]") == 1, cell
    reply = machine.run(
        "%%cuda_install --plan 13.0\n# a remark\nnumpy<2  # why\n\nscipy\n"
    )
    assert reply.status == "ok", reply.shown
    assert "with requirements.txt: numpy<2; scipy" in told(reply)
    reply = machine.run("%%cuda_install --plan 13.0\nnot a requirement !\n")
    assert reply.status == "ok", reply.shown
    assert "[E21]" in told(reply)


def test_errors_are_short(machine: Kernel, tmp_path: Path) -> None:
    """What happened, what was seen, what to type; no frame of ours."""
    cells = {
        "%cuda_install 12.7": "BadVersionError: CUDA 12.7 was never released",
        "%cuda_install --use 9.1": "NotInstalledError: CUDA 9.1 is not installed",
        "%cuda_install --rollback": "NotInstalledError: there is nothing to take back",
        f"%cuda_install {LINE} --offline --cache {tmp_path}/none": "SourceUnreachableError",
        "%cuda_install --lst": "there is no option --lst; did you mean --list",
    }
    for cell, expected in cells.items():
        reply = machine.run(cell)
        assert reply.status == "error", cell
        assert expected in reply.shown, cell
        assert ours(reply.shown) == [], cell
        assert len("".join(reply.errors).splitlines()) <= 5, reply.errors
    assert not list((tmp_path / "home").rglob("nvcc"))


def test_no_network(machine: Kernel, tmp_path: Path) -> None:
    """It says what did not come, that nothing has changed, and what to do."""
    machine.run(
        "import os\nos.environ.update(PIP_INDEX_URL='http://127.0.0.1:9/simple',"
        "PIP_CONFIG_FILE=os.devnull, PIP_FIND_LINKS='', PIP_RETRIES='0')"
    )
    began = time.monotonic()
    reply = machine.run(f"%cuda_install {LINE}", timeout_s=INSTALL_S)
    assert time.monotonic() - began < INSTALL_S
    assert reply.ename == "SourceUnreachableError", told(reply)
    assert "everything is as it was before" in reply.shown
    assert re.search(r"^  try: ", reply.shown, re.MULTILINE)
    assert not (tmp_path / "home" / "cuda" / "13.0.3").exists()


def test_help_and_tab(machine: Kernel) -> None:
    """The help has examples; Tab knows versions and options in a kernel too."""
    page = machine.help("%cuda_install?")
    assert "%%cuda_install 11.8" in page
    assert "--uninstall" in page
    assert "13.0" in machine.complete("%cuda_install 13")[0]
    assert "--rollback" in machine.complete("%cuda_install --ro")[0]


def test_quiet_above_lines_for_pip(machine: Kernel) -> None:
    """Nothing is shown: what stands below the magic is its body, not another line."""
    reply = machine.run("# a remark\n%%cuda_install --plan 12.7 -q\ntomlkit\n")
    assert reply.status == "ok"
    assert told(reply).strip() == ""
    reply = machine.run("p = %cuda_install --plan 12.7 -q\np.can_run")
    assert reply.status == "ok"
    assert told(reply).strip() == "False"

"""``%load_ext``, ``%unload_ext`` and ``%reload_ext``."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from tests.kernel.support import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kernel.support import Kernel

FORBIDDEN = ("torch", "pynvml", "google", "requests", "tqdm", "numpy")

# What an extension can change in a shell, as something that can be compared.
SNAPSHOT = """
def snapshot(ip=get_ipython()):
    manager, completer = ip.input_transformer_manager, ip.Completer
    magics = [
        (kind, name, "colabmagic" in str(function))
        for kind, table in ip.magics_manager.magics.items()
        for name, function in table.items()
    ]
    # IPython 9 adds its own when they are first used.
    ours = [one for one in ip.configurables if "colabmagic" in type(one).__module__]
    return [repr(part) for part in (
        sorted(magics),
        manager.cleanup_transforms, manager.line_transforms, manager.token_transformers,
        ip.ast_transformers, ip.input_transformers_post,
        {name: list(functions) for name, functions in ip.events.callbacks.items()},
        ours,
        completer.custom_matchers, getattr(completer, "magic_arg_matchers", None),
        [(name, table.strs, table.regexs) for name, table in ip.strdispatchers.items()],
        ip.custom_exceptions, "showsyntaxerror" in vars(ip),
    )]
before = snapshot()
"""

LOAD_TIME = """
import sys, time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "storemagic")  # IPython's own first-time costs
start = time.process_time()
shell.run_line_magic("load_ext", "colabmagic")
print(1000 * (time.process_time() - start))
"""


def test_help_shows_a_magic_as_it_is_written(kernel: Kernel) -> None:
    """With one sign for a line, two for a cell."""
    assert "\n  %gpu_check [" in kernel.help("%gpu_check?")
    assert "\n  %%train_on [" in kernel.help("%%train_on?")


def test_it_is_light(fresh_kernel: Kernel) -> None:
    """At most 10 modules, none of them heavy."""
    fresh_kernel.run("import sys\nbefore = set(sys.modules)\n%load_ext colabmagic")
    added = fresh_kernel.value("sorted(set(sys.modules) - before)")
    assert "colabmagic.magics" in added
    assert len(added) <= 10
    assert not [name for name in added if name.partition(".")[0] in FORBIDDEN]


def test_it_is_quick(interpreter_path: str, tmp_path: Path) -> None:
    """At most 10 ms of CPU: the best of five, for machines that are busy."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "IPYTHONDIR": str(tmp_path),
        "PYTHONPYCACHEPREFIX": str(ROOT / "build" / "pycache"),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    times = [
        float(
            subprocess.run(
                [interpreter_path, "-c", LOAD_TIME],
                env=environment,
                check=True,
                capture_output=True,
                text=True,
                timeout=60,
            ).stdout
        )
        for _ in range(5)
    ]
    assert min(times) <= 10, times


def test_unloading_leaves_nothing(fresh_kernel: Kernel) -> None:
    """Magics, transformers, hooks, matchers and settings are as they were."""
    fresh_kernel.run(SNAPSHOT)
    fresh_kernel.run("%load_ext colabmagic")
    assert fresh_kernel.value("snapshot() == before") is False
    assert fresh_kernel.run("%train_on?").status == "ok"
    fresh_kernel.run("%load_ext probe_magic")
    fresh_kernel.run("%%probe\n1/0")
    fresh_kernel.run("%unload_ext probe_magic")
    fresh_kernel.run("%unload_ext colabmagic")
    changed = "[pair for pair in zip(before, snapshot()) if pair[0] != pair[1]]"
    assert fresh_kernel.value(changed) == []
    assert "not found" in fresh_kernel.run("%train_on cpu").shown
    assert "--keep" not in fresh_kernel.complete("%%train_on --k")[0]
    assert "ColabMagic" not in fresh_kernel.run("%config").stdout


def test_loading_again_changes_nothing(fresh_kernel: Kernel) -> None:
    """Load twice, reload, load by hand: everything is there once, and works."""
    fresh_kernel.run("%load_ext colabmagic\n%load_ext probe_magic")
    fresh_kernel.run(SNAPSHOT)
    fresh_kernel.run("%load_ext colabmagic")
    fresh_kernel.run(
        "import colabmagic\ncolabmagic.load_ipython_extension(get_ipython())"
    )
    assert fresh_kernel.value("snapshot() == before") is True
    for _ in range(2):
        assert fresh_kernel.run("%reload_ext colabmagic").shown.strip() == ""
    assert fresh_kernel.value("list(map(len, snapshot())) == list(map(len, before))")
    assert fresh_kernel.run("%%probe\n1").results == ["1"]
    assert fresh_kernel.value("len(probe_magic.EVENTS)", "import probe_magic") == 2
    assert set(fresh_kernel.complete("%%train_on cu")[0]) == {"cuda", "cuda:0"}


def test_a_magic_of_the_user_comes_back(fresh_kernel: Kernel) -> None:
    """One of the same name returns on unload; one defined since then stays."""
    define = (
        "from IPython.core.magic import register_line_magic\n"
        "@register_line_magic\n"
        "def {}(line):\n    return 'mine'\n"
    )
    fresh_kernel.run(define.format("gpu_check"))
    fresh_kernel.run("%load_ext colabmagic")
    assert "mine" not in fresh_kernel.run("%gpu_check?").shown
    fresh_kernel.run(define.format("train_on"))
    fresh_kernel.run("%unload_ext colabmagic")
    assert fresh_kernel.run("%gpu_check").results == ["'mine'"]
    assert fresh_kernel.run("%train_on").results == ["'mine'"]


def test_unloading_twice_is_harmless(fresh_kernel: Kernel) -> None:
    """A second unload, or one without a load, does nothing."""
    fresh_kernel.run("import colabmagic")
    reply = fresh_kernel.run("colabmagic.unload_ipython_extension(get_ipython())")
    assert reply.status == "ok", reply.shown


def test_in_a_terminal(interpreter_path: str, tmp_path: Path) -> None:
    """Typed line by line into a terminal IPython, a cell is read to its blank line."""
    typed = (
        "%load_ext colabmagic\n%load_ext probe_magic\n"
        "%%probe\nx = 20\nx + 22\n\n\n\n"
        "%train_on\n"
        "import probe_magic; print(len(probe_magic.EVENTS), 'events')\n"
        "exit\n"
    )
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'kernel'}",
        "IPYTHONDIR": str(tmp_path),
    }
    result = subprocess.run(
        [
            interpreter_path,
            *("-m", "IPython", "--simple-prompt", "--no-banner"),
            *("--colors=NoColor", "--no-confirm-exit"),
        ],
        input=typed,
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    shown = result.stdout + result.stderr
    assert "42" in shown, shown
    assert "2 events" in shown, shown
    assert "train_on is off" in shown, shown
    assert "Traceback" not in shown, shown

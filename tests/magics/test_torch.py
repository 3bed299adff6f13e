"""Tests for `colabmagic.magics._torch`, each in a process of its own: torch stays there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Presses Ctrl-C when a module of torch is looked for, so often as is said.
PRESS = """
import importlib.abc, signal, sys

class Press(importlib.abc.MetaPathFinder):
    left = {presses}

    def find_spec(self, name, path=None, target=None):
        if name == {at!r}:
            presses, self.left = self.left, 0
            for _ in range(presses):
                signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Press())
from colabmagic.magics import _torch
for _ in range(2):
    try:
        print("whole:", _torch.service().__name__)
    except KeyboardInterrupt as stopped:
        print("stopped:", *stopped.args)
    except Exception as error:
        print(error)
"""
# A torch that, like the real one, cannot be begun twice.
ONCE = """
import sys
if "torch.part" in sys.modules:
    raise AttributeError("partially initialized module 'torch' has no attribute 'types'")
import torch.part, torch.other
"""


def run(code: str, path: Path | None = None) -> list[str]:
    """Run code in another process; return what it prints, by lines."""
    folders = [*([str(path)] if path else []), str(ROOT)]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    return done.stdout.splitlines()


def test_ctrl_c_waits_for_the_import() -> None:
    """It is told, and stops when torch is whole; the next call has it."""
    told, stopped, whole = run(PRESS.format(presses=1, at="torch.functional"))
    assert told.startswith("colabmagic: PyTorch is being imported; the stop waits")
    assert stopped == "stopped:"
    assert whole == "whole: colabmagic.train.service"


def test_a_second_one_cuts_it_off(tmp_path: Path) -> None:
    """What mends it is said then, and each time later: nothing else would help."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/__init__.py").write_text(ONCE)
    for name in ("part", "other"):
        (tmp_path / f"torch/{name}.py").touch()
    _, stopped, again = run(PRESS.format(presses=2, at="torch.other"), tmp_path)
    assert stopped == (
        "stopped: PyTorch was cut off as it was imported: restart the kernel (Colab: "
        "Runtime > Restart session)"
    )
    assert again.startswith("PyTorch was cut off as it was imported, and cannot be")
    assert "seen: AttributeError: partially initialized module 'torch'" in again
    assert again.endswith("try: restart the kernel (Colab: Runtime > Restart session)")


def test_what_else_may_be_wrong(tmp_path: Path) -> None:
    """A torch that breaks by itself is no interrupted one; nor is one that is not here."""
    (tmp_path / "torch").mkdir()
    for raised, words in (
        (
            "OSError('libcudart.so.12: no such file')",
            "PyTorch cannot be imported | seen: libcudart",
        ),
        (
            "ModuleNotFoundError('No module', name='torch')",
            "PyTorch is not installed here | try: %pip",
        ),
        (
            "ImportError('cannot import name', name='torch')",
            "PyTorch cannot be imported | seen: cannot",
        ),
    ):
        (tmp_path / "torch/__init__.py").write_text(f"raise {raised}\n")
        first, second = run(PRESS.format(presses=0, at=""), tmp_path)
        assert first.startswith(words)
        assert second == first

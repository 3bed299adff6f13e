"""Environments in which a stand-in passes for PyTorch, TensorFlow or JAX."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

FOLDER = Path(__file__).parents[1] / "fakes/frameworks"


def use(monkeypatch: pytest.MonkeyPatch, kind: str, **config: object) -> None:
    """Let child processes find a stand-in for PyTorch."""
    monkeypatch.setenv("PYTHONPATH", str(FOLDER / kind))
    monkeypatch.setenv("FAKE_TORCH", json.dumps(config))


def write(
    monkeypatch: pytest.MonkeyPatch, folder: Path, code: str, package: str = "torch"
) -> None:
    """Let child processes find a package of this code."""
    (folder / f"{package}.py").write_text(code, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))


class Steps:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.started: list[tuple[str, float | None]] = []
        self.advanced = 0.0
        self.open = 0

    def start(self, what: str, total: float | None = None) -> None:
        """Note a step."""
        self.started.append((what, total))
        self.open += 1

    def advance(self, amount: float = 1) -> None:
        """Note a part of a step."""
        self.advanced += amount

    def finish(self, summary: str = "") -> None:
        """Note the end of a step."""
        del summary
        self.open -= 1

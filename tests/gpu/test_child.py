"""What a child tells, and how its end is put in words."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.gpu.trials.child import Child, describe, read_event, run_child, teller
from tests.gpu.framework_env import write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "line",
    ["", "text", "[1]", "3", '{"other": 1}', '{"event": "cu', "[" * 100_000, "null"],
)
def test_foreign_lines(line: str) -> None:
    """What is not ours is no event."""
    assert read_event(line) is None


def test_event() -> None:
    """One object a line."""
    assert read_event('{"event": "end", "more": 1}\n') == {"event": "end", "more": 1}


def test_describe() -> None:
    """An error is its type and the first line that says something."""
    assert describe(ValueError("\n  first \nsecond")) == "ValueError: first"
    assert describe(ValueError()) == "ValueError"


def test_a_script_here_tells_as_a_child_does() -> None:
    """An error becomes its message."""
    events: list[dict[str, Any]] = []
    tell = teller(events.append)
    tell(event="failed", error=ValueError("no\nmore"))
    tell(event="end")
    assert events == [
        {"event": "failed", "message": "ValueError: no"},
        {"event": "end"},
    ]


def test_a_script_that_breaks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An error of our own script has its last line as the reason."""
    write(monkeypatch, tmp_path, "")
    child = Child(script="deep_torch", package="torch")
    end = run_child(child, timeout_s=30, on_event=lambda _: None)
    assert end.reason is not None
    assert end.reason.startswith("it ended early with status 1: AttributeError")


def test_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A child gets our variables with changes."""
    code = "import os; raise ImportError(str([os.environ.get(n) for n in ('A', 'B')]))"
    write(monkeypatch, tmp_path, code)
    monkeypatch.setenv("A", "ours")
    monkeypatch.setenv("B", "ours")
    child = Child(script="deep_torch", package="torch", env={"A": None, "B": "its"})
    events: list[dict[str, Any]] = []
    end = run_child(child, timeout_s=30, on_event=events.append)
    assert end.reason is None
    assert events == [
        {"event": "import-failed", "message": "ImportError: [None, 'its']"}
    ]


def test_a_package_that_only_this_process_finds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What a notebook put on its path counts, but hides no standard module."""
    (tmp_path / "found_here.py").write_text("raise ImportError('it is me')")
    (tmp_path / "json.py").write_text("raise SystemExit('not the real json')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    events: list[dict[str, Any]] = []
    child = Child(script="deep_torch", package="found_here")
    run_child(child, timeout_s=30, on_event=events.append)
    assert [one["message"] for one in events] == ["ImportError: it is me"]


def test_no_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedded Python may not know its own path."""
    monkeypatch.setattr(sys, "executable", "")
    child = Child(script="deep_torch", package="torch")
    end = run_child(child, timeout_s=30, on_event=lambda _: None)
    assert end.reason == "the path of Python is not known"
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    end = run_child(child, timeout_s=30, on_event=lambda _: None)
    assert "could not be started" in str(end.reason)

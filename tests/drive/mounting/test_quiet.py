"""What one thread prints is heard, what others print is shown."""

from __future__ import annotations

import sys
import threading

import pytest

from colabmagic.drive.mounting.quiet import heard_stdout


def test_one_thread_is_heard(capsys: pytest.CaptureFixture[str]) -> None:
    """Others print as before."""
    before = sys.stdout
    with heard_stdout() as heard:
        print("mine")  # noqa: T201
        sys.stdout.flush()
        other = threading.Thread(target=print, args=["theirs"])
        other.start()
        other.join()
        assert sys.stdout.encoding == before.encoding
    assert "".join(heard) == "mine\n"
    assert capsys.readouterr().out == "theirs\n"
    assert sys.stdout is before


def test_a_stream_put_on_top_stays(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has taken stdout meanwhile keeps it, and what passes through us is shown."""
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    with heard_stdout() as heard:
        ours = sys.stdout
        sys.stdout = theirs = type("Theirs", (), {"write": ours.write})()
    assert sys.stdout is theirs
    theirs.write("later\n")
    assert heard == []
    assert capsys.readouterr().out == "later\n"


def test_errors_pass() -> None:
    """The screen is back after an error too."""
    before = sys.stdout
    with pytest.raises(ValueError, match="x"), heard_stdout():
        raise ValueError("x")
    assert sys.stdout is before

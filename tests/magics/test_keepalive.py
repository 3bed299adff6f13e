"""``%keepalive`` in a terminal, and what may be typed; kernels are tested elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from IPython.core.error import UsageError

from colabmagic.keepalive.expiry import HOOKS
from colabmagic.magics import keepalive
from colabmagic.magics._base import parse
from colabmagic.magics.keepalive import KeepaliveMagics
from tests.magics.test_gpu import terminal

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def typed(line: str) -> argparse.Namespace:
    """Return what a line says."""
    return parse(KeepaliveMagics.keepalive, line)


def test_a_terminal_needs_nothing(tmp_path: Path) -> None:
    """It says why, starts no thread, and stops nothing."""
    started, status, stopped, threads = terminal(
        [
            "%keepalive --for 8h",
            "%keepalive status",
            "%keepalive stop",
            "import threading; [t.name for t in threading.enumerate() if 'colab' in t.name]",
        ],
        tmp_path,
    )[:4]
    line = "keepalive: off  nothing to do: nobody ends an idle terminal's Python"
    assert started.count(line) == 1
    assert status.count(line) == 1
    assert "tmux" in status
    assert stopped.count(line) == 1
    assert "[]" in threads


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {}),
        ("start --for 1h30m --every 2m --warn 5m", {"for_s": 5400, "every_s": 120}),
        ("--while always", {"while_": "always"}),
        ("--while=gpu --gpu-percent 20", {"while_": "gpu", "gpu_percent": 20}),
        ("--then disconnect", {"then": "disconnect"}),
        ("--notify https://h.example/x", {"then": "notify"}),
        ("--notify https://h.example/x --then nothing", {"then": "nothing"}),
    ],
)
def test_what_is_typed(line: str, expected: dict[str, Any]) -> None:
    """Becomes the options of the backend; an address alone asks for the end, too."""
    options = keepalive._options(typed(line))
    for name, value in expected.items():
        assert getattr(options, name) == value


@pytest.mark.parametrize(
    "line",
    ["--for x", "--every 1s", "--then notify", "--notify http://a.example/s3cret"],
)
def test_what_cannot_be(line: str) -> None:
    """One line, that begins with the magic and does not repeat an address."""
    with pytest.raises(UsageError) as caught:
        keepalive._options(typed(line))
    assert str(caught.value).startswith("%keepalive: ")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("2h", "not '2h'; did you mean %keepalive --for 2h"),
        ("1h30m --while gpu", "did you mean %keepalive --for 1h30m"),
        ("off", "did you mean %keepalive stop"),
        ("on", "did you mean %keepalive  ("),
        ("--stop", "there is no option --stop; did you mean %keepalive stop"),
        ("--status", "did you mean %keepalive status"),
        ("--time 4h", "there is no option --time; did you mean --for"),
        ("--for 4 h", "VERB takes start, status, stop or snippet, not 'h'"),
        ("--gpu-percent x", "--gpu-percent takes a number, not 'x'"),
    ],
)
def test_what_is_meant(line: str, told: str) -> None:
    """Those who do not know the words are told them."""
    with pytest.raises(UsageError) as caught:
        keepalive._parsed(KeepaliveMagics.keepalive, line)
    assert told in str(caught.value)


@pytest.mark.parametrize("verb", ["status", "stop", "snippet"])
@pytest.mark.parametrize("option", ["--while busy", "--notify https://x.example/y"])
def test_options_that_go_with_start_alone(verb: str, option: str) -> None:
    """They are not ignored."""
    with pytest.raises(UsageError, match=f"%keepalive {verb} takes no --"):
        keepalive._refuse_options(typed(f"{verb} {option}"), verb)


def test_without_drive_only_the_users_functions() -> None:
    """Drive is not brought in for it."""
    handle = HOOKS.add(lambda: None, name="mine")
    try:
        assert keepalive._before_the_end() == (handle,)
    finally:
        handle.remove()


def test_turning_off_what_was_never_on() -> None:
    """Unloading a fresh extension is no error."""
    keepalive.turn_off()
